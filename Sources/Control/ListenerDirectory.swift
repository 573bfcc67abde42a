internal import Proxy
internal import Reactor
internal import Routing

/// The sockets of all listening addresses, kept over reloads.
/// The control plane's thread only.
struct ListenerDirectory {
    private var open: [String: ListenerSockets] = [:]
    private var leaving: [Leaving] = []
    private var numbers = 0
    private let inherited: InheritedSockets
    private var isHandedOver = false    // to another process: nothing is opened any more
    private(set) var failures: [(listener: ListenerPlan, error: String)] = []

    /// Sockets that are not wanted any more; the workers close them when they take the next snapshot.
    private struct Leaving {
        weak var sockets: ListenerSockets?
    }

    /// - Parameter inherited: sockets that were open when the process began.
    init(inherited: InheritedSockets = InheritedSockets()) { self.inherited = inherited }

    /// Further descriptors of all sockets that are open; the caller closes them.
    var duplicates: [CInt] { open.values.flatMap { $0.duplicates() } }

    /// Another process has the sockets from now on: what a later plan wants besides is not opened here.
    mutating func handOver() { isHandedOver = true }

    /// Opens what a plan wants and is not open yet; forgets the rest. An address that cannot be bound is
    /// noted and left out.
    /// - Returns: the plan's listeners with their sockets, and their places in the plan.
    mutating func sockets(
        for plan: RoutingPlan, options: ControlOptions
    ) -> [(ListenerPlan, ListenerSockets, index: Int)] {
        failures = []
        var used: [String: ListenerSockets] = [:]
        var result: [(ListenerPlan, ListenerSockets, index: Int)] = []
        for (index, listener) in plan.listeners.enumerated() {
            guard let address = address(of: listener, options) else { continue }
            let name = address.description
            guard used[name] == nil else {
                failures.append((listener, "\(name) is wanted twice; --listen-map must not map two ports onto one"))
                continue
            }
            do throws(SystemError) {
                let kept = open[name]
                guard kept != nil || !isHandedOver else { continue }
                let sockets = if let kept { kept } else { try make(address, beside: used, options.workers) }
                used[name] = sockets
                result.append((listener, sockets, index))
            } catch {
                failures.append((listener, error.description))
            }
        }
        leaving += open.filter { used[$0.key] == nil }.values.map { Leaving(sockets: $0) }
        leaving.removeAll { $0.sockets?.isClosed ?? true }
        open = used
        return result
    }

    private mutating func make(
        _ address: SocketAddress, beside used: [String: ListenerSockets], _ workers: Int
    ) throws(SystemError) -> ListenerSockets {
        let adopted = inherited.take(address)
        if !adopted.isEmpty { return try adopt(adopted, address, workers) }
        // Our own listener on another address of the same port, also one that is about to be given up,
        // is no stranger.
        let isOurs =
            inherited.hasPort(address.port) || open.values.contains { $0.port == address.port }
            || used.values.contains { $0.port == address.port }
            || leaving.contains { $0.sockets?.port == address.port && $0.sockets?.isClosed == false }
        let sockets = try ListenerSockets(
            address: address, number: numbers, workers: workers, sharing: isOurs ? .amongWorkers : .none)
        numbers += 1
        return sockets
    }

    /// A connection in the queue of a socket that no worker accepts from would be lost.
    private mutating func adopt(
        _ adopted: [CInt], _ address: SocketAddress, _ workers: Int
    ) throws(SystemError) -> ListenerSockets {
        guard adopted.count <= workers else {
            for descriptor in adopted { Socket.close(descriptor) }
            throw SystemError(
                "serve the \(adopted.count) sockets handed over for \(address) by \(workers) workers (give as many: "
                    + "--workers \(adopted.count))", code: 22)
        }
        defer { numbers += 1 }
        return ListenerSockets(address: address, number: numbers, workers: workers, adopting: adopted)
    }

    private mutating func address(of listener: ListenerPlan, _ options: ControlOptions) -> SocketAddress? {
        if listener.isMesh { return options.mesh }
        let port = options.listenMap[listener.port] ?? listener.port
        if listener.bind.hasPrefix("unix:") {
            let text = listener.bind.dropFirst(5)
            let path = String(text.hasPrefix("///") ? text.dropFirst(2) : text)
            if let address = SocketAddress(unixPath: path) { return address }
        } else if let address = SocketAddress(host: listener.bind, port: port) {
            return address
        }
        failures.append((listener, "\(listener.bind) is no address to listen on"))
        return nil
    }
}
