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
        for (field, expected) in zip(block.fields, plain.fields) {
            guard field.name.string == expected.name, field.value.string == expected.value else { return false }
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

    @Test func `knows each of its names, and no other`() {
        for raw in (0 as UInt8)..<31 {
            guard let known = KnownHeader(rawValue: raw), known.isExact else { continue }
            #expect(KnownHeader(name: known.name) == known)
            let longer = Array((known.name.string + "x").utf8)
            unsafe longer.withUnsafeBytes { #expect(KnownHeader(name: unsafe Octets($0)) == .other) }
        }
        #expect(
            KnownHeader(name: "x-envoy-original-path") == .reserved && KnownHeader(name: "x_request_id") == .reserved)
        #expect(KnownHeader(name: "x") == .other && KnownHeader(name: "") == .other)
    }

    @Test func `sets a name of the gateway's own in the place of others`() {
        let block = HeaderBlock()
        block.append("a" as StaticString, "1" as StaticString)
        block.setReserved(stable: "x-envoy-original-path", "/a")
        block.setReserved(stable: "x-envoy-original-host", "h")
        block.setReserved(stable: "x-envoy-original-path", "/b")
        let names = block.names
        #expect(
            block.fields.map { "\($0.name.string)=\($0.value.string)" } == [
                "a=1", "x-envoy-original-path=/b", "x-envoy-original-host=h",
            ])
        #expect(names.mayHave("a") && names.mayHave("x-envoy-original-host"))
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
                case 9:
                    edit(block, &plain, dice: &random, with: block.copy(value))
                case 10:
                    let known = KnownHeader(name: Octets(name))
                    guard known != .other, known != .reserved else { break }
                    block.replaceFirst(known, with: block.copy(value))
                    if let index = plain.fields.firstIndex(where: { $0.name == "\(name)" }) {
                        plain.fields[index].value = text
                    }
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

    /// One edit that keeps, removes and replaces fields by chance.
    private func edit(_ block: HeaderBlock, _ plain: inout Plain, dice: inout Dice, with value: Octets) {
        let choices = (0..<block.count).map { _ in dice.roll(4) }
        var index = 0
        block.edit { _ in
            defer { index += 1 }
            return choices[index] == 0 ? .remove : choices[index] == 1 ? .replace(value) : .keep
        }
        var edited = Plain()
        for (field, choice) in zip(plain.fields, choices) where choice != 0 {
            edited.fields.append((field.name, choice == 1 ? value.string : field.value))
        }
        plain = edited
    }

    @Test func `loses all fields of some kinds, and no others`() {
        let block = HeaderBlock()
        for name in Self.names + Self.names { block.append(name, "1" as StaticString) }
        let size = block.size
        block.remove(KnownHeaders(.host) | .expect)
        #expect(block.count == 2 * Self.names.count && block.size == size)
        block.remove(KnownHeaders(.cookie) | .te | .other)
        #expect(block.first(.cookie) == nil && block.first(.te) == nil && block.first(named: "x") == nil)
        #expect(block.count == 2 * (Self.names.count - 4))
        #expect(block.first(.path) == "1" && block.first(.reserved) == "1" && block.first(.requestID) == "1")
        block.append(.te, "trailers")
        #expect(block.first(.te) == "trailers" && block.first(named: "te") == "trailers")
        block.clear()
        #expect(block.first(.te) == nil && block.isEmpty)
    }

    @Test func `can be edited while it is gone through, without a step outside`() {
        let block = HeaderBlock()
        for _ in 0..<200 { block.append("x", "1" as StaticString) }
        var seen = 0
        for _ in block.fields {
            seen += 1
            if seen == 50 { block.edit { _ in .remove } }
        }
        #expect(seen == 50 && block.isEmpty)
    }

    @Test func `keeps a field apart from what only a gateway may say`() {
        for length in 9...80 {
            let tail = String(repeating: "a", count: length - 8)
            for prefix in ["x-envoy-", "x_envoy_", "x-envoy_", "x_envoy-"] {
                #expect(Self.known(prefix + tail) == .reserved, "\(prefix)\(tail)")
            }
            #expect(Self.known("x-envox-" + tail) == .other)
        }
        for name in ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-client-cert", "x-request-id"] {
            let dashes = name.indices.filter { name[$0] == "-" }
            for mask in 1..<(1 << dashes.count) {
                var text = Array(name)
                for (bit, place) in dashes.enumerated() where mask >> bit & 1 == 1 {
                    text[name.distance(from: name.startIndex, to: place)] = "_"
                }
                #expect(Self.known(String(text)) == .reserved, "\(String(text))")
            }
            #expect(Self.known(name) != .reserved && Self.known(name) != .other)
        }
        for name in ["x-forwarded-host", "x_forwarded_host", "x-request_ids", "x_real_ip"] {
            #expect(Self.known(name) == .other, "\(name)")
        }
    }

    private static func known(_ name: String) -> KnownHeader {
        unsafe Array(name.utf8).withUnsafeBytes { unsafe KnownHeader(name: Octets($0)) }
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

    @Test(
        arguments: [
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

@Suite struct `A field that is to be the only one of its kind` {
    private func values(_ lines: [(StaticString, StaticString)]) -> [String] {
        let block = HeaderBlock()
        for line in lines { block.append(line.0, line.1) }
        block.setOnly(.server, to: "ours")
        let size = block.fields.reduce(0) { $0 + $1.name.count + $1.value.count + 32 }
        #expect(block.size == size)
        return block.fields.map { "\($0.name.string)=\($0.value.string)" }
    }

    @Test func `is added, replaced, and left alone among others`() {
        #expect(values([("date", "d")]) == ["date=d", "server=ours"])
        #expect(values([("server", "theirs"), ("date", "d")]) == ["server=ours", "date=d"])
        #expect(
            values([("a", "1"), ("server", "x"), ("b", "2"), ("server", "y"), ("server", "z"), ("c", "3")])
                == ["a=1", "server=ours", "b=2", "c=3"])
        #expect(values([("server", "x"), ("server", "y")]) == ["server=ours"])
        #expect(values([]) == ["server=ours"])
    }
}
