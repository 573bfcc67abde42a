import Testing

@testable import TLS

/// The course of a session, without OpenSSL and without a socket.
@Suite struct `The life of a TLS session` {
    private func open() -> TLSLife {
        var life = TLSLife(isServer: true)
        life.established()
        return life
    }

    @Test func `of a server begins with the ClientHello, that of a client behind it`() {
        var server = TLSLife(isServer: true)
        #expect(server.stage == .hello && TLSLife(isServer: false).stage == .handshaking)
        server.helloCame()
        #expect(server.stage == .handshaking && !server.isEstablished)
        server.established()
        server.helloCame()    // of a second flight, behind HelloRetryRequest
        #expect(server.isEstablished)
    }

    @Test func `bounds messages behind the handshake, and only these`() {
        var life = TLSLife(isServer: true)
        var answers: [Bool] = []
        for _ in 0...TLSLife.mostMessages { answers.append(life.messageCame()) }
        life.established()
        for _ in 0..<TLSLife.mostMessages { answers.append(life.messageCame()) }
        #expect(answers.allSatisfy { $0 })
        let isOneMoreTaken = life.messageCame()
        #expect(!isOneMoreTaken)
        // A read with data buys one message, of eight steps; the first is the one that was too many.
        life.dataCame()
        let more = (0..<TLSLife.messageSteps).map { _ in life.messageCame() }
        #expect(more == Array(repeating: true, count: TLSLife.messageSteps - 1) + [false])
        for _ in 0..<1000 { life.dataCame() }
        let most = (0...TLSLife.mostMessages).prefix { _ in life.messageCame() }
        #expect(most.count == TLSLife.mostMessages)
    }

    @Test func `says goodbye once, and not before it was established or after it has failed`() {
        var early = TLSLife(isServer: false)
        let isEarly = early.mayShutDown()
        var (life, failed) = (open(), open())
        let goodbyes = [life.mayShutDown(), life.mayShutDown()]
        failed.failed(.connectionLost(errno: 104))
        let isLate = failed.mayShutDown()
        #expect(!isEarly && goodbyes == [true, false] && !isLate)
    }

    @Test func `may be written to behind the peer's end, until it fails`() {
        var life = open()
        life.peerEnded()
        #expect(!life.isOpen && life.failure == nil)
        let saysGoodbye = life.mayShutDown()
        #expect(saysGoodbye)
        life.failed(.connectionLost(errno: 32))
        life.peerEnded()
        #expect(!life.isOpen && life.failure == .connectionLost(errno: 32))
    }

    @Test func `calls a breach what the peer did behind the handshake, but no lost connection`() {
        var (early, late, lost) = (TLSLife(isServer: true), open(), open())
        early.failed(.brokenStream("x"))
        late.failed(.brokenStream("x"))
        lost.failed(.connectionLost(errno: 104))
        #expect(early.breach == nil && late.breach == .brokenStream("x") && lost.breach == nil)
    }
}
