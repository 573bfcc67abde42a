import Octets
import Testing

@testable import HTTP

@Suite struct `The beginning of a connection of HTTP/1.1` {
    /// What the parser says of octets that come in pieces of a size.
    private func violation(
        _ octets: [UInt8], pieces: Int = .max, role: HTTP1Parser.Role = .request(.http)
    ) -> HTTP1Error? {
        var parser = HTTP1Parser(role: role, limits: HTTP1Limits(headOctets: 4096))
        if role == .response { parser.expectResponse(toMethod: "GET") }
        let block = HeaderBlock()
        var end = 0
        while end < octets.count {
            end = pieces > octets.count - end ? octets.count : end + pieces
            let read = unsafe octets[..<end].withUnsafeBytes { bytes in
                Result { () throws(HTTP1Error) in unsafe try parser.next(Octets(bytes), headers: block) }
            }
            switch read {
            case .success(let event): if event.consumed > 0 { return nil }
            case .failure(let error): return error
            }
        }
        return nil
    }

    private let rest = Array("GET / HTTP/1.1\r\nhost: a\r\n\r\n".utf8)

    @Test(arguments: [Int.max, 1]) func `names TLS`(pieces: Int) {
        #expect(violation([0x16, 3, 1, 2, 0, 1], pieces: pieces) == .tlsOnClearText)
        #expect(violation([0x16], pieces: pieces) == .tlsOnClearText)
        #expect(violation([0x16, 3, 1], pieces: pieces, role: .request(.https)) == .syntax, "TLS within TLS")
        #expect(violation([0x16, 3, 1], pieces: pieces, role: .response) == .syntax)
    }

    @Test(arguments: [Int.max, 1, 3]) func `names a header of the PROXY protocol`(pieces: Int) {
        for line in ["PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "PROXY TCP6 ::1 ::1 1 2\r\n", "PROXY UNKNOWN\r\n"] {
            #expect(violation(Array(line.utf8) + rest, pieces: pieces) == .proxyHeaderUnexpected)
            #expect(
                violation(Array(line.utf8) + rest, pieces: pieces, role: .request(.https)) == .proxyHeaderUnexpected)
        }
    }

    @Test(arguments: [Int.max, 1, 2, 3, 4]) func `names a header of version 2, in any pieces`(pieces: Int) {
        let header: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10, 0x21, 0x11, 0, 12]
        #expect(violation(header + rest, pieces: pieces) == .proxyHeaderUnexpected)
        #expect(violation([13, 10, 13, 10, 1], pieces: pieces) == .syntax)
        #expect(violation([13, 10, 13, 11], pieces: pieces) == .syntax)
        #expect(violation([13, 10, 13, 10], pieces: pieces) == nil, "the next octet tells")
    }

    @Test func `is a request all the same where it is one`() {
        for line in ["PROXY / HTTP/1.1", "POST / HTTP/1.1", "PROXYING / HTTP/1.1", "\r\nGET / HTTP/1.1"] {
            #expect(violation(Array("\(line)\r\nhost: a\r\n\r\n".utf8)) == nil, "\(line)")
        }
    }
}
