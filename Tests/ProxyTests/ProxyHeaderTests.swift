import Reactor
import Routing
import Testing

@testable import Proxy

/// Source: https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt (§2.1, §2.2).
@Suite struct `The header of the PROXY protocol` {
    private let client = SocketAddress(host: "192.0.2.7", port: 65535)
    private let gateway = SocketAddress(host: "127.0.0.1", port: 80)
    private let client6 = SocketAddress(host: "2001:db8::1", port: 1024)
    private let gateway6 = SocketAddress(host: "::1", port: 443)
    private let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10]

    private func text(_ source: SocketAddress?, _ destination: SocketAddress?) -> String {
        String(decoding: ProxyHeader.octets(.v1, from: source, to: destination), as: UTF8.self)
    }

    @Test func `is a line of text in version 1`() {
        #expect(text(client, gateway) == "PROXY TCP4 192.0.2.7 127.0.0.1 65535 80\r\n")
        #expect(text(client6, gateway6) == "PROXY TCP6 2001:db8::1 ::1 1024 443\r\n")
        let mapped = SocketAddress(host: "::ffff:192.0.2.7", port: 5)
        #expect(
            text(mapped, SocketAddress(host: "::ffff:127.0.0.1", port: 6)) == "PROXY TCP4 192.0.2.7 127.0.0.1 5 6\r\n")
    }

    @Test func `is binary in version 2`() {
        #expect(
            ProxyHeader.octets(.v2, from: client, to: gateway)
                == signature + [0x21, 0x11, 0, 12, 192, 0, 2, 7, 127, 0, 0, 1, 255, 255, 0, 80])
        let header = ProxyHeader.octets(.v2, from: client6, to: gateway6)
        #expect(header.count == 16 + 36 && Array(header[12..<20]) == [0x21, 0x21, 0, 36, 0x20, 0x01, 0x0d, 0xb8])
        #expect(Array(header.suffix(4)) == [4, 0, 1, 187])
    }

    @Test func `says that an address is not known, or not one of both families`() {
        let socket = SocketAddress(unixPath: "@client")
        for (source, destination) in [(nil, gateway), (client, nil), (socket, socket), (client, gateway6)] {
            #expect(text(source, destination) == "PROXY UNKNOWN\r\n")
            #expect(ProxyHeader.octets(.v2, from: source, to: destination) == signature + [0x20, 0, 0, 0])
        }
    }
}
