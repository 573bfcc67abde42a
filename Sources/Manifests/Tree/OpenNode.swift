/// A sequence or mapping that has not ended yet.
struct OpenNode {
    let node: NodeIndex
    var last: NodeIndex = Node.none
    /// In a mapping: the key whose value is next.
    var pendingKey: NodeIndex = Node.none
    var anchor: String?
}
