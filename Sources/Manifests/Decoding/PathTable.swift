/// The paths of the fields of a load, each kept once.
struct PathTable {
    /// Small, because each field of a load has one.
    typealias Number = Int32

    /// The number of the empty path, which is the object itself.
    static let top: Number = 0

    private var paths = [FieldPath(parent: nil, part: "")]
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

    var count: Int { paths.count }

    /// The path of a number; traps if there is none.
    subscript(number: Number) -> FieldPath { paths[Int(number)] }

    /// The path of a field of `parent`; `part` is called for its text if the path is new.
    mutating func child(of parent: Number, _ name: String, part: () -> String) -> Number {
        let key = Child(parent: parent, name: name)
        if let known = children[key] { return known }
        let number = add(parent, part())
        children[key] = number
        return number
    }

    /// The path of an element of the list `parent`.
    mutating func element(of parent: Number, _ ordinal: Int32) -> Number {
        let key = Element(parent: parent, ordinal: ordinal)
        if let known = elements[key] { return known }
        let number = add(parent, "[\(ordinal)]")
        elements[key] = number
        return number
    }

    private mutating func add(_ parent: Number, _ part: String) -> Number {
        paths.append(FieldPath(parent: self[parent], part: part))
        return Number(clamping: paths.count - 1)
    }
}
