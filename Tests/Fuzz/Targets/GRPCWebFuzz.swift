import HTTP
import Octets

/// gRPC-Web: the pieces in which a body comes make no difference, every octet is accounted for, and what is written
/// for a browser is read as it was.
enum GRPCWebFuzz {
    static let feed: @Sendable ([UInt8]) -> Void = { octets in
        var supply = Supply(octets)
        let seed = supply.octet()
        if seed & 1 == 0 { return types(supply.everything()) }
        let body = supply.everything()
        if seed & 2 == 0 { request(body, seed) } else { response(body, seed) }
    }

    private static func types(_ type: [UInt8]) {
        type.withOctets { type in
            guard let web = GRPCWeb(contentType: type) else { return }
            let (plain, back) = (OctetBuffer(), OctetBuffer())
            GRPCWeb.writePlainType(of: type, to: plain)
            demand(plain.octets.hasPrefix("application/grpc"), "not gRPC")
            demand(!plain.octets.hasPrefix("application/grpc-web"), "gRPC-Web still")
            web.writeType(of: plain.octets, to: back)
            demand(GRPCWeb.form(of: back.octets) == web.answerForm, "\(back.octets.string): another form")
        }
    }

    private static func made() -> GRPCWeb {
        guard let web = GRPCWeb(contentType: "application/grpc-web-text+proto") else {
            broken("the content type is gRPC-Web's")
        }
        return web
    }

    private static func request(_ text: [UInt8], _ seed: UInt8) {
        var (whole, cut) = (made(), made())
        let (first, second) = (OctetBuffer(), OctetBuffer())
        let isGood = text.withOctets { whole.request($0, to: first) }
        var surplus: Int? = 0
        var pieces = Pieces(seed: seed)
        for piece in pieces.cut(text, most: 7) {
            guard let given = piece.withOctets({ cut.request($0, to: second) }) else {
                surplus = nil
                break
            }
            surplus = surplus.map { $0 + given }
            demand(given >= 0 && second.count <= text.count, "octets from nowhere")
        }
        demand((isGood == nil) == (surplus == nil), "in pieces it is no longer Base64, or is now")
        guard isGood != nil else { return }
        demand(first.octets == second.octets && whole.mayEnd == cut.mayEnd, "in pieces it is another body")
        if cut.mayEnd { demand(surplus == text.count - second.count, "octets are not accounted for") }
    }

    private static func response(_ body: [UInt8], _ seed: UInt8) {
        var (web, reader) = (made(), made())
        let (written, read) = (OctetBuffer(), OctetBuffer())
        var pieces = Pieces(seed: seed)
        for piece in pieces.cut(body, most: 30) { piece.withOctets { web.response($0, to: written) } }
        let trailers = HeaderBlock()
        trailers.append("grpc-status", "0" as Octets)
        web.trailers(trailers, to: written)
        demand(reader.request(written.octets, to: read) != nil, "no Base64: \(written.octets.string)")
        demand(reader.mayEnd, "the last group is open: \(written.octets.string)")
        let frame = Array("\u{80}\0\0\0\u{f}".unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) })
        demand(read.octets.array == body + frame + Array("grpc-status:0\r\n".utf8), "another body")
    }
}
