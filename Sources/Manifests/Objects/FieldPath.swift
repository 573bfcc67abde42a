/// A field's path in its object, such as `spec.http[0].route[1].weight`. Objects of a kind have the same
/// fields, so a load makes each path once, and an object holds a reference of 8 octets: a path of its
/// own for each value was a fifth of a load's memory.
package final class FieldPath: Sendable {
    private let parent: FieldPath?
    /// `weight`, `[1]` or `["a b"]`.
    private let step: String

    init(parent: FieldPath?, step: String) {
        self.parent = parent
        self.step = step
    }

    package var text: String {
        guard let start = parent?.text, !start.isEmpty else { return step }
        return step.hasPrefix("[") || step.hasPrefix(".") ? start + step : start + "." + step
    }
}
