import Octets
import Testing

@testable import HTTP

@Suite struct `The fields of a WebSocket's handshake` {
    /// Source: RFC 6455 §1.3.
    @Test func `answer a key as the standard does`() {
        let output = OctetBuffer()
        WebSocketKey.writeAccept(to: "dGhlIHNhbXBsZSBub25jZQ==", output)
        #expect(output.octets.string == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }

    @Test func `have a key of sixteen octets`() {
        let output = OctetBuffer()
        WebSocketKey.write(random: (0, .max), to: output)
        #expect(output.octets.string == "AAAAAAAAAAD//////////w==")
    }

    /// Source: RFC 3174 §7.3, and lengths around a block's.
    @Test(arguments: [
        ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"), ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
        ),
        (String(repeating: "a", count: 63), "03f09f5b158a7a8cdad920bddc29b81c18a551f5"),
        (String(repeating: "a", count: 64), "0098ba824b5c16427bd7a1122a5a442a25ec644d"),
    ])
    func `are hashed by SHA-1`(text: String, digest: String) {
        let octets = Array(text.utf8)
        let hash = unsafe octets.withUnsafeBytes { unsafe SHA1.digest(of: Octets($0)) }
        let hex = hash.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        #expect(hex == digest)
    }
}
