internal import Kubernetes
internal import Routing

/// The objects of one kind that were not taken because there were too many, by their names. When they have room, a list
/// brings them.
struct RefusedObjects {
    let kind: ResourceKind
    private let most: Int
    private var names: Set<ServiceName> = []
    /// Whether there were more than are remembered: when they have room is not known then.
    private var isUncounted = false

    /// - Parameter most: the most objects of the kind, and of those that are remembered here.
    init(_ kind: ResourceKind, most: Int) {
        self.kind = kind
        self.most = most
    }

    var isEmpty: Bool { names.isEmpty && !isUncounted }

    /// Notes an object that was refused.
    /// - Returns: whether it is the first one.
    mutating func insert(_ name: ServiceName) -> Bool {
        let isFirst = isEmpty
        if names.count < most { names.insert(name) } else if !names.contains(name) { isUncounted = true }
        return isFirst
    }

    /// The object is gone, or was taken.
    mutating func remove(_ name: ServiceName) { names.remove(name) }

    /// A list begins, which will name them again.
    /// - Parameter scope: the namespace of the list; "" is all.
    mutating func listBegan(_ scope: String) {
        guard !scope.isEmpty else {
            names = []
            isUncounted = false
            return
        }
        names = names.filter { $0.namespace != scope }
    }

    /// Whether a list would find room for all of them. A hundredth of the room stays free, because a list of a kind
    /// that is nearly full costs the server much, and one object that comes and goes must not cause one each time.
    /// - Parameter known: how many objects of the kind were taken.
    func haveRoom(beside known: Int) -> Bool {
        !names.isEmpty && !isUncounted && known + names.count <= most - most / 100
    }
}
