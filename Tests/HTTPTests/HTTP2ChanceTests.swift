import HTTP
import Octets
import Testing

/// Many streams at once, in any order and in pieces of any size, beside a plain record of what was sent.
@Suite struct `HTTP/2 streams at random` {
    /// What the client knows of one stream that it opened.
    private struct Call {
        var isSent = false    // the whole answer was given to the server's session
        var answer = ""
        var heard = ""
        var isReset = false
    }

    private final class Play {
        let peers: HTTP2Peers
        var random: Dice
        var calls: [String: Call] = [:]    // by path
        var open: [Int: String] = [:]    // client's slots
        var serving: [Int: String] = [:]    // server's slots
        var ended: Set<String> = []
        private var paths = 0

        init(seed: UInt64) throws {
            var limits = HTTP2Limits()
            limits.streamWindowOctets = 3000
            limits.concurrentStreams = 1000
            peers = try HTTP2Peers(server: limits, client: limits)
            random = Dice(seed: seed)
        }

        func openStream() throws {
            paths += 1
            let isEnd = random.roll(2) == 0
            let keeps = random.roll(2) == 0
            let slot = try #require(
                peers.client.request("/\(paths)", isEnd: isEnd, owner: .exchange(paths), keepsBody: keeps))
            open[slot] = "/\(paths)"
            calls["/\(paths)"] = Call()
            if !isEnd { peers.client.send(slot, String(repeating: "q", count: random.roll(5000))) }
        }

        func actOnClient() {
            guard let (slot, path) = open.randomElement(using: &random), calls[path]?.isReset == false
            else { return }
            switch random.roll(6) {
            case 0:
                peers.client.session.reset(slot, code: ErrorCode.cancel)
                calls[path]?.isReset = true
            case 1: peers.client.session.finish(slot)
            case 2: peers.client.finish(slot, trailers: ["a": "1"])
            case 3: peers.client.session.stopKeeping(slot)
            default: peers.client.send(slot, "more")
            }
        }

        func actOnServer() {
            guard let (slot, path) = serving.randomElement(using: &random) else { return }
            guard peers.server.session.isOpen(slot), calls[path]?.isSent == false else { return }
            peers.server.respond(slot)
            switch random.roll(5) {
            case 0:
                peers.server.session.finish(slot)
                calls[path]?.isSent = true
            case 1:
                peers.server.finish(slot, trailers: ["grpc-status": "0"])
                calls[path]?.isSent = true
            default:
                let text = String(repeating: String(path.last ?? "?"), count: 1 + random.roll(4000))
                peers.server.send(slot, text)
                calls[path]?.answer += text
            }
        }

        /// Each way by chance, so that both sides also act on what is old.
        func carry() {
            let piece = [1, 13, 600, 100_000][random.roll(4)]
            if random.roll(2) == 0 {
                peers.carry(peers.client, peers.server, piece: piece, limit: 1 + random.roll(9000))
            } else {
                peers.carry(peers.server, peers.client, piece: piece, limit: 1 + random.roll(9000))
            }
            listen()
        }

        func listen() {
            for line in peers.server.lines() {
                let words = Self.words(line)
                guard words.count > 1, let slot = Int(words[1]) else { continue }
                if words[0] == "headers" {
                    serving[slot] = words.first { $0.hasPrefix(":path=") }.map { String($0.dropFirst(6)) }
                } else if words[0] == "closed" {
                    serving[slot] = nil
                }
            }
            for line in peers.client.lines() {
                let words = Self.words(line)
                guard words.count > 1, let slot = Int(words[1]), let path = open[slot] else { continue }
                if words[0] == "data" { calls[path]?.heard += words[2] }
                if words[0] == "end" { ended.insert(path) }
                if words[0] == "closed" { open[slot] = nil }
            }
        }

        /// Data are one word, and are not searched for more: they are long.
        private static func words(_ line: String) -> [Substring] {
            let most = line.hasPrefix("data ") ? 2 : .max
            return line.split(separator: " ", maxSplits: most, omittingEmptySubsequences: false)
        }

        func end() {
            for (slot, path) in serving where calls[path]?.isSent == false {
                peers.server.respond(slot)
                peers.server.session.finish(slot)
                calls[path]?.isSent = true
            }
            peers.settle()
            listen()
        }
    }

    @Test(arguments: 1...12) func `all arrive whole, and nothing is lost in the pools`(seed: Int) throws {
        let play = try Play(seed: UInt64(seed))
        for _ in 0..<400 {
            if play.open.count < 12, play.random.roll(4) == 0 { try play.openStream() }
            play.actOnClient()
            play.actOnServer()
            play.carry()
        }
        for slot in play.open.keys { play.peers.client.session.finish(slot) }
        play.peers.settle()
        play.listen()
        play.end()
        for (path, call) in play.calls {
            #expect(call.answer.hasPrefix(call.heard), "\(path)")
            guard !call.isReset else { continue }
            #expect(call.heard == call.answer && play.ended.contains(path), "\(path)")
        }
        #expect(play.calls.count > 20)
        play.peers.checkPools()
    }
}

/// Numbers that are the same in every run.
struct Dice: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state &* 0x2545_f491_4f6c_dd1d
    }

    mutating func roll(_ limit: Int) -> Int { Int(next() >> 33) % limit }
}
