import Octets
import Testing

@testable import HTTP

@Suite struct `gRPC-Web` {
    private func octets<Result>(_ text: [UInt8], _ body: (Octets) -> Result) -> Result {
        unsafe text.withUnsafeBytes { unsafe body(Octets($0)) }
    }

    private func buffer() -> OctetBuffer { OctetBuffer(capacity: 64) }

    private func encoded(_ data: [UInt8]) -> [UInt8] {
        let output = buffer()
        var encoder = Base64Encoder()
        octets(data) { encoder.encode($0, to: output) }
        encoder.pad(to: output)
        return output.octets.array
    }

    private func decoded(_ text: [UInt8]) -> [UInt8]? {
        let output = buffer()
        var decoder = Base64Decoder()
        let isBase64 = octets(text) { decoder.decode($0, to: output) }
        return isBase64 && decoder.openDigits == 0 ? output.octets.array : nil
    }

    @Test(arguments: [
        ("application/grpc-web", GRPCWeb.Form.binary, "application/grpc"),
        ("application/grpc-web+proto", .binary, "application/grpc+proto"),
        ("application/grpc-web-text", .text, "application/grpc"),
        ("application/grpc-web-text+proto", .text, "application/grpc+proto"),
        ("application/grpc-web+proto;charset=utf-8", .binary, "application/grpc+proto"),
        ("application/grpc-web-text;charset=utf-8", .text, "application/grpc"),
    ])
    func `is known by its content type`(type: String, form: GRPCWeb.Form, plain: String) {
        let output = buffer()
        let web = octets(Array(type.utf8)) { type in
            GRPCWeb.writePlainType(of: type, to: output)
            return GRPCWeb(contentType: type)
        }
        #expect(web?.form == form && web?.answerForm == form && output.octets.string == plain)
    }

    @Test(arguments: [
        "application/grpc", "application/grpc-webby", "application/grpc-web-textual", "text/html", "",
        "application/grpc-we", "application/grpc-web-tex",
    ])
    func `is nothing else`(type: String) {
        let web = octets(Array(type.utf8)) { GRPCWeb(contentType: $0) }
        #expect(web == nil)
    }

    @Test func `answers in the form that is asked for, else in that of the request`() throws {
        let binary: Octets = "application/grpc-web+proto"
        let text: Octets = "application/grpc-web-text"
        #expect(GRPCWeb(contentType: binary, accept: text)?.answerForm == .text)
        #expect(GRPCWeb(contentType: text, accept: binary)?.answerForm == .binary)
        #expect(GRPCWeb(contentType: text, accept: "*/*")?.answerForm == .text)
        let web = try #require(GRPCWeb(contentType: text))
        for (plain, wanted) in [
            ("application/grpc", "application/grpc-web-text+proto"),
            ("application/grpc+json", "application/grpc-web-text+json"), ("text/html", "text/html"),
        ] {
            let output = buffer()
            octets(Array(plain.utf8)) { web.writeType(of: $0, to: output) }
            #expect(output.octets.string == wanted)
        }
    }

    @Test func `puts trailers into the last frame`() throws {
        let block = HeaderBlock()
        let fields: KeyValuePairs<StaticString, Octets> = [
            "grpc-status": "0", "grpc-message": "ok", "evil": "a\r\nb: c", "connection": "x",
        ]
        for (name, value) in fields { block.append(name, value) }
        let (binary, text) = (buffer(), buffer())
        var web = try #require(GRPCWeb(contentType: "application/grpc-web"))
        web.trailers(block, to: binary)
        let wanted = "grpc-status:0\r\ngrpc-message:ok\r\n"
        #expect(binary.octets.array == [0x80, 0, 0, 0, UInt8(wanted.utf8.count)] + Array(wanted.utf8))
        web = try #require(GRPCWeb(contentType: "application/grpc-web-text"))
        web.trailers(block, to: text)
        #expect(decoded(text.octets.array) == binary.octets.array)
    }

    @Test func `decodes Base64 in any pieces, and holders for every octet`() throws {
        var random = Dice(seed: 11)
        for length in 0..<80 {
            let data = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
            // Parts with padding of their own, as clients write one message after the other.
            let cut = Int.random(in: 0...length, using: &random)
            let text = encoded(Array(data[..<cut])) + encoded(Array(data[cut...]))
            var web = try #require(GRPCWeb(contentType: "application/grpc-web-text"))
            let output = buffer()
            var (place, given) = (0, 0)
            while place < text.count {
                let end = Int.random(in: (place + 1)...text.count, using: &random)
                let surplus = octets(Array(text[place..<end])) { web.request($0, to: output) }
                given += try #require(surplus)
                #expect(surplus.map { $0 >= 0 } == true && given + output.count <= end)
                place = end
            }
            #expect(output.octets.array == data && web.mayEnd && given + data.count == text.count)
        }
    }

    @Test func `pads between messages only`() throws {
        var random = Dice(seed: 12)
        for length in 0..<40 {
            let message = [0, 0, 0, 0, UInt8(length)] + (0..<length).map { UInt8($0) }
            let data = message + message
            var web = try #require(GRPCWeb(contentType: "application/grpc-web-text"))
            var (place, text, seen) = (0, [UInt8](), [UInt8]())
            while place < data.count {
                let end = Int.random(in: (place + 1)...data.count, using: &random)
                let output = buffer()
                octets(Array(data[place..<end])) { web.response($0, to: output) }
                text += output.octets.array
                if !(end == message.count || end == data.count) { #expect(output.octets.array.last != 0x3d) }
                if end >= message.count { seen = try #require(decoded(Array(text.prefix(text.count / 4 * 4)))) }
                place = end
            }
            #expect(seen == data)
        }
    }

    @Test(arguments: ["a=bc", "=abc", "ab=c", "a-bc", "abc\n", "====", "ab\u{e9}", "abcd=", "ab===", "a b="])
    func `refuses what is not Base64`(text: String) {
        var decoder = Base64Decoder()
        let output = buffer()
        let isBase64 = octets(Array(text.utf8)) { decoder.decode($0, to: output) }
        #expect(!isBase64)
    }

    @Test func `knows a body that is cut within a group`() throws {
        var web = try #require(GRPCWeb(contentType: "application/grpc-web-text"))
        #expect(web.request("YWJjZ", to: buffer()) == 1 && !web.mayEnd)
    }
}
