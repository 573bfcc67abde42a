import Octets

@testable import HTTP
@testable import Manifests
import Routing

/// The rules and the edits of header fields, and the values that rules make.
enum HeaderFuzz {
    private typealias Field = (name: [UInt8], value: [UInt8])

    private static let names: [[UInt8]] = [
        ":method", ":scheme", ":authority", ":path", ":status", ":protocol", "host", "connection", "te", "cookie",
        "transfer-encoding", "content-length", "upgrade", "expect", "x-forwarded-for", "x-forwarded-proto",
        "x-request-id", "x-envoy-a", "grpc-timeout", "x",
    ].map { Array($0.utf8) }

    private static func field(_ supply: inout Supply) -> Field {
        let choice = Int(supply.octet())
        return (choice < 200 ? names[choice % names.count] : supply.run(), supply.run())
    }

    private static func block(_ fields: [Field]) -> HeaderBlock {
        let block = HeaderBlock()
        for field in fields {
            field.name.withOctets { name in field.value.withOctets { block.append(copying: name, $0) } }
        }
        return block
    }

    /// A request that HTTP/2 lets in is one request for HTTP/1.1, whatever its fields; and a block has after each edit
    /// what a plain list has.
    static let fields: @Sendable ([UInt8]) -> Void = { octets in
        var supply = Supply(octets)
        var fields: [Field] = []
        for _ in 0..<supply.number(below: 16) { fields.append(field(&supply)) }
        checkTranslation(block(fields))
        let edited = block(fields)
        for _ in 0..<8 where !supply.isEmpty {
            edit(edited, &fields, &supply)
            let found = edited.fields.map { [$0.name.array, $0.value.array] }
            demand(found == fields.map { [$0.name, $0.value] }, "\(found) is not \(fields)")
            let size = fields.reduce(0) { $0 + $1.name.count + $1.value.count + 32 }
            demand(edited.size == size, "the size is \(edited.size), not \(size)")
            checkPlaces(edited)
        }
    }

    private static func checkTranslation(_ block: HeaderBlock) {
        var rules = HeaderRules(.request)
        let isAccepted = block.fields.allSatisfy { rules.accept($0.known, $0.name, $0.value) }
        let output = OctetBuffer()
        guard (try? HTTP1Serializer.writeRequest(block, framing: .chunked, to: output)) != nil else {
            demand(output.isEmpty, "a part of a request was written")
            return
        }
        HTTP1Serializer.writeLastChunk(to: output)
        var trace = HTTP1Trace(HTTP1Parser(role: .request(.http), limits: .request))
        trace.feed(output.octets.array)
        let isOne = trace.complete.count == 1 && trace.pending.isEmpty && trace.failure == nil
        demand(isOne || !isAccepted, "what HTTP/2 accepts is another thing in HTTP/1.1: \(output.octets.string)")
        demand(trace.complete.count <= 1, "two requests: \(output.octets.string)")
    }

    private static func checkPlaces(_ block: HeaderBlock) {
        for known in [KnownHeader.host, .cookie, .path, .contentLength, .forwardedFor, .requestID] {
            let first = block.fields.first { $0.known == known }
            demand(block.first(known)?.array == first?.value.array, "the first \(known) is another one")
        }
    }

    private static func edit(_ block: HeaderBlock, _ fields: inout [Field], _ supply: inout Supply) {
        let (kind, chosen) = (supply.number(below: 5), field(&supply))
        switch kind {
        case 0:
            chosen.name.withOctets { name in chosen.value.withOctets { block.append(copying: name, $0) } }
            fields.append(chosen)
        case 1:
            chosen.name.withOctets { name in block.edit { $0.name == name ? .remove : .keep } }
            fields.removeAll { $0.name == chosen.name }
        case 2:
            let value = chosen.value.withOctets(block.copy)
            chosen.name.withOctets { block.set(copying: $0, value) }
            setOnly(&fields, chosen)
        case 3:
            block.remove(KnownHeaders(.host) | .cookie)
            fields.removeAll { ["host", "cookie"].contains(String(decoding: $0.name, as: UTF8.self)) }
        default:
            let value = chosen.value.withOctets(block.copy)
            block.setOnly(.forwardedFor, to: value)
            setOnly(&fields, (Array("x-forwarded-for".utf8), chosen.value))
        }
    }

    private static func setOnly(_ fields: inout [Field], _ chosen: Field) {
        guard let place = fields.firstIndex(where: { $0.name == chosen.name }) else { return fields.append(chosen) }
        fields[place].value = chosen.value
        let rest = fields[(place + 1)...].filter { $0.name != chosen.name }
        fields = fields[...place] + rest
    }

    /// Format strings of header operations: what is taken apart is the text again when it is put together.
    static let values: @Sendable ([UInt8]) -> Void = { octets in
        var supply = Supply(octets)
        let message: HeaderFormat.Message = supply.octet() & 1 == 0 ? .request : .response
        let text = String(decoding: supply.everything(), as: UTF8.self)
        guard let format = HeaderFormat(checked: text, for: message) else { return }
        for piece in format.pieces {
            guard case .startTime(let format) = piece else { continue }
            let output = OctetBuffer()
            Array(format.utf8).withOctets {
                TimeFormat.write($0, seconds: octets.count * 40_000_001, nanoseconds: 999_999_999, to: output)
            }
            demand(output.count <= 32 * format.utf8.count, "a time takes \(output.count) octets")
        }
        let together = format.pieces.map(written).joined()
        let again = HeaderFormat(checked: together, for: message)
        demand(again?.pieces == format.pieces, "`\(text)` is `\(together)` when it is put together")
    }

    private static func written(_ piece: HeaderFormat.Piece) -> String {
        switch piece {
        // By scalars: a percent sign with a combining mark behind it is one `Character`, and no `%`.
        case .text(let text): text.unicodeScalars.map { $0 == "%" ? "%%" : String($0) }.joined()
        case .field(let message, let name, let other, let most):
            "%\(message == .request ? "REQ" : "RESP")(\(name)\(other.map { "?" + $0 } ?? ""))"
                + (most.map { ":\($0)" } ?? "") + "%"
        case .startTime(let format): "%START_TIME(\(format))%"
        case .variable(let variable): "%\(variable.rawValue)%"
        case .nothing(let name): name == "RESP" || name == "RESPONSE_HEADER" ? "%\(name)(a)%" : "%\(name)%"
        }
    }
}
