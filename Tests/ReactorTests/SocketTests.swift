import Glibc
import Octets
import Reactor
import Support
import Testing

/// Two ends of one connection, and the listener that it went through.
private final class Line {
    let listener: Descriptor
    let near: CInt    // who connected
    let far: CInt    // who accepted
    let peer: SocketAddress?

    init(_ wanted: SocketAddress) throws {
        listener = try Socket.listen(wanted)
        let bound = try #require(Socket.localAddress(listener.number))
        near = try Socket.connect(wanted.isUnix ? wanted : bound)
        #expect(DescriptorWait.untilReadable(listener.number, milliseconds: 10_000))
        let accepted = try #require(try Socket.accept(listener.number))
        far = accepted.descriptor
        peer = accepted.peer
    }

    deinit {
        Socket.close(near)
        Socket.close(far)
    }

    static func read(_ number: CInt) -> (IOResult, [UInt8]) {
        _ = DescriptorWait.untilReadable(number, milliseconds: 10_000)
        return readNow(number)
    }

    static func readNow(_ number: CInt) -> (IOResult, [UInt8]) {
        let buffer = OctetBuffer(capacity: 64)
        return (Socket.read(number, into: buffer, most: 64), buffer.octets.array)
    }
}

/// One after the other: the tests share the name of a Unix socket.
@Suite(.serialized) struct `A socket` {
    private static let places: [SocketAddress] = [
        SocketAddress(host: "127.0.0.1", port: 0), SocketAddress(unixPath: "@portico-test-line-\(getpid())"),
    ].compactMap(\.self)

    @Test(arguments: places) func `carries octets both ways`(place: SocketAddress) throws {
        let line = try Line(place)
        #expect(Socket.connectError(line.near) == nil)
        #expect(Line.readNow(line.far).0 == .wouldBlock)
        #expect(Socket.write(line.near, "hello") == .octets(5))
        #expect(Line.read(line.far) == (.octets(5), Array("hello".utf8)))
        #expect(Socket.write(line.far, "back") == .octets(4))
        #expect(Line.read(line.near) == (.octets(4), Array("back".utf8)))
    }

    @Test(arguments: places) func `shows its first octet without taking it`(place: SocketAddress) throws {
        let line = try Line(place)
        #expect(Socket.peek(line.far) == nil)
        #expect(Socket.write(line.near, "PRI") == .octets(3))
        #expect(DescriptorWait.untilReadable(line.far, milliseconds: 10_000))
        #expect(Socket.peek(line.far) == UInt8(ascii: "P"))
        #expect(Line.read(line.far).1 == Array("PRI".utf8))
        #expect(Socket.peek(line.far) == nil)
    }

    @Test(arguments: places) func `throws octets away, and sees the end behind them`(place: SocketAddress) throws {
        let line = try Line(place)
        let scratch = OctetBuffer(capacity: 64)
        #expect(Socket.discard(line.far, scratch: scratch, most: 3) == .wouldBlock)
        #expect(Socket.write(line.near, "hello") == .octets(5))
        #expect(DescriptorWait.untilReadable(line.far, milliseconds: 10_000))
        #expect(Socket.discard(line.far, scratch: scratch, most: 3) == .octets(3))
        #expect(Line.read(line.far) == (.octets(2), Array("lo".utf8)))
        Socket.finish(line.near)
        #expect(DescriptorWait.untilReadable(line.far, milliseconds: 10_000))
        #expect(Socket.discard(line.far, scratch: scratch, most: 3) == .closed && scratch.isEmpty)
    }

    @Test(arguments: places) func `can end its own side only`(place: SocketAddress) throws {
        let line = try Line(place)
        #expect(Socket.write(line.near, "x") == .octets(1))
        Socket.finish(line.near)
        #expect(Line.read(line.far).0 == .octets(1))
        #expect(Line.read(line.far).0 == .closed)
        #expect(Socket.peek(line.far) == nil)
        #expect(Socket.write(line.far, "y") == .octets(1))
        #expect(Line.read(line.near).1 == Array("y".utf8))
    }

