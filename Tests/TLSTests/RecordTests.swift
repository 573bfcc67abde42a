import Glibc
import Testing

@testable import TLS

private let certificates = Certificates.shared

/// Two record streams that talk to each other, with the secrets of RFC 8448 §3.
private struct Pair {
    let client: RecordStream
    let server: RecordStream
    private let ends: (CInt, CInt)

    static let clientSecret = "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5"
    static let serverSecret = "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643"

    static func keys(reading: String, writing: String) -> RecordKeys {
        let keys = RecordKeys()
        let random = String(repeating: "0", count: 64)
        _ = unsafe keys.note("CLIENT_TRAFFIC_SECRET_0 \(random) \(reading)")
        _ = unsafe keys.note("SERVER_TRAFFIC_SECRET_0 \(random) \(writing)")
        return keys
    }

    init(_ cipher: RecordCipher = .aes128) throws {
        var made: [CInt] = [0, 0]
        let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
        precondition(unsafe socketpair(AF_UNIX, type, 0, &made) == 0)
        ends = (made[0], made[1])
        let longer = cipher == .aes256 ? String(repeating: "7", count: 32) : ""
        let (one, other) = (Self.clientSecret + longer, Self.serverSecret + longer)
        client = try #require(
            RecordStream(
                cipher, Self.keys(reading: other, writing: one), descriptor: made[0], recordsWritten: 0))
        server = try #require(
            RecordStream(
                cipher, Self.keys(reading: one, writing: other), descriptor: made[1], recordsWritten: 0))
    }

    func finish() {
        close(ends.0)
        close(ends.1)
    }

    /// A record of the client with this content and type.
    func inject(_ content: [UInt8], _ type: UInt8) {
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 20_000, alignment: 8)
        defer { unsafe room.deallocate() }
        guard let size = unsafe content.withUnsafeBytes({ unsafe client.seal($0, type, into: room) })
        else { return }
        injectRaw(unsafe Array(room[..<size]))
    }

    func injectRaw(_ octets: [UInt8]) { _ = unsafe write(ends.0, octets, octets.count) }

    func alert() -> [UInt8] {
        var room = [UInt8](repeating: 0, count: 100)
        let count = unsafe read(ends.0, &room, room.count)
        guard count > 0 else { return [] }
        return unsafe room[..<count].withUnsafeBytes { record in
            unsafe [UInt8](unsafeUninitializedCapacity: 100) { plain, count in
                count =
                    unsafe client.unseal(
                        UnsafeRawBufferPointer(record), into: UnsafeMutableRawBufferPointer(plain))?
                    .count ?? 0
            }
        }
    }
}

extension RecordStream {
    fileprivate func send(_ octets: [UInt8]) -> TLSResult {
        unsafe octets.withUnsafeBytes { unsafe write($0) }
    }

    fileprivate func receive(limit: Int = 1 << 16) -> (octets: [UInt8], after: TLSResult) {
        var after = TLSResult.wantsRead
        let octets = unsafe [UInt8](unsafeUninitializedCapacity: limit) { room, count in
            after = unsafe read(into: UnsafeMutableRawBufferPointer(room))
            if case .octets(let got) = after { count = got }
        }
        return (octets, after)
    }
}

private func broken(_ text: String) -> TLSResult { .failed(.brokenStream(text)) }

@Suite struct `A record stream` {
    @Test func `derives the keys of RFC 8448`() throws {
        let pair = try Pair()
        defer { pair.finish() }
        // §3, "{client} send application_data record": the octets 0 to 49.
        pair.injectRaw(
            octets(
                """
                1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20
                441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4
                """))
        #expect(pair.server.receive().octets == Array(0..<50))
    }

    @Test(arguments: [RecordCipher.aes128, .aes256, .chacha20])
    func `brings all sizes across`(cipher: RecordCipher) throws {
        let pair = try Pair(cipher)
        defer { pair.finish() }
        for size in [1, 2, 15, 16, 1023, 1024, 1025, 16_383, 16_384, 16_385, 65_536] {
            let message = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            #expect(pair.client.send(message) == .octets(size))
            var all: [UInt8] = []
            while case let (octets, .octets(_)) = pair.server.receive() { all += octets }
            #expect(all == message)
        }
        #expect(pair.server.isDrained)
    }

