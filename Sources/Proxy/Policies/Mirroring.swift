internal import HTTP
internal import Octets
internal import Routing

/// What a request of a rule with mirrors does for its copies. Source: docs/istio.md, Mirrors.
enum Mirroring {
    /// Draws the mirrors that get a copy.
    static func draw(_ exchange: Exchange, from snapshot: WorkerSnapshot) {
        // Most rules with extras have none: nothing is retained to find that out.
        guard exchange.extras?({ !$0.mirrors.isEmpty }) ?? false else { return }
        let mirrors = exchange.extras?({ $0.mirrors }) ?? []
        let drawn = mirrors.filter { $0.share.includes(random: exchange.services.random.next()) }
        guard !drawn.isEmpty else { return }
        exchange.copies = Copies(to: drawn.map { snapshot.destination($0.cluster) })
    }

    /// Makes the copies, when the first try is sent: with its header section, and with what has come of the body.
    static func begin(_ exchange: Exchange, _ copies: Copies, section: HeaderBlock) {
        guard !copies.destinations.isEmpty else { return }
        let isAlone = exchange.state.request == .headersOnly
        let mirrors = exchange.exchanges.mirrors
        for destination in copies.destinations {
            guard let mirror = mirrors.begin(section, to: destination, isGRPC: exchange.traits.isGRPC, isAlone: isAlone)
            else { continue }
            if let body = exchange.heldBody { mirrors.send(mirror, body.octets) }
            if exchange.state.isRequestEnded { mirrors.finish(mirror, trailers: exchange.requestTrailers) }
            copies.mirrors.append(mirror)
        }
        copies.destinations = []
    }

    /// More of the body has come, for an upstream or to be held.
    static func pass(_ octets: Octets, to copies: Copies, _ exchange: Exchange) {
        for mirror in copies.mirrors { exchange.exchanges.mirrors.send(mirror, octets) }
    }

    /// The request is complete.
    static func finish(_ copies: Copies, _ exchange: Exchange) {
        for mirror in copies.mirrors {
            exchange.exchanges.mirrors.finish(mirror, trailers: exchange.requestTrailers)
        }
    }

    /// The exchange is over: copies that are complete go on without it.
    static func leave(_ copies: Copies, _ exchange: Exchange) {
        for mirror in copies.mirrors { exchange.exchanges.mirrors.abandon(mirror) }
    }
}
