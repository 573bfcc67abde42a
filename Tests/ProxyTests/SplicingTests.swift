import Glibc
import Octets
import Reactor
import Testing

@testable import Proxy
@testable import Telemetry

extension Connection {
    /// Octets that wait for this side of a relay.
    var waitingOctets: Int {
        let side = role == .downstream ? RelayState.Side.downstream : .upstream
        return (pendingOutput?.count ?? 0) + (relay?.pipe(towards: side)?.count ?? 0)
    }
}

/// Much in clear text passes through pipes of the kernel.
@Suite struct `A relay with much to pass on` {
    private static let much = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }

    private struct World {
        let bench: Bench
        let server: Server
        var pipes: PipePool { bench.worker.relays.pipes }

        init() throws {
            bench = try Bench(relays: ListenerRelays(clear: 0))
            server = try bench.server()
        }

        func connect() throws -> (client: Peer, endpoint: Peer) {
            let client = try bench.client()
            let endpoint = try #require(try server.accept())
            bench.settle()
            return (client, endpoint)
        }

        /// Sends until nothing more is taken, to a side that does not read.
        func stuff(_ from: Peer, _ all: [UInt8] = much) -> Int {
            var (sent, stuck) = (0, 0)
            while stuck < 5, sent < all.count {
                let count = from.push(all[sent...])
                sent += count
                stuck = count == 0 ? stuck + 1 : 0
                bench.settle()
            }
            return sent
        }

        var held: Int {
            var held = 0
            bench.worker.loop.forEachConnection { held += $0.waitingOctets }
            return held
        }

        var heldInPipes: Int {
            var held = 0
            bench.worker.loop.forEachConnection { held += $0.waitingOctets - ($0.pendingOutput?.count ?? 0) }
            return held
        }
    }

    /// Passes all octets while the other side reads as they come.
    private func pass(_ world: World, from: Peer, to: Peer) -> [UInt8] {
        var (sent, received) = (0, [UInt8]())
        while received.count < Self.much.count {
            if sent < Self.much.count { sent += from.push(Self.much[sent...]) }
            world.bench.settle()
            let more = to.octets()
            if more.isEmpty, sent == Self.much.count, to.isEnded { break }
            received += more
        }
        return received
    }

    @Test(arguments: [true, false]) func `splices it, and counts every octet`(isUp: Bool) throws {
        let world = try World()
        let (client, endpoint) = try world.connect()
        let received = isUp ? pass(world, from: client, to: endpoint) : pass(world, from: endpoint, to: client)
        #expect(received == Self.much && world.pipes.uses > 10)
        var octets: (up: UInt64, down: UInt64) = (0, 0)
        world.bench.metrics.relays.readOctets { octets = (octets.up + $1, octets.down + $2) }
        #expect(octets == (isUp ? (3_000_000, 0) : (0, 3_000_000)))
        #expect(world.held == 0 && (1...2).contains(world.pipes.count))
        // Little is copied again, and comes at once.
        let uses = world.pipes.uses
        client.send("little")
        world.bench.settle()
        #expect(endpoint.text() == "little")
        client.send("less")
        world.bench.settle()
        #expect(endpoint.text() == "less" && world.pipes.uses <= uses + 3)
        client.finish()
        endpoint.finish()
        world.bench.settle()
        #expect(world.pipes.count == 0)
    }

    @Test func `ends behind what waits in a pipe`() throws {
        let world = try World()
        let (client, endpoint) = try world.connect()
        let sent = world.stuff(client)
        #expect(world.heldInPipes > 0 && world.heldInPipes <= PipePool.pipeOctets)
        client.finish()
        world.bench.settle()
        var received: [UInt8] = []
        while !endpoint.isEnded {
            received += endpoint.octets()
            world.bench.settle()
        }
        #expect(received == Array(Self.much[..<sent]) && !client.isEnded && world.held == 0)
        endpoint.send("done")
        endpoint.finish()
        world.bench.settle()
        #expect(client.text() == "done" && client.isEnded && world.pipes.count == 0)
    }

    @Test func `leaves nothing in a pipe that another relay gets`() throws {
        let world = try World()
        let (other, its) = try world.connect()    // keeps pipes from being closed with the last relay
        for round in 0..<6 {
            let (client, endpoint) = try world.connect()
            _ = world.stuff(round.isMultiple(of: 2) ? client : endpoint)
            #expect(world.heldInPipes > 0)
            let open = world.pipes.count
            // One side breaks off while octets of it, or for it, are in the pipe.
            Socket.abort(client.descriptor)
            client.close()
            if round.isMultiple(of: 3) { endpoint.close() }
            world.bench.settle()
            endpoint.close()
            world.bench.settle()
            #expect(world.pipes.count < open, "a pipe with octets was kept")
            #expect(pass(world, from: other, to: its) == Self.much, "round \(round)")
        }
        #expect(world.held == 0)
    }

    @Test func `copies when there are no more pipes`() throws {
        let world = try World()
        var taken: [SplicePipe] = []
        while let pipe = world.pipes.take(at: world.bench.clock.now) { taken.append(pipe) }
        #expect(taken.count == world.bench.worker.services.budget.pipesPerWorker)
        let (client, endpoint) = try world.connect()
        #expect(pass(world, from: client, to: endpoint) == Self.much && world.heldInPipes == 0)
        #expect(world.bench.metrics.value(.relayPipes) > 0)
        for pipe in taken { world.pipes.give(pipe) }
        #expect(world.pipes.count == 4)
    }

    @Test func `is ended for silence while octets wait in a pipe`() throws {
        let world = try World()
        let (client, endpoint) = try world.connect()
        _ = world.stuff(client)
        #expect(world.heldInPipes > 0)
        world.bench.pass(.seconds(3601))
        #expect(world.pipes.count == 0 && world.held == 0)
        _ = (client.octets(), endpoint.octets())
        #expect(client.isEnded && endpoint.isEnded)
    }
}

