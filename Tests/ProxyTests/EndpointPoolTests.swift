import Balancing
import HTTP
import Octets
import Reactor
import Testing

@testable import Proxy

@Suite struct `The queue of an endpoint` {
    private let endpoint = Endpoint(
        EndpointState(address: .unix(path: "@portico-pool"), numbers: EndpointNumbers()))

    private func pool(http2: Bool = false) -> EndpointPool {
        EndpointPool(endpoint: endpoint, transport: UpstreamTransport(isHTTP2: http2))
    }

    private func connection(of pool: EndpointPool) -> Connection {
        Connection(slot: 0, descriptor: -1, pool: pool, now: MonotonicTime(nanoseconds: 1))
    }

    @Test func `serves in order, and those that leave are not served`() {
        let pool = pool()
        let places = (0..<1000).map { pool.enqueue(Applicant(exchange: $0)) }
        for number in stride(from: 1, to: 1000, by: 2) { pool.leave(places[number], number) }
        pool.leave(places[1], 1)    // again
        pool.leave(places[0], 5000)    // another's place
        #expect(pool.waitingCount == 500)
        var served: [Int] = []
        while let next = pool.dequeue() { served.append(next) }
        #expect(served == Array(stride(from: 0, to: 1000, by: 2)))
        #expect(pool.waitingCount == 0 && pool.dequeue() == nil)
    }

    /// Against a plain array, over coming, leaving and being served in any order.
    @Test func `is as a plain queue, whatever the order`() {
        var random = SystemRandomNumberGenerator()
        let pool = pool()
        var plain: [Int] = []
        var places: [Int: WaitingQueue.Place] = [:]
        for number in 0..<20_000 {
            switch Int.random(in: 0..<5, using: &random) {
            case 0, 1, 2:
                places[number] = pool.enqueue(Applicant(exchange: number))
                plain.append(number)
            case 3:
                let next = plain.isEmpty ? nil : plain.removeFirst()
                let served = pool.dequeue()
                #expect(served == next)
            default:
                guard let gone = plain.randomElement(using: &random), let place = places[gone] else { continue }
                pool.leave(place, gone)
                plain.removeAll { $0 == gone }
            }
            #expect(pool.waitingCount == plain.count)
        }
    }

    @Test func `serves those that want a new connection apart, each list in order`() {
        let pool = pool()
        let places = (0..<6).map { pool.enqueue(Applicant(exchange: $0, wantsNew: $0 % 2 == 1)) }
        pool.leave(places[3], 3)
        pool.leave(places[2], 2)
        #expect(pool.waitingCount == 4)
        #expect((0..<4).map { _ in pool.dequeue() } == [1, 5, 0, 4])
        #expect(pool.dequeue() == nil)
    }

    @Test func `gives a kept connection to who wants a new one only where none is being made`() throws {
        let pool = pool()
        let (kept, made) = (connection(of: pool), connection(of: pool))
        for connection in [kept, made] {
            connection.speak(HTTP1Session(isServer: false, scheme: .http, pools: MessagePools()))
            connection.state.enter(.open(.serving), at: MonotonicTime(nanoseconds: 1))
        }
        kept.hasServed = true
        let now = MonotonicTime(nanoseconds: 1)
        for _ in 0..<2 { pool.connectionBegan() }
        pool.connectionOpened(kept)
        pool.becameIdle(kept)
        _ = pool.enqueue(Applicant(exchange: 7, wantsNew: true))
        #expect(pool.nextServed(at: now)?.exchange == nil && pool.idleCount == 1)
        pool.connectionOpened(made)
        pool.becameIdle(made)
        _ = pool.enqueue(Applicant(exchange: 8))
        let first = try #require(pool.nextServed(at: now))
        #expect(first.exchange == 7 && first.connection { $0 === made })
        #expect(pool.nextServed(at: now)?.exchange == 8)
        pool.becameIdle(kept)
        _ = pool.enqueue(Applicant(exchange: 9, wantsNew: true))
        #expect(pool.nextServed(at: now)?.exchange == 9)
    }

