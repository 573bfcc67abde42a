import Balancing
import HTTP
import Octets
import Testing

@testable import Proxy

/// The course of a check, without a socket.
@Suite struct `The course of a health check` {
    private static func state(
        _ method: HealthCheckPolicy.Method = .http, isSecure: Bool = false, isHTTP2: Bool = false,
        announces: Bool = false
    ) -> ProbeState {
        var policy = HealthCheckPolicy(method: method)
        policy.path = "/ready"
        return ProbeState(policy, isSecure: isSecure, isHTTP2: isHTTP2, announces: announces)
    }

    private static func block(_ fields: [(StaticString, StaticString)]) -> HeaderBlock {
        let block = HeaderBlock()
        for (name, value) in fields { block.append(name, value) }
        return block
    }

    /// A check whose question is sent.
    private static func asking(_ method: HealthCheckPolicy.Method = .http, isHTTP2: Bool = true) -> ProbeState {
        var state = state(method, isHTTP2: isHTTP2)
        _ = state.connected(failure: nil)
        _ = state.asked(isTaken: true)
        return state
    }

    @Test func `waits for its connection, and asks on it`() {
        var state = Self.state()
        #expect(state.ready(isWritable: false, isHungUp: false) == .wait && !state.isConnected)
        #expect(state.ready(isWritable: true, isHungUp: false) == .finishConnecting)
        #expect(state.connected(failure: nil) == .ask(isHTTP2: false) && state.isConnected)
        #expect(state.asked(isTaken: true) == .exchange)
        #expect(state.ready(isWritable: false, isHungUp: true) == .exchange)
    }

    @Test func `looks for the reason when the kernel gives the connection up`() {
        var state = Self.state(isSecure: true)
        #expect(state.ready(isWritable: false, isHungUp: true) == .finishConnecting)
        #expect(state.connected(failure: "connection refused") == .end(.failed("connection refused")))
        #expect(!state.isConnected && state.ready(isWritable: true, isHungUp: true) == .wait)
    }

    @Test(arguments: [false, true]) func `announces the client first, where that is wanted`(isSecure: Bool) {
        var state = Self.state(isSecure: isSecure, announces: true)
        #expect(state.connected(failure: nil) == .announce)
        #expect(state.announced(isTaken: true) == (isSecure ? .beginTLS : .ask(isHTTP2: false)))
        var full = Self.state(isSecure: isSecure, announces: true)
        _ = full.connected(failure: nil)
        #expect(full.announced(isTaken: false) == .end(.failed("the PROXY header was not taken")))
    }

    @Test func `goes through the TLS handshake, at once and whenever the socket is ready`() {
        var state = Self.state(isSecure: true, isHTTP2: true)
        #expect(state.connected(failure: nil) == .beginTLS)
        #expect(state.tlsBegan(failure: nil) == .shakeHands)
        #expect(state.shook(.unfinished) == .wait && !state.isConnected)
        #expect(state.ready(isWritable: false, isHungUp: false) == .shakeHands)
        #expect(state.shook(.done(http2: nil)) == .ask(isHTTP2: true) && state.isConnected)
    }

    @Test(arguments: [
        (ProbeState.Handshake.closed, "the endpoint closed the connection during the TLS handshake"),
        (.failed(words: "no cipher"), "the TLS handshake failed: no cipher"),
    ])
    func `ends with its TLS handshake`(handshake: ProbeState.Handshake, words: String) {
        var state = Self.state(isSecure: true)
        _ = state.connected(failure: nil)
        _ = state.tlsBegan(failure: nil)
        #expect(state.shook(handshake) == .end(.failed(words)) && !state.isConnected)
    }

    @Test func `ends where there can be no TLS session`() {
        var state = Self.state(isSecure: true)
        _ = state.connected(failure: nil)
        #expect(state.tlsBegan(failure: "no memory") == .end(.failed("TLS: no memory")))
    }

    @Test(arguments: [true, false]) func `speaks what ALPN has chosen`(isHTTP2: Bool) {
        var state = Self.state(isSecure: true, isHTTP2: !isHTTP2)
        _ = state.connected(failure: nil)
        _ = state.tlsBegan(failure: nil)
        #expect(state.shook(.done(http2: isHTTP2)) == .ask(isHTTP2: isHTTP2))
    }

