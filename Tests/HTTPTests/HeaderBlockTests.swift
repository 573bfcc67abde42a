import HTTP
import Octets
import Testing

@Suite struct `A header block` {
    private static let names: [StaticString] = [
        ":path", ":authority", "te", "cookie", "grpc-status", "content-type", "x-request-id", "x-envoy-retry-on",
        "x", "other-name", "x-forwarded-for",
    ]

    /// The same fields in an array of texts.
    private struct Plain {
        var fields: [(name: String, value: String)] = []
        var size: Int { fields.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count + 32 } }
    }

    private func check(_ block: HeaderBlock, _ plain: Plain) -> Bool {
        guard block.count == plain.fields.count, block.size == plain.size else { return false }
        for index in 0..<block.count {
            let field = block.fields[index]
            guard field.name.string == plain.fields[index].name,
                field.value.string == plain.fields[index].value else { return false }
        }
        for name in Self.names {
            let octets = Octets(name)
            let expected = plain.fields.first { $0.name == octets.string }?.value
            let known = KnownHeader(name: octets)
            guard block.first(named: octets)?.string == expected else { return false }
            if known != .other, block.first(known)?.string != expected { return false }
        }
        return true
    }

    private func value(_ random: inout Dice) -> [UInt8] {
        let lengths = [0, 1, 20, 1023, 1024, 1025, 5000]
        return (0..<lengths[random.roll(random.roll(8) == 0 ? 7 : 3)]).map { _ in UInt8(97 + random.roll(26)) }
    }

    @Test(arguments: 1...8) func `is what a plain list is, whatever is done to it`(seed: Int) {
        var random = Dice(seed: UInt64(seed))
        let pools = MessagePools()
        let block = pools.takeBlock()
        var plain = Plain()
        for step in 0..<1500 {
            let name = Self.names[random.roll(Self.names.count)]
            let octets = value(&random)
            let text = String(decoding: octets, as: UTF8.self)
            unsafe octets.withUnsafeBytes { bytes in
                let value = unsafe Octets(bytes)
                switch random.roll(12) {
                case 0...4:
                    block.append(copying: Octets(name), value)
                    plain.fields.append(("\(name)", text))
                case 5, 6:
                    block.append(name, value)
                    plain.fields.append(("\(name)", text))
                case 7:
                    block.append(name, "fixed" as StaticString)
                    plain.fields.append(("\(name)", "fixed"))
                case 8:
                    block.prepend(stable: Octets(name), block.copy(value))
                    plain.fields.insert(("\(name)", text), at: 0)
                case 9 where !plain.fields.isEmpty:
                    let index = random.roll(plain.fields.count)
                    block.replace(at: index, with: block.copy(value))
                    plain.fields[index].value = text
                case 10:
                    block.removeAll { $0.name == Octets(name) }
                    plain.fields.removeAll { $0.name == "\(name)" }
                default:
                    guard plain.fields.count > 150 || random.roll(20) == 0 else { break }
                    block.clear()
                    plain.fields = []
                }
            }
            guard check(block, plain) else {
                Issue.record("step \(step)")
                return
            }
        }
        pools.letGo(block)
    }

    @Test func `has a place for every kind of field`() {
        #expect(KnownHeader(rawValue: 31) == nil || KnownHeader(rawValue: 32) == nil)
        #expect((32...255).allSatisfy { KnownHeader(rawValue: $0) == nil })
    }

    @Test(arguments: [0, 24, 100, 254, 255, 300]) func `finds a field behind many others`(others: Int) {
        let block = HeaderBlock()
        for _ in 0..<others { block.append("x", "1" as StaticString) }
        block.append("grpc-status", "7" as StaticString)
        #expect(block.first(named: "grpc-status") == "7")
        #expect(block.first(.grpcStatus) == "7")
    }

    @Test(arguments: [
        ("connection", true), ("keep-alive", true), ("proxy-connection", true), ("transfer-encoding", true),
        ("upgrade", true), ("http2-settings", true), ("te", false), ("trailer", false), ("host", false),
        ("content-length", false), ("x-connection", false),
    ] as [(StaticString, Bool)])
    func `knows which fields end at the gateway`(name: StaticString, isHopByHop: Bool) {
        #expect(KnownHeader(name: Octets(name)).isHopByHop == isHopByHop)
    }

    @Test func `is kept for later when nobody holds it any more, empty`() {
        let pools = MessagePools()
        let block = pools.takeBlock()
        block.append("x", "1" as StaticString)
        block.hold()
        pools.letGo(block)
        #expect(block.count == 1)
        #expect(pools.takeBlock() !== block)
        pools.letGo(block)
        #expect(block.isEmpty && block.size == 0)
        #expect(pools.takeBlock() === block)
    }
}
