import Octets

@testable import HTTP

/// HPACK: what the encoder writes is read as it was, and octets of chance are the same in any pieces.
enum HPACKFuzz {
    /// Sections of fields through an encoder and a decoder that know each other's tables.
    static let pair: @Sendable ([UInt8]) -> Void = { octets in
        var supply = Supply(octets)
        let wire = HPACKWire(isServer: supply.octet() & 1 == 0)
        var names: [[UInt8]] = [Array("x-a".utf8), Array("cookie".utf8), Array(":path".utf8)]
        while !supply.isEmpty {
            if supply.number(below: 8) == 0 { wire.encoder.limitTable(to: UInt32(supply.octet()) << 5) }
            var fields: [HPACKWire.Field] = []
            for _ in 0..<supply.number(below: 12) {
                let choice = supply.octet()
                if choice & 1 == 0 { names.append(supply.run()) }
                let name = names[Int(choice >> 2) % names.count]
                fields.append(HPACKWire.Field(name: name, value: supply.run(), isSensitive: choice & 2 != 0))
            }
            check(fields, wire)
        }
    }

    private static func check(_ fields: [HPACKWire.Field], _ wire: HPACKWire) {
        guard let written = wire.encode(fields) else { broken("a bound was too small") }
        guard let read = wire.decode([written[...]]) else { broken("our own section is refused") }
        demand(read.map(\.name) == fields.map(\.name), "names differ")
        demand(read.map(\.value) == fields.map(\.value), "values differ")
        let kept = zip(read, fields).allSatisfy { $0.isSensitive || !$1.isSensitive }
        demand(kept, "what must be in no table is allowed into one")
    }

    /// Sections of chance, each whole and in pieces. An octet says how long each is.
    static let decoder: @Sendable ([UInt8]) -> Void = { octets in
        var supply = Supply(octets)
        var pieces = Pieces(seed: supply.octet())
        let (whole, cut) = (HPACKWire(isServer: true), HPACKWire(isServer: true))
        while !supply.isEmpty {
            let section = supply.run()
            let first = whole.decode([section[...]])
            let second = cut.decode(section.isEmpty ? [[]] : pieces.cut(section, most: 5))
            demand(first == second, "in pieces it is another section: \(section)")
            if first == nil { return }
        }
    }
}

/// An encoder, and a decoder.
final class HPACKWire {
    struct Field: Equatable {
        var name: [UInt8]
        var value: [UInt8]
        var isSensitive: Bool
    }

    var encoder: HPACKEncoder
    private var decoder = HPACK(isServer: true)
    private let pools = MessagePools()

    init(isServer: Bool) { encoder = HPACKEncoder(isServer: isServer) }

    deinit {
        encoder.close()
        decoder.close()
    }

    func encode(_ fields: [Field]) -> [UInt8]? {
        let block = HeaderBlock()
        for field in fields {
            let (name, value) = (field.name.withOctets(block.copy), field.value.withOctets(block.copy))
            block.append(stable: name, value, isSensitive: field.isSensitive)
        }
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: HPACKEncoder.bound(block), alignment: 1)
        defer { unsafe room.deallocate() }
        guard let count = unsafe encoder.encode(block, into: room) else { return nil }
        return unsafe Array(room[..<count])
    }

    /// nil when the section is refused.
    func decode(_ pieces: [ArraySlice<UInt8>]) -> [Field]? {
        var fields: [Field] = []
        for (number, piece) in pieces.enumerated() {
            let outcome = piece.withOctets { octets in
                decoder.decode(octets, isFinal: number == pieces.count - 1, pools: pools) {
                    fields.append(Field(name: $0.array, value: $1.array, isSensitive: $2))
                }
            }
            guard case .done = outcome else { return nil }
        }
        return fields
    }
}
