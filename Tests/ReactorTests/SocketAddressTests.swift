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
