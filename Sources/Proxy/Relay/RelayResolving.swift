internal import Octets

extension Relays {
    /// Goes on with the destination of the server name that the client has asked for, or waits for its look-up.
    func resolve(_ relay: Relay, _ parent: DestinationHandle, _ requested: RequestedDestinations) {
        guard let name = relay.serverName else {
            return end(relay, .unavailable("the client has named no host, and its endpoint would be that"))
        }
        switch name.withOctets({ requested.find($0, of: parent, services) }) {
        case .destination(let destination):
            relay.destination = destination
            pick(relay)
        case .wait(let host):
            relay.awaited = host
            services.hostWaits.join(relay, host)
        case .failed(let reason): end(relay, .unresolved(reason))
        case .refused(let reason): end(relay, .unavailable(reason))
        case .full: end(relay, .overflow)
        }
    }

    /// The look-up of the host that a relay waits for has ended.
    func hostSettled(_ relay: Relay) {
        relay.awaited = nil
        guard !relay.isEnded, let parent = relay.destination, let requested = parent.requested else { return }
        resolve(relay, parent, requested)
    }
}
