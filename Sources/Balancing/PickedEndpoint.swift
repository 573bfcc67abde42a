package import Octets

/// The endpoint that was picked for a try. The try counts among the requests in flight there from the pick on, also
/// while it waits for a connection, until `end`, the next pick or the end of this value, whichever comes first: a try
/// can neither be counted twice nor stay counted. The endpoint is kept beyond the end of the try, because log lines
/// name it. One worker's thread.
package struct PickedEndpoint: ~Copyable {
    private var endpoint: Endpoint?
    /// The endpoint, followed without counting references; nil: none was picked.
    package private(set) var unretained: Unretained<Endpoint>?
    /// Whether a try is under way.
    package private(set) var isCounted = false

    package init() {}

    deinit { if isCounted { endpoint?.ended() } }

    /// The endpoint; nil: none was picked.
    package var kept: Endpoint? { endpoint }

    /// A try begins there. One that was under way has ended.
    @inline(__always)
    package mutating func pick(_ next: Endpoint) {
        end()
        unretained = Unretained(next)
        endpoint = next
        next.began()
        isCounted = true
    }

    /// The try has ended, or none is under way.
    @inline(__always)
    package mutating func end() {
        guard isCounted else { return }
        isCounted = false
        unretained? { $0.ended() }
    }

    /// The try has ended, and nothing is kept.
    @inline(__always)
    package mutating func clear() {
        end()
        unretained = nil
        endpoint = nil
    }
}
