import Reactor
import Testing

@Suite struct `A socket address` {
    @Test(arguments: [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1:8080"), ("0.0.0.0", "0.0.0.0", "0.0.0.0:8080"),
        ("255.255.255.255", "255.255.255.255", "255.255.255.255:8080"), ("::1", "::1", "[::1]:8080"),
        ("", "::", "[::]:8080"), ("2001:DB8:0:0::5", "2001:db8::5", "[2001:db8::5]:8080"),
        ("::ffff:10.1.2.3", "10.1.2.3", "10.1.2.3:8080"),
    ]) func `is read and written`(text: String, host: String, whole: String) {
        let address = SocketAddress(host: text, port: 8080)
        #expect(address?.host == host)
        #expect(address?.port == 8080)
        #expect(address?.description == whole)
    }

    @Test(arguments: [
        "localhost", "127.1", "127.0.0.1.", "256.0.0.1", "1.2.3", "[::1]", "::g", ":", "1::2::3", " 127.0.0.1",
        "fe80::1%lo", "127.0.0.1:80", "127.0.0.1\0", "::1\0.example.com", "é",
    ]) func `is nothing else`(text: String) {
        #expect(SocketAddress(host: text, port: 1) == nil)
    }

    @Test(arguments: [
        ("127.0.0.1", "loopback"), ("127.255.0.9", "loopback"), ("::1", "loopback"), ("::ffff:127.0.0.1", "loopback"),
        ("0.0.0.0", "unspecified"), ("::", "unspecified"), ("::ffff:0.0.0.0", "unspecified"),
        ("169.254.169.254", "link-local"), ("fe80::1", "link-local"), ("::ffff:169.254.169.254", "link-local"),
        ("126.0.0.1", ""), ("169.255.0.1", ""), ("fec0::1", ""), ("::2", ""), ("10.0.0.1", ""),
    ]) func `is of a kind`(text: String, kind: String) throws {
        let address = try #require(SocketAddress(host: text, port: 1))
        #expect(address.isLoopback == (kind == "loopback"))
        #expect(address.isUnspecified == (kind == "unspecified"))
        #expect(address.isLinkLocal == (kind == "link-local"))
    }

    @Test(arguments: [
        ("127.0.0.1", "127.0.0.1", true), ("::ffff:127.0.0.1", "127.0.0.1", true), ("0.0.0.0", "127.0.0.1", true),
        ("::", "::1", true), ("127.0.1.5", "127.0.0.1", false), ("10.0.0.1", "127.0.0.1", false),
        ("127.0.1.5", "0.0.0.0", true), ("::1", "::", true), ("0.0.0.0", "::", true), ("10.0.0.1", "10.0.0.1", true),
        ("10.0.0.2", "10.0.0.1", false), ("0.0.0.0", "10.0.0.1", false),
    ]) func `reaches a listener of its port or not`(text: String, listener: String, isReached: Bool) throws {
        let address = try #require(SocketAddress(host: text, port: 15_000))
        #expect(address.reaches(try #require(SocketAddress(host: listener, port: 15_000))) == isReached)
        #expect(!address.reaches(try #require(SocketAddress(host: listener, port: 15_001))))
    }

    @Test(arguments: [0, 1, 255, 256, 65_535] as [UInt16]) func `keeps its port`(port: UInt16) {
        #expect(SocketAddress(host: "127.0.0.1", port: port)?.port == port)
        #expect(SocketAddress(host: "::1", port: port)?.port == port)
    }

    @Test func `of a Unix socket has a path that fits the kernel's room`() {
        let long = String(repeating: "x", count: 106)
        #expect(SocketAddress(unixPath: "/" + long)?.isUnix == true)
        #expect(SocketAddress(unixPath: "@" + long)?.isUnix == true)
        #expect(SocketAddress(unixPath: "//" + long) == nil)
        #expect(SocketAddress(unixPath: "") == nil)
        #expect(SocketAddress(unixPath: "/a\0b") == nil)
        #expect(SocketAddress(unixPath: "/a")?.port == 0)
    }

    /// Listeners are told apart by this text.
    @Test func `of a Unix socket is named by its path`() {
        #expect(SocketAddress(unixPath: "/run/a.sock")?.description == "unix:/run/a.sock")
        #expect(SocketAddress(unixPath: "@a")?.description == "unix:@a")
        #expect(SocketAddress(unixPath: "/run/a.sock")?.host == "unix")
    }

    @Test func `is equal to one of the same text`() {
        #expect(SocketAddress(host: "::1", port: 1) == SocketAddress(host: "0::1", port: 1))
        #expect(SocketAddress(host: "::1", port: 1) != SocketAddress(host: "::1", port: 2))
        #expect(SocketAddress(unixPath: "/a") != SocketAddress(unixPath: "@a"))
    }
}
