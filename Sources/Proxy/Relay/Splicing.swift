internal import Octets
internal import Reactor
internal import Telemetry

/// Octets in clear text that pass from socket to socket within the kernel, through a pipe. A pipe that the sink has not
/// emptied stays with the relay; else the next relay of the worker uses it. Where the kernel refuses, octets are
/// copied.
extension Relays {
    /// How reading goes on after octets were spliced.
    enum Spliced {
        /// There may be more.
        case goOn
        /// Nothing more is read now.
        case stop
        /// They are copied instead.
        case copy
    }

    /// With fewer octets at a time, copying takes fewer system calls.
    private static let leastSpliced = 16_384

    /// Passes on what waits at a source. The sink has taken all that came before.
    func splice(_ source: Connection, to sink: Connection, _ relay: Relay) -> Spliced {
        let side = source.role == .downstream ? RelayState.Side.downstream : .upstream
        guard let pipe = pipes.take(at: services.loop.now) else {
            services.metrics.reached(.relayPipes)
            relay.state.splice(from: side, false)
            return .copy
        }
        switch pipe.fill(from: source.transport.descriptor) {
        case .octets(let moved):
            count(moved, from: side, relay)
            if moved < Self.leastSpliced { relay.state.splice(from: side, false) }
            drain(pipe, to: sink, relay)
            return .goOn
        case .wouldBlock:
            pipes.give(pipe)
        case .closed:
            pipes.give(pipe)
            act(relay.state.ended(side, hasWaiting: false), relay)
        case .failed(let code) where SplicePipe.isRefusal(code):
            pipes.give(pipe)
            relay.state.refuseSplicing()
            return .copy
        case .failed:
            pipes.give(pipe)
            broke(side, relay)
        }
        return .stop
    }

    /// Gives a sink what is in a pipe. What it does not take stays with the relay.
    func drain(_ pipe: SplicePipe, to sink: Connection, _ relay: Relay) {
        while pipe.count > 0 {
            switch pipe.drain(to: sink.transport.descriptor) {
            case .octets: touch(relay)
            case .wouldBlock:
                sink.state.writingBlocked()
                return relay.hold(pipe, towards: sink.role == .downstream ? .downstream : .upstream)
            case .failed(let code) where SplicePipe.isRefusal(code):
                relay.state.refuseSplicing()
                return copy(pipe, to: sink, relay)
            case .closed, .failed:
                pipes.drop(pipe)
                return declined(sink, relay)
            }
        }
        pipes.give(pipe)
    }

    /// Takes octets out of a pipe for a sink to which the kernel does not splice.
    private func copy(_ pipe: SplicePipe, to sink: Connection, _ relay: Relay) {
        while pipe.count > 0 {
            input.clear()
            guard case .octets = pipe.read(into: input, most: Self.inputOctets) else {
                pipes.drop(pipe)
                return declined(sink, relay)    // octets are lost: nobody may take the rest for all
            }
            if let pending = sink.pendingOutput {
                pending.append(input.octets)
            } else {
                pass(input.octets, to: sink, relay)
            }
            guard !relay.isEnded, relay.state.brokenSide == nil else { return pipes.drop(pipe) }
        }
        pipes.give(pipe)
    }
}
