import HTTP
import Octets
import Testing

/// Frames that a hostile peer may send: right ones that were damaged, and made-up ones. Nothing may trap,
/// grow without a bound, or be lost in the pools; the fixed seeds make a failure repeatable.
@Suite struct `Hostile HTTP/2 frames` {
    /// What a peer sends in a usual conversation, as separate frames.
    private static func usual(_ random: inout Dice, asServer: Bool) throws -> [[UInt8]] {
        let peers = try HTTP2Peers(settles: false)
        let (speaker, listener) = asServer ? (peers.server, peers.client) : (peers.client, peers.server)
        let out = OctetBuffer()
        func collect() {
            speaker.session.flush(into: out, limit: .max)
            speaker.endTurn()
        }
        collect()
        var asked: [Int] = []
        for number in 0..<4 {
            let length = "\(random.roll(9))"
            if let slot = peers.client.request(
                "/\(number)", isEnd: random.roll(2) == 0, more: ["content-length": length])
            {
                asked.append(slot)
            }
            guard asServer else {
                let slot = asked[random.roll(asked.count)]
                speaker.send(slot, "body")
                if random.roll(2) == 0 { speaker.finish(slot, trailers: ["a": "1"]) }
                if random.roll(4) == 0 { speaker.session.reset(slot, code: ErrorCode.cancel) }
                collect()
                continue
            }
            peers.carry(listener, speaker)
            for slot in 0..<speaker.session.openStreams where random.roll(2) == 0 {
                speaker.respond(slot)
                speaker.send(slot, "answer")
                speaker.finish(slot, trailers: ["grpc-status": "0"])
            }
            collect()
        }
        return Self.frames(out.octets.array, skipping: asServer ? 0 : 24)
    }

    private static func frames(_ octets: [UInt8], skipping start: Int) -> [[UInt8]] {
        var frames: [[UInt8]] = start > 0 ? [Array(octets.prefix(start))] : []
        var index = start
        while index + 9 <= octets.count {
            let length = Int(octets[index]) << 16 | Int(octets[index + 1]) << 8 | Int(octets[index + 2])
            frames.append(Array(octets[index..<min(index + 9 + length, octets.count)]))
            index += 9 + length
        }
        return frames
    }

    private static func madeUp(_ random: inout Dice) -> [UInt8] {
        let lengths = [0, 1, 4, 5, 6, 8, 9, 40, 300]
        let length = lengths[random.roll(lengths.count)]
        let announced = random.roll(12) == 0 ? random.roll(20_000) : length
        let header = [
            UInt8(announced >> 16), UInt8(announced >> 8 & 255), UInt8(announced & 255), UInt8(random.roll(12)),
            UInt8(random.roll(256)), random.roll(30) == 0 ? 255 : 0, 0, 0, UInt8(random.roll(12)),
        ]
        return header + (0..<length).map { _ in UInt8(random.roll(256)) }
    }

    private static func damaged(_ frames: [[UInt8]], _ random: inout Dice) -> [UInt8] {
        var frames = frames
        for _ in 0..<random.roll(6) {
            let index = random.roll(frames.count)
            switch random.roll(5) {
            case 0: frames.remove(at: index)
            case 1: frames.insert(frames[random.roll(frames.count)], at: index)
            case 2: frames.insert(madeUp(&random), at: index)
            case 3: frames.swapAt(index, random.roll(frames.count))
            default:
                guard !frames[index].isEmpty else { continue }
                frames[index][random.roll(frames[index].count)] = UInt8(random.roll(256))
            }
            if frames.isEmpty { return [] }
        }
        return frames.flatMap { $0 }
    }

    /// Feeds octets in pieces, and does with each stream what a gateway might.
    private func feed(_ octets: [UInt8], to side: HTTP2Side, _ random: inout Dice) {
        var index = 0
        let out = OctetBuffer()
        while index < octets.count {
            let piece = Array(octets[index..<min(index + 1 + random.roll(200), octets.count)])
            index += piece.count
            unsafe piece.withUnsafeBytes { _ = unsafe side.receive(Octets($0)) }
            side.endTurn()
            let slot = random.roll(5)
            // Slots that never were are the owner's mistake, not the peer's.
            if side.session.openStreams > slot { act(on: slot, of: side, &random) }
            if random.roll(3) == 0 {
                side.session.flush(into: out, limit: 1 + random.roll(5000))
                side.endTurn()
                #expect(out.count < 200_000)
                out.clear()
            }
        }
    }

    private func act(on slot: Int, of side: HTTP2Side, _ random: inout Dice) {
        switch random.roll(6) {
        case 0: side.respond(slot)
        case 1: side.send(slot, String(repeating: "x", count: random.roll(3000)))
        case 2: side.session.finish(slot)
        case 3: side.session.reset(slot, code: ErrorCode.cancel)
        case 4: side.session.consume(slot, random.roll(100))
        default: side.session.resetAfterEnd(slot)
        }
    }

    @Test(arguments: 1...10) func `do no harm to a server`(seed: Int) throws {
        var random = Dice(seed: UInt64(seed))
        for _ in 0..<60 {
            let octets = Self.damaged(try Self.usual(&random, asServer: false), &random)
            var side: HTTP2Side? = try HTTP2Side(isServer: true, limits: HTTP2Limits())
            let pools = try #require(side?.pools)
            let ledger = PoolLedger(pools)
            if let side { feed(octets, to: side, &random) }
            side = nil
            ledger.check()
        }
    }

    @Test(arguments: 1...10) func `do no harm to a client`(seed: Int) throws {
        var random = Dice(seed: UInt64(seed))
        for _ in 0..<60 {
            let octets = Self.damaged(try Self.usual(&random, asServer: true), &random)
            var side: HTTP2Side? = try HTTP2Side(isServer: false, limits: .upstream)
            let pools = try #require(side?.pools)
            let ledger = PoolLedger(pools)
            for number in 0..<4 { _ = side?.request("/\(number)", isEnd: number % 2 == 0, keepsBody: number == 1) }
            side?.session.flush(into: OctetBuffer(), limit: .max)
            if let side { feed(octets, to: side, &random) }
            side = nil
            ledger.check()
        }
    }
}
