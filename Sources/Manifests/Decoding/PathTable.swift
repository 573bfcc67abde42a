/// The paths of a load's fields, each once.
struct PathTable {
    /// A path's number.
    typealias Number = Int32

    /// The object itself: the empty path.
    static let top: Number = 0

    private var paths = [FieldPath(parent: nil, step: "")]
    private var children: [Child: Number] = [:]
    private var elements: [Element: Number] = [:]

    private struct Child: Hashable {
        let parent: Number
        let name: String
    }

    private struct Element: Hashable {
        let parent: Number
        let ordinal: Int32
    }

    subscript(number: Number) -> FieldPath { paths[Int(number)] }

    /// The path one step further; `step` gives its text, when it is new.
    mutating func child(of parent: Number, _ name: String, step: () -> String) -> Number {
        let key = Child(parent: parent, name: name)
        if let known = children[key] { return known }
        let number = add(parent, step())
        children[key] = number
        return number
    }

    mutating func element(of parent: Number, _ ordinal: Int32) -> Number {
        let key = Element(parent: parent, ordinal: ordinal)
        if let known = elements[key] { return known }
        let number = add(parent, "[\(ordinal)]")
        elements[key] = number
        return number
    }

    private mutating func add(_ parent: Number, _ step: String) -> Number {
        paths.append(FieldPath(parent: self[parent], step: step))
        return Number(clamping: paths.count - 1)
    }
}