    @Test func `that is aborted resets its peer`() throws {
        let line = try Line(try #require(SocketAddress(host: "127.0.0.1", port: 0)))
        let number = try Socket.connect(try #require(Socket.localAddress(line.listener.number)))
        #expect(DescriptorWait.untilReadable(line.listener.number, milliseconds: 10_000))
        let accepted = try #require(try Socket.accept(line.listener.number))
        defer { Socket.close(accepted.descriptor) }
        Socket.abort(number)
        Socket.close(number)
        #expect(Line.read(accepted.descriptor).0 == .failed(ECONNRESET))
    }

    @Test func `that was accepted knows who connected`() throws {
        let line = try Line(try #require(SocketAddress(host: "127.0.0.1", port: 0)))
        #expect(line.peer?.host == "127.0.0.1")
        #expect(line.peer == Socket.localAddress(line.near))
        #expect(Socket.localAddress(line.far) == Socket.localAddress(line.listener.number))
    }

    @Test func `of IPv4 reaches a listener on all addresses, and is told as IPv4`() throws {
        guard let wanted = SocketAddress(host: "", port: 0), let listener = try? Socket.listen(wanted) else { return }
        let port = try #require(Socket.localAddress(listener.number)).port
        let near = try Socket.connect(try #require(SocketAddress(host: "127.0.0.1", port: port)))
        defer { Socket.close(near) }
        #expect(DescriptorWait.untilReadable(listener.number, milliseconds: 10_000))
        let accepted = try #require(try Socket.accept(listener.number))
        defer { Socket.close(accepted.descriptor) }
        #expect(accepted.peer?.host == "127.0.0.1")
    }

    @Test func `that listens has nothing to accept before somebody connects`() throws {
        let listener = try Socket.listen(try #require(SocketAddress(host: "127.0.0.1", port: 0)))
        #expect(try Socket.accept(listener.number) == nil)
    }

    @Test func `shares its port with other workers only`() throws {
        let first = try Socket.listen(try #require(SocketAddress(host: "127.0.0.1", port: 0)))
        let address = try #require(Socket.localAddress(first.number))
        _ = try Socket.listen(address)
        let error = #expect(throws: SystemError.self) { _ = try Socket.listen(address, sharing: .none) }
        #expect(error?.code == EADDRINUSE)
        #expect(error?.description.hasPrefix("cannot listen on \(address): Address already in use; ") == true)
    }

    @Test func `that nobody listens on refuses`() throws {
        let address = try #require(SocketAddress(unixPath: "@portico-test-nobody-\(getpid())"))
        let error = #expect(throws: SystemError.self) { _ = try Socket.connect(address) }
        #expect(error?.isRefused == true)
    }

    /// Where a machine has no IPv6, the kernel says EADDRNOTAVAIL of it, as where no port is left.
    @Test func `lacks nothing of its own when no way leads to an address`() throws {
        let address = try #require(SocketAddress(host: "::1", port: 1))
        do throws(SystemError) {
            Socket.close(try Socket.connect(address))
        } catch {
            #expect(!error.isOwn, "\(error)")
        }
        #expect(Socket.hasSource(for: try #require(SocketAddress(host: "127.0.0.1", port: 1))))
    }

    /// What the gateway does after a crash: the file of its last run is still there.
    @Test func `takes over a path that nobody listens on any more, and no other`() throws {
        let folder = TemporaryFolder()
        let address = try #require(SocketAddress(unixPath: folder.path + "/s"))
        let first = try Socket.listen(address)
        let error = #expect(throws: SystemError.self) { _ = try Socket.listen(address) }
        #expect(error?.code == EADDRINUSE)
        #expect(first.number >= 0)
        _ = consume first
        _ = try Socket.listen(address)

        folder.write("file", "kept")
        let file = try #require(SocketAddress(unixPath: folder.path + "/file"))
        #expect(throws: SystemError.self) { _ = try Socket.listen(file) }
        #expect(try FileContents.read(folder.path + "/file") == Array("kept".utf8))
    }
}

private func == (left: (IOResult, [UInt8]), right: (IOResult, [UInt8])) -> Bool {
    left.0 == right.0 && left.1 == right.1
}