    @Test func `of gRPC cannot go on in HTTP/1.1`() {
        var state = Self.state(.grpc, isSecure: true, isHTTP2: true)
        _ = state.connected(failure: nil)
        _ = state.tlsBegan(failure: nil)
        let words = "the endpoint chose HTTP/1.1 by ALPN, and gRPC needs HTTP/2"
        #expect(state.shook(.done(http2: false)) == .end(.failed(words)) && state.isConnected)
    }

    @Test(arguments: [true, false]) func `of TCP is passed by the connection, and its handshake`(isSecure: Bool) {
        var state = Self.state(.tcp, isSecure: isSecure)
        var step = state.connected(failure: nil)
        if isSecure {
            #expect(step == .beginTLS && state.tlsBegan(failure: nil) == .shakeHands)
            step = state.shook(.done(http2: nil))
        }
        #expect(step == .end(.passed) && state.isConnected)
    }

    @Test func `ends when its question is not taken`() {
        var state = Self.state()
        _ = state.connected(failure: nil)
        #expect(state.asked(isTaken: false) == .end(.failed("the check could not be sent")))
    }

    @Test func `is judged by the answer's status, behind interim ones`() {
        var state = Self.asking()
        #expect(state.headers(Self.block([(":status", "103")]), isEnd: false) == .exchange)
        #expect(state.headers(Self.block([(":status", "200")]), isEnd: false) == .end(.passed))
        var other = Self.asking()
        let refused = HealthVerdict.refused("GET /ready was answered 503")
        #expect(other.headers(Self.block([(":status", "503")]), isEnd: true) == .end(refused))
    }

    @Test func `of gRPC is judged by its message and its trailers`() {
        var state = Self.asking(.grpc)
        #expect(state.headers(Self.block([(":status", "200")]), isEnd: false) == .exchange)
        let serving: [UInt8] = [0, 0, 0, 0, 2, 8, 1]
        #expect(serving.withOctets { state.data($0) } == .exchange)
        #expect(state.trailers(Self.block([("grpc-status", "0")])) == .end(.passed))
        var bare = Self.asking(.grpc)
        _ = bare.headers(Self.block([(":status", "200")]), isEnd: false)
        #expect(bare.trailers(nil) == .end(.refused("the answer has no grpc-status")))
    }

    @Test func `reads so many octets and no more`() {
        var state = Self.asking()
        #expect(state.came(octets: ProbeState.mostOctets - 1) == .exchange)
        #expect(state.came(octets: 1) == .end(.failed("the answer is too long")))
    }

    @Test func `fails when the endpoint says nothing that could be judged`() {
        var (closed, failed, broken) = (Self.asking(), Self.asking(), Self.asking())
        #expect(closed.inputEnded() == .end(.failed("the endpoint closed the connection")))
        #expect(failed.inputEnded(failure: "connection reset") == .end(.failed("connection reset")))
        #expect(broken.broke(words: nil) == .end(.failed("the answer is no HTTP/2: it breaks the protocol")))
    }

    @Test func `fails when its stream ends without an answer, or breaks a rule`() {
        var (ended, reset, named, unnamed) = (Self.asking(), Self.asking(), Self.asking(), Self.asking())
        #expect(ended.closed(code: 0) == .end(.failed("the endpoint ended the stream without an answer")))
        #expect(reset.closed(code: 2) == .end(.failed("the endpoint reset the stream with code 2")))
        #expect(named.violated(words: "a rule") == .end(.failed("a rule")))
        #expect(unnamed.violated(words: nil) == .end(.failed("the answer breaks the protocol")))
    }

    @Test func `goes on behind a GOAWAY that names no fault`() {
        var state = Self.asking()
        #expect(state.wentAway(code: 0) == .exchange)
        #expect(state.wentAway(code: 11) == .end(.failed("the endpoint sent GOAWAY with code 11")))
    }

    @Test func `has one end`() {
        var state = Self.asking()
        let passed = state.headers(Self.block([(":status", "200")]), isEnd: false)
        #expect(passed == .end(.passed))
        #expect(state.closed(code: 8) == .wait && state.inputEnded() == .wait && state.trailers(nil) == .wait)
        #expect(state.headers(Self.block([(":status", "503")]), isEnd: true) == .wait)
        #expect(state.ready(isWritable: true, isHungUp: true) == .wait)
    }
}