    @Test(arguments: [1, 7, 100, 16_384, 20_000])
    func `serves a reader with little room`(limit: Int) throws {
        let pair = try Pair()
        defer { pair.finish() }
        let message = (0..<40_000).map { UInt8(truncatingIfNeeded: $0 >> 4) }
        #expect(pair.client.send(message) == .octets(message.count))
        var all: [UInt8] = []
        while case let (octets, .octets(count)) = pair.server.receive(limit: limit) {
            #expect(count <= limit && count > 0)
            all += octets
        }
        #expect(all == message)
        #expect(!pair.server.hasPendingOctets)
    }

    @Test func `waits for a record that comes octet by octet`() throws {
        let pair = try Pair()
        defer { pair.finish() }
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 100, alignment: 8)
        defer { unsafe room.deallocate() }
        let content: [UInt8] = [1, 2, 3]
        let size = try #require(
            unsafe content.withUnsafeBytes { unsafe pair.client.seal($0, 23, into: room) })
        for octet in unsafe Array(room[..<(size - 1)]) {
            pair.injectRaw([octet])
            #expect(pair.server.receive().after == .wantsRead)
            #expect(!pair.server.hasPendingOctets)
        }
        pair.injectRaw([unsafe room[size - 1]])
        #expect(pair.server.receive().octets == content)
    }

    @Test func `drops padding`() throws {
        let pair = try Pair()
        defer { pair.finish() }
        pair.inject([5, 6, 23, 0, 0, 0], 0)
        #expect(pair.server.receive().octets == [5, 6])
    }

    @Test func `changes keys when the peer does, and when it asks for it`() throws {
        let pair = try Pair()
        defer { pair.finish() }
        for request in [UInt8(0), 1, 1] {
            pair.inject([24, 0, 0, 1, request], 22)
            #expect(pair.server.receive().after == .wantsRead)
            let identity = pair.client.desk.nextIdentity()
            let isUpdated = pair.client.keys.writing.update(.aes128, identity: identity)
            #expect(isUpdated)
            pair.inject([9], 23)
            #expect(pair.server.receive().octets == [9])
            #expect(pair.server.send([7]) == .octets(1))
            #expect(pair.client.receive().octets == [7])
        }
    }

    @Test func `changes its own key in time`() throws {
        let pair = try Pair()
        defer { pair.finish() }
        pair.server.keys.writing.sequence = RecordStream.keyLife
        pair.client.keys.reading.sequence = RecordStream.keyLife
        #expect(pair.server.send([1, 2]) == .octets(2))
        #expect(pair.client.receive().octets == [1, 2])
        #expect(pair.server.keys.writing.sequence == 1)
    }

    @Test func `ends with close_notify, after what came before`() throws {
        let pair = try Pair()
        defer { pair.finish() }
        pair.inject([1], 23)
        pair.inject([1, 90], 21)    // user_canceled
        pair.inject([1, 0], 21)
        #expect(pair.server.receive() == ([1], .octets(1)))
        #expect(pair.server.receive().after == .closed)
        #expect(pair.server.send([3]) == .octets(1))
    }

    @Test func `tells the peer's alert`() throws {
        let pair = try Pair()
        defer { pair.finish() }
        pair.inject([2, 20], 21)
        #expect(pair.server.receive().after == .failed(.peerAlert("sslv3 alert bad record mac")))
    }

    @Test(arguments: [
        (content: [UInt8](), type: UInt8(0), alert: UInt8(10)),    // no type at all
        ([0, 0, 0], 0, 10),
        ([1], 20, 10),    // change_cipher_spec, of use during a handshake only
        ([1], 99, 10),
        ([24, 0, 0, 1, 2], 22, 47),
        ([24, 0, 0, 1, 0, 24, 0, 0, 1, 0], 22, 10),    // more behind the change of keys
        ([24, 0, 0], 22, 10),
        ([1, 0, 0, 0], 22, 10),    // a ClientHello: renegotiation
        ([], 22, 10),
        ([1], 21, 50),
        ([1, 0, 1, 0], 21, 50),
    ])
    func `refuses what may not come now`(content: [UInt8], type: UInt8, alert: UInt8) throws {
        let pair = try Pair()
        defer { pair.finish() }
        pair.inject(content, type)
        guard case .failed(.brokenStream) = pair.server.receive().after else {
            Issue.record("not refused")
            return
        }
        #expect(pair.alert() == [2, alert])
    }

    @Test func `refuses a flood of records without content`() throws {
        let pair = try Pair()
        defer { pair.finish() }
        for _ in 0..<RecordStream.quietLimit { pair.inject([], 23) }
        #expect(pair.server.receive().after == .wantsRead)
        pair.inject([], 23)
        #expect(pair.server.receive().after == broken("unexpected record"))
    }

    @Test(arguments: [
        [UInt8(22), 3, 3, 0, 40], [21, 3, 3, 0, 2], [23, 3, 3, 0x41, 1], [23, 3, 3, 0xff, 0xff],
        [23, 3, 3, 0, 0], [23, 3, 3, 0, 16], [0, 0, 0, 0, 17],
    ])
    func `refuses headers that no record of this connection has`(header: [UInt8]) throws {
        let pair = try Pair()
        defer { pair.finish() }
        pair.injectRaw(header + [UInt8](repeating: 0, count: 60))
        guard case .failed(.brokenStream) = pair.server.receive().after else {
            Issue.record("not refused")
            return
        }
    }

    @Test func `never traps, wherever a record is damaged`() throws {
        for index in 0..<40 {
            let pair = try Pair()
            defer { pair.finish() }
            let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 100, alignment: 8)
            defer { unsafe room.deallocate() }
            let content = [UInt8](repeating: 4, count: 18)
            let size = try #require(
                unsafe content.withUnsafeBytes { unsafe pair.client.seal($0, 23, into: room) })
            #expect(size == 40)
            unsafe room[index] ^= 0x81
            pair.injectRaw(unsafe Array(room[..<size]))
            // The version is of no meaning, but it is sealed; a longer record is waited for.
            switch pair.server.receive().after {
            case .octets: Issue.record("taken")
            default: break
            }
        }
    }

    private func octets(_ digits: String) -> [UInt8] {
        let values = digits.compactMap { $0.hexDigitValue.map { UInt8($0) } }
        return stride(from: 0, to: values.count, by: 2).map { values[$0] << 4 | values[$0 + 1] }
    }
}