/// Source: docs/limits.md, Clients' connections.
@Suite struct `The pipes of a worker` {
    private let now = MonotonicTime(nanoseconds: 1_000_000_000)

    private func take(_ pool: PipePool, _ count: Int) throws -> [SplicePipe] {
        try (0..<count).map { _ in try #require(pool.take(at: now)) }
    }

    @Test func `are no more than they may be, and come back`() throws {
        let pool = PipePool(limit: 2)
        let taken = try take(pool, 2)
        #expect(pool.take(at: now) == nil && pool.count == 2)
        pool.give(taken[0])
        #expect(pool.take(at: now) === taken[0] && pool.take(at: now) == nil)
    }

    @Test func `are kept for the next use, four of them`() throws {
        let pool = PipePool(limit: 10)
        for pipe in try take(pool, 6) { pool.give(pipe) }
        #expect(pool.count == 4)
        _ = try take(pool, 4)
        #expect(pool.count == 4, "none was made anew")
    }

    @Test func `are closed when no relay is left, and when they are dropped`() throws {
        let pool = PipePool(limit: 10)
        let taken = try take(pool, 3)
        pool.drop(taken[0])
        pool.give(taken[1])
        #expect(pool.count == 2)
        pool.clear()
        #expect(pool.count == 1, "one is in use")
    }
}

@Suite struct `A pipe for splicing` {
    @Test func `is empty only when all was taken out of it`() throws {
        var (one, other): ([CInt], [CInt]) = ([0, 0], [0, 0])
        #expect(unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | O_NONBLOCK, 0, &one) == 0)
        #expect(unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | O_NONBLOCK, 0, &other) == 0)
        defer { for number in one + other { Socket.close(number) } }
        let pipe = try #require(SplicePipe(room: 65_536))
        #expect(pipe.isProvenEmpty && pipe.fill(from: one[1]) == .wouldBlock)
        _ = Socket.write(one[0], "abcdef")
        #expect(pipe.fill(from: one[1]) == .octets(6) && pipe.count == 6 && !pipe.isProvenEmpty)
        #expect(pipe.drain(to: other[0]) == .octets(6) && pipe.isProvenEmpty)
        Socket.finish(one[0])
        #expect(pipe.fill(from: one[1]) == .closed)
        let file = unsafe open("/dev/null", O_RDONLY)
        defer { Socket.close(file) }
        if case .failed(let code) = pipe.fill(from: file) { #expect(SplicePipe.isRefusal(code)) }
    }
}
