import Glibc
import Octets
import Testing

@testable import Reactor

/// Listening sockets that were open when the process began.
/// Source: https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html; docs/operations.md, Upgrade.
@Suite struct `Inherited sockets` {
    private typealias Giver = InheritedSockets.Giver

    private func read(_ environment: [String: String]) throws -> (giver: Giver, first: CInt, count: Int) {
        try InheritedSockets.read(environment, process: 77)
    }

    /// A listening socket that the caller hands over, and its address.
    private func listening(_ host: String = "127.0.0.1", port: UInt16 = 0) throws -> (CInt, SocketAddress) {
        let listener = try Socket.listen(try #require(SocketAddress(host: host, port: port)))
        let number = try #require(Socket.duplicate(listener.number))
        return (number, try #require(Socket.localAddress(number)))
    }

    /// Another test may have opened something of the same number meanwhile.
    private func isOpen(_ number: CInt, _ address: SocketAddress) -> Bool { Socket.localAddress(number) == address }

    // MARK: what the environment says

    @Test func `are nobody's without a word of them`() throws {
        #expect(try read([:]) == (.nobody, 0, 0))
        #expect(try read(["LISTEN_FDS": "2"]) == (.nobody, 0, 0))
    }

    @Test(arguments: ["78", "", "x", " 77", "-77"])
    func `of systemd for another process are not ours`(owner: String) throws {
        #expect(try read(["LISTEN_PID": owner, "LISTEN_FDS": "2"]) == (.nobody, 0, 0))
    }

    @Test func `of systemd begin with descriptor 3`() throws {
        #expect(try read(["LISTEN_PID": "77", "LISTEN_FDS": "2"]) == (.serviceManager, 3, 2))
        #expect(try read(["LISTEN_PID": "77", "LISTEN_FDS": "0"]) == (.nobody, 3, 0))
    }

    @Test(arguments: ["", "x", "-1", "1048577", "99999999999999999999", "1 "])
    func `of a number that is none are an error`(count: String) {
        #expect(throws: SystemError.self) { try read(["LISTEN_PID": "77", "LISTEN_FDS": count]) }
    }

    @Test func `of a predecessor follow the way to speak with it, and it goes before systemd`() throws {
        let environment = ["PORTICO_SUCCESSION": "5,2,1", "LISTEN_PID": "77", "LISTEN_FDS": "9"]
        #expect(try read(environment) == (.predecessor(workers: 2, errors: 1), 4, 5))
        #expect(try read(["PORTICO_SUCCESSION": "0,256,0"]) == (.predecessor(workers: 256, errors: 0), 4, 0))
    }

    @Test(
        arguments: [
            "", "1", "1,1", "1,1,0,", "1,1,0,0", "-1,1,0", "1,0,0", "1,257,0", "1,1,-1", "1048577,1,0", "a,b,c",
        ])
    func `of a predecessor that speaks nonsense are an error`(text: String) {
        #expect(throws: SystemError.self) { try read(["PORTICO_SUCCESSION": text]) }
    }

    // MARK: sockets

    @Test func `of systemd are given out as often as they are asked for, and stay open`() throws {
        let (number, address) = try listening()
        let sockets = try InheritedSockets(.serviceManager, numbers: [number])
        #expect(sockets.addresses == [address.description] && sockets.hasPort(address.port))
        for _ in 0..<2 {
            let taken = sockets.take(address)
            #expect(taken.count == 1 && taken[0] != number && Socket.localAddress(taken[0]) == address)
            Socket.close(taken[0])
        }
        #expect(sockets.addresses.isEmpty && isOpen(number, address))
        sockets.closeRest()
        #expect(!isOpen(number, address) && !sockets.hasPort(address.port))
    }

    @Test func `of a predecessor are given out once, all of an address together`() throws {
        let (first, address) = try listening()
        let second = try #require(Socket.duplicate(first))
        let (other, elsewhere) = try listening()
        let sockets = try InheritedSockets(.predecessor(workers: 2, errors: 0), numbers: [first, other, second])
        #expect(sockets.addresses == [address.description, elsewhere.description])
        #expect(sockets.take(address) == [first, second] && sockets.take(address).isEmpty)
        #expect(sockets.addresses == [elsewhere.description])
        sockets.closeRest()
        #expect(!isOpen(other, elsewhere) && isOpen(first, address) && isOpen(second, address))
        for number in [first, second] { Socket.close(number) }
    }

    @Test func `do not block, and are closed in programs that this one runs`() throws {
        let (number, address) = try listening()
        _ = fcntl(number, F_SETFL, fcntl(number, F_GETFL) & ~O_NONBLOCK)
        _ = fcntl(number, F_SETFD, 0)
        let sockets = try InheritedSockets(.predecessor(workers: 1, errors: 0), numbers: [number])
        #expect(fcntl(number, F_GETFL) & O_NONBLOCK != 0 && fcntl(number, F_GETFD) & FD_CLOEXEC != 0)
        #expect(sockets.take(address) == [number])
        Socket.close(number)
    }

    /// systemd writes `ListenStream=8080` as a socket of IPv6 that takes IPv4, too; Portico asks for `0.0.0.0`.
    @Test(arguments: [("0.0.0.0", "::"), ("::", "0.0.0.0")])
    func `of all addresses of one family do for those of the other`(given: String, asked: String) throws {
        guard let (number, address) = try? listening(given) else { return }    // no IPv6 here
        let wanted = try #require(SocketAddress(host: asked, port: address.port))
        let single = try #require(SocketAddress(host: "127.0.0.1", port: address.port))
        let sockets = try InheritedSockets(.predecessor(workers: 1, errors: 0), numbers: [number])
        #expect(sockets.take(single).isEmpty)
        #expect(sockets.take(wanted) == [number])
        Socket.close(number)
    }

    @Test func `of another port are left alone`() throws {
        let (number, address) = try listening("0.0.0.0")
        let sockets = try InheritedSockets(.serviceManager, numbers: [number])
        let other = try #require(SocketAddress(host: "0.0.0.0", port: address.port ^ 1))
        #expect(sockets.take(other).isEmpty && !sockets.hasPort(address.port ^ 1))
        sockets.closeRest()
    }

    @Test func `that do not listen, or are none, are an error`() throws {
        let (number, address) = try listening()
        let connection = try Socket.connect(address)
        #expect(throws: SystemError.self) { try InheritedSockets(.serviceManager, numbers: [connection]) }
        #expect(throws: SystemError.self) { try InheritedSockets(.serviceManager, numbers: [-1]) }
        for open in [number, connection] { Socket.close(open) }
    }
}