@Suite struct `A server's TLS 1.3 session` {
    @Test(arguments: RecordCipher.allNames)
    func `goes on without OpenSSL's session`(suite: String) throws {
        let client = try certificates.client(cipherSuites: [suite])
        let line = try Line(selector((["*"], try certificates.context("ec"))), client: client)
        #expect(line.shakeHands() == (.done, .done))
        #expect(line.server.records != nil)
        #expect(line.server.cipherSuite == suite)
        #expect(line.server.protocolVersion == "TLSv1.3")
        #expect(line.server.negotiatedHTTP2 == true)
        for round in UInt8(0)..<3 {
            #expect(line.client?.send([1, round]) == .octets(2))
            #expect(line.server.receive() == ([1, round], .wantsRead))
            #expect(line.server.send([2, round]) == .octets(2))
            #expect(line.client?.receive().octets == [2, round])
            #expect(line.client?.updateKeys() == true)
        }
    }

    @Test func `takes what the client sent right behind its handshake`() throws {
        let client = try certificates.client()
        let line = try Line(selector((["*"], try certificates.context("ec"))), client: client)
        #expect(line.client?.handshake() == .wantsRead)
        #expect(line.server.handshake() == .wantsRead)
        #expect(line.client?.handshake() == .done)
        let message = [UInt8](repeating: 8, count: 30_000)
        #expect(line.client?.send(message) == .octets(message.count))
        #expect(line.server.handshake() == .done)
        #expect(line.server.receive().octets == message)
    }
}

extension RecordCipher {
    fileprivate static let allNames = [Self.aes128, .aes256, .chacha20].map(\.suiteName)
}