    /// Two keep connections, and one of those that want new ones has none on its way.
    @Test func `lets requests pass those that want new ones, as long as these have some on their way`() throws {
        let pool = pool()
        let kept = connection(of: pool)
        kept.speak(HTTP1Session(isServer: false, scheme: .http, pools: MessagePools()))
        kept.state.enter(.open(.serving), at: MonotonicTime(nanoseconds: 1))
        kept.hasServed = true
        let now = MonotonicTime(nanoseconds: 1)
        pool.connectionBegan()
        pool.connectionOpened(kept)
        pool.connectionBegan()
        _ = pool.enqueue(Applicant(exchange: 1, wantsNew: true))
        pool.becameIdle(kept)
        #expect(pool.available(to: Applicant(exchange: 2, wantsNew: true), at: now) == nil)
        #expect(pool.available(to: Applicant(exchange: 2), at: now) != nil)
        pool.becameIdle(kept)
        _ = pool.enqueue(Applicant(exchange: 3, wantsNew: true))
        #expect(pool.lacksNew && pool.available(to: Applicant(exchange: 4), at: now) == nil)
        _ = pool.enqueue(Applicant(exchange: 4))
        // Nothing is being made for one of the two: it comes before those that take any.
        #expect(pool.nextServed(at: now)?.exchange == 1 && !pool.lacksNew)
        pool.becameIdle(kept)
        #expect(pool.nextServed(at: now)?.exchange == 4)
        pool.becameIdle(kept)
        #expect(pool.nextServed(at: now) == nil && pool.waitingCount == 1)
    }

    @Test func `of HTTP/2 has no connections that nobody has used`() throws {
        let pool = pool(http2: true)
        _ = pool.enqueue(Applicant(exchange: 1, wantsNew: true))
        #expect(!pool.lacksNew && pool.dequeue() == 1)
    }

    @Test func `wants a connection for each that waits, and of HTTP/2 for as many as one takes`() {
        let (plain, multiplexed) = (pool(), pool(http2: true))
        for number in 0..<250 {
            _ = plain.enqueue(Applicant(exchange: number))
            _ = multiplexed.enqueue(Applicant(exchange: number))
        }
        for _ in 0..<2 {
            #expect(plain.needsConnection && multiplexed.needsConnection)
            plain.connectionBegan()
            multiplexed.connectionBegan()
        }
        multiplexed.connectionBegan()
        #expect(plain.needsConnection && !multiplexed.needsConnection)
        multiplexed.learnedStreamLimit = 10
        #expect(multiplexed.needsConnection)
    }

    @Test func `tells how many a failed connection leaves without one`() {
        let (plain, multiplexed) = (pool(), pool(http2: true))
        for number in 0..<3 {
            _ = plain.enqueue(Applicant(exchange: number))
            _ = multiplexed.enqueue(Applicant(exchange: number))
        }
        let connections = (0..<4).map { _ in connection(of: plain) }
        for _ in connections { plain.connectionBegan() }
        plain.remove(connections[0])
        #expect(plain.unservedByFailure == 0, "three are on their way for three that wait")
        plain.remove(connections[1])
        #expect(plain.unservedByFailure == 1 && plain.connecting == 2 && plain.count == 2)
        multiplexed.connectionBegan()
        multiplexed.connectionBegan()
        multiplexed.remove(connection(of: multiplexed))
        #expect(multiplexed.unservedByFailure == 0)
        multiplexed.remove(connection(of: multiplexed))
        #expect(multiplexed.unservedByFailure == 3)
    }

    @Test func `forgets a connection that is gone`() {
        let pool = pool()
        let made = connection(of: pool)
        pool.connectionBegan()
        made.state.enter(.open(.serving), at: MonotonicTime(nanoseconds: 2))
        pool.connectionOpened(made)
        pool.becameIdle(made)
        #expect(pool.idleCount == 1 && pool.connecting == 0 && pool.count == 1)
        let left = pool.retire()
        #expect(left.count == 1 && pool.isRetired)
        pool.remove(made)
        #expect(pool.idleCount == 0 && pool.count == 0 && pool.available(at: MonotonicTime(nanoseconds: 0)) == nil)
    }

    @Test func `asks about the end of a silent connection once a second, however many requests come`() throws {
        let pool = pool(http2: true)
        let silent = connection(of: pool)
        pool.connectionBegan()
        silent.speak(HTTP2Session(isServer: false, limits: .upstream, pools: MessagePools()))
        silent.state.enter(.open(.serving), at: MonotonicTime(nanoseconds: 1))
        pool.connectionOpened(silent)
        let times: [UInt64] = [900, 1500, 1501, 2400, 2600, 2700].map { $0 * 1_000_000 }
        let asked = times.map { time in
            let found = pool.available(at: MonotonicTime(nanoseconds: time))
            #expect(found != nil)
            return silent.state.foundOpen.nanoseconds / 1_000_000
        }
        #expect(asked == [0, 1500, 1500, 1500, 2600, 2600])
        silent.state.peerHungUp()
        #expect(pool.available(at: MonotonicTime(nanoseconds: times[5])) == nil, "its end is not read yet")
    }
}
