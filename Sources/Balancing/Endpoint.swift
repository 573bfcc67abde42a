internal import Synchronization

/// Where an endpoint listens.
package enum EndpointAddress: Hashable, Sendable {
    /// An IPv4 or IPv6 address in its usual text, without brackets; port 1...65535.
    case ip(String, port: UInt16)
    /// A Unix-domain socket; `@name` is Linux's abstract name space.
    case unix(path: String)
}

extension EndpointAddress: CustomStringConvertible {
    package var description: String {
        switch self {
        case .ip(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): path
        }
    }
}

/// What is known of one place to send requests to. There is one object per (service, port, address) in the
/// whole process, shared by all workers and kept over reloads, so that what is known of it is never split.
/// Workers reach it through an `Endpoint` of their own.
///
/// Thread: any. Freed by: the last list of endpoints, request or pool that has it.
package final class EndpointState: Sendable {
    /// Where the endpoint is reached.
    package let address: EndpointAddress
    /// Where it is reached by either family; nil: by `address` alone.
    package let dual: DualStack?
    package let name: String    // the address as text, for logs and metrics
    /// Small: an index into tables of the workers. Another endpoint may get it when nobody has this one any more.
    package let number: Int
    /// The requests that metrics had counted under this number before this endpoint got it.
    package let countedBefore: UInt64
    private let numbers: EndpointNumbers
    private let line = OwnLine()
    private let gone = Atomic<Bool>(false)
    private let healthState = Atomic<EndpointHealth.RawValue>(EndpointHealth.available.rawValue)
    private let passed = Atomic<UInt64>(0)

    /// - Parameters:
    ///   - dual: `address` and one of the other family.
    ///   - countedBefore: what metrics have counted so far under a number.
    package init(
        address: EndpointAddress, dual: DualStack? = nil, numbers: EndpointNumbers,
        countedBefore: (_ number: Int) -> UInt64 = { _ in 0 }
    ) {
        self.address = address
        self.dual = dual
        self.name = address.description
        self.numbers = numbers
        number = numbers.take()
        self.countedBefore = countedBefore(number)
    }

    deinit { numbers.giveBack(number) }

    /// Requests in flight, of all workers, with those that wait for a connection.
    package var active: Int { line.cell.value }

    /// No cluster has it any more: connections to it end when their streams do.
    package var isGone: Bool { gone.load(ordering: .acquiring) }

    /// The last cluster that had it has let go of it. The control plane's thread.
    package func leave() { gone.store(true, ordering: .releasing) }

    /// What its checks say. The control plane's thread writes it, before it has the clusters look at it.
    package var health: EndpointHealth {
        get { EndpointHealth(rawValue: healthState.load(ordering: .acquiring)) ?? .available }
        set { healthState.store(newValue.rawValue, ordering: .releasing) }
    }

    /// When it last passed a check, in nanoseconds of the workers' clock; 0: never.
    package var passedAt: UInt64 {
        get { passed.load(ordering: .relaxed) }
        set { passed.store(newValue, ordering: .relaxed) }
    }

    var inFlight: LineCell { line.cell }

    /// Where its requests in flight lie in memory, for tests.
    var inFlightAddress: UInt { line.address }
}

/// A worker's own handle of an endpoint: references to it are counted by one worker alone, so that no two workers write
/// a count together for it.
///
/// Thread: its worker's. Freed by: its last reference, of a cluster's list or of an exchange.
package final class Endpoint {
    /// What all workers share of the endpoint.
    package let state: EndpointState
    private let inFlight: LineCell    // of `state`, which lives as long
    /// The number of `state`.
    package let number: Int
    /// What is watched of it in its cluster; nil where nothing is.
    package let observer: OutlierObserver?

    /// Makes a worker's handle of an endpoint that no cluster watches.
    package convenience init(_ state: EndpointState) { self.init(state, observer: nil) }

    init(_ state: EndpointState, observer: OutlierObserver?) {
        self.state = state
        self.observer = observer
        inFlight = state.inFlight
        number = state.number
    }

    package var address: EndpointAddress { state.address }
    /// The address as text, for logs and metrics.
    package var name: String { state.name }
    package var isGone: Bool { state.isGone }

    /// A request was given to it; one `ended` follows. For `PickedEndpoint` alone, which sees to that.
    @inline(__always) func began() { inFlight.add(1) }
    @inline(__always) func ended() { inFlight.add(-1) }
}

@available(*, unavailable) extension Endpoint: Sendable {}
