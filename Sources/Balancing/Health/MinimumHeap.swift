/// A binary heap: the first of its elements is found at once, and one is put in or taken out in the logarithm of their
/// number.
struct MinimumHeap<Element> {
    private var elements: [Element] = []
    private let precedes: (Element, Element) -> Bool

    /// - Parameter precedes: whether one element comes before another.
    init(by precedes: @escaping (Element, Element) -> Bool) { self.precedes = precedes }

    var first: Element? { elements.first }
    var count: Int { elements.count }

    /// Adds an element in a time that grows with the logarithm of `count`. Equal ones may stand beside each other.
    mutating func insert(_ element: Element) {
        elements.append(element)
        var place = elements.count - 1
        while place > 0 {
            let parent = (place - 1) / 2
            guard precedes(elements[place], elements[parent]) else { return }
            elements.swapAt(place, parent)
            place = parent
        }
    }

    /// Takes the first element out; nil if there is none.
    mutating func takeFirst() -> Element? {
        guard let last = elements.popLast() else { return nil }
        guard let first = elements.first else { return last }
        elements[0] = last
        var place = 0
        while true {
            let left = 2 * place + 1
            guard left < elements.count else { return first }
            let isRight = left + 1 < elements.count && precedes(elements[left + 1], elements[left])
            let child = isRight ? left + 1 : left
            guard precedes(elements[child], elements[place]) else { return first }
            elements.swapAt(place, child)
            place = child
        }
    }
}
