internal import Proxy
internal import Reactor
internal import Routing

/// The sockets of all listening addresses, kept over reloads.
/// The control plane's thread only.
struct ListenerDirectory {
    private var open: [String: ListenerSockets] = [:]
    private var leaving: [Leaving] = []
    private var numbers = 0
    private(set) var failures: [(listener: ListenerPlan, error: String)] = []

    /// Sockets that are not wanted any more; the workers close them when they take the next snapshot.
    private struct Leaving {
        weak var sockets: ListenerSockets?
    }

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
        // Our own listener on another address of the same port, also one that is about to be given up,
        // is no stranger.
        let isOurs =
            open.values.contains { $0.port == address.port }
            || used.values.contains { $0.port == address.port }
            || leaving.contains { $0.sockets?.port == address.port && $0.sockets?.isClosed == false }
        let sockets = try ListenerSockets(
            address: address, number: numbers, workers: workers, sharing: isOurs ? .amongWorkers : .none)
        numbers += 1
        return sockets
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
