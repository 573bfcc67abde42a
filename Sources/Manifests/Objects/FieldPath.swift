/// The path of a field in its object, such as `spec.http[0].route[1].weight`. Objects of one kind have the same fields,
/// so a load makes each path once, and an object has a reference of 8 octets. A path for each value took a fifth of the
/// memory of a load.
///
/// Thread: any. Freed by: the last object or diagnostic that has it.
package final class FieldPath: Sendable {
    private let parent: FieldPath?
    /// The last step: `weight`, `[1]` or `["a b"]`.
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
