import Balancing
import HTTP
import Telemetry
import Testing

@testable import Proxy

/// The course of a copy, without a socket.
@Suite struct `The course of a copy for a mirror` {
    private static func queued(isAlone: Bool = false) -> MirrorState {
        var state = MirrorState(isAlone: isAlone)
        state.queued()
        return state
    }

    private static func sent(isAlone: Bool = false) -> MirrorState {
        var state = queued(isAlone: isAlone)
        _ = state.connected()
        state.sent()
        return state
    }

    @Test func `is sent on the connection that is there, or that comes`() {
        var state = MirrorState(isAlone: true)
        #expect(state.connected() == .submit)
        state.sent()
        #expect(state.place == .sent && state.isRequestEnded)
        var waiting = Self.queued()
        #expect(waiting.place == .queued && waiting.connected() == .submit)
    }

    @Test func `gives back a connection that comes too late, or twice`() {
        var over = Self.queued()
        _ = over.abandoned()
        #expect(over.connected() == .giveBack)
        var state = Self.sent()
        #expect(state.connected() == .giveBack)
    }

    @Test func `holds the body until there is a stream, and sends it from then on`() {
        var state = Self.queued()
        #expect(state.body(60_000, pending: 0) == .hold)
        #expect(state.connected() == .submit)
        state.sent()
        #expect(state.body(60_000, pending: 5_536) == .send)
    }

    @Test func `is given up when too much waits for the connection`() {
        var state = Self.queued()
        #expect(state.body(MirrorState.mostOctets, pending: 0) == .hold)
        #expect(state.body(1, pending: 0) == .end(.dropped) && state.place == .over)
    }

    @Test func `is given up when too much waits on the stream`() {
        var state = Self.sent()
        #expect(state.body(1, pending: MirrorState.mostOctets - 1) == .send)
        #expect(state.body(1, pending: MirrorState.mostOctets) == .end(.dropped))
        #expect(state.body(1, pending: 0) == .nothing)
    }

    @Test func `keeps the end of the request until there is a stream, and passes it on from then on`() {
        var state = Self.queued()
        #expect(state.requestEnded() == .holdEnd && state.isRequestEnded)
        #expect(state.requestEnded() == .nothing && state.body(1, pending: 0) == .nothing)
        var streaming = Self.sent()
        #expect(streaming.requestEnded() == .finish)
    }

    @Test func `goes on without its client once the request is complete, and not before`() {
        var (whole, part) = (Self.sent(), Self.sent())
        _ = whole.requestEnded()
        #expect(whole.abandoned() == .nothing && whole.place == .sent)
        #expect(part.abandoned() == .end(.dropped))
        var alone = Self.queued(isAlone: true)
        #expect(alone.abandoned() == .nothing)
    }

    @Test func `is completed by an answer and the end of its stream`() {
        var state = Self.sent(isAlone: true)
        state.answered()
        #expect(state.answerEnded() == .nothing && state.closed(code: ErrorCode.none) == .end(.completed))
    }

    @Test func `is completed by an answer that wants no more of the request`() {
        var state = Self.sent()
        state.answered()
        #expect(state.answerEnded() == .end(.completed) && state.closed(code: ErrorCode.cancel) == .nothing)
    }

    @Test func `fails by a stream that ends without an answer, or by an error`() {
        var (silent, reset) = (Self.sent(), Self.sent())
        #expect(silent.closed(code: ErrorCode.none) == .blame(.failed))
        reset.answered()
        #expect(reset.closed(code: ErrorCode.internalError) == .blame(.failed))
    }

    @Test func `fails with its connection, at each step`() {
        var (new, waiting, sent) = (MirrorState(isAlone: true), Self.queued(), Self.sent())
        var lacking = waiting
        #expect(lacking.connectionFailed(isOurs: true) == .end(.failed), "this machine lacks what it needs")
        #expect(new.broke() == .blame(.failed) && waiting.connectionFailed() == .blame(.failed))
        #expect(sent.connectionFailed() == .nothing && sent.broke() == .blame(.failed))
    }

    @Test(arguments: [MirrorResult.dropped, .failed]) func `ends when it cannot be sent`(result: MirrorResult) {
        var state = Self.queued()
        _ = state.connected()
        #expect(state.refused(result) == .end(result) && state.place == .over)
    }

    @Test func `blames a mirror that says nothing for too long`() {
        var state = Self.sent(isAlone: true)
        #expect(state.timedOut() == .blame(.timedOut) && state.timedOut() == .nothing)
    }

    @Test func `has one end`() {
        var state = Self.sent()
        _ = state.broke()
        state.sent()
        state.queued()
        #expect(state.place == .over && state.requestEnded() == .nothing && state.abandoned() == .nothing)
        #expect(state.refused(.dropped) == .nothing && state.answerEnded() == .nothing && state.broke() == .nothing)
    }
}

/// What those who watch a mirror's endpoint hear of a copy.
@Suite struct `The report on a mirror's endpoint` {
    @Test func `is the status of the answer, once`() {
        var report = MirrorReport(isGRPC: false)
        #expect(report.headers(103, grpcStatus: nil, isEnd: false) == nil && report.isOpen)
        #expect(report.headers(503, grpcStatus: nil, isEnd: false) == 503 && !report.isOpen)
        #expect(report.ended() == nil && !report.failed())
    }

    @Test func `of a gRPC call is that of its trailers`() {
        var report = MirrorReport(isGRPC: true)
        #expect(report.headers(200, grpcStatus: nil, isEnd: false) == nil)
        #expect(report.trailers(grpcStatus: 14) == 503)
    }

    @Test func `of a gRPC call that is trailers only, or none, comes with its header section`() {
        var (trailersOnly, other) = (MirrorReport(isGRPC: true), MirrorReport(isGRPC: true))
        #expect(trailersOnly.headers(200, grpcStatus: 0, isEnd: true) == 200)
        #expect(other.headers(404, grpcStatus: nil, isEnd: false) == 404)
    }

    @Test func `takes no gRPC status of a request that is no call`() {
        var report = MirrorReport(isGRPC: false)
        #expect(report.headers(200, grpcStatus: 14, isEnd: false) == 200)
    }

    @Test func `comes with the end of an answer without trailers, and not without an answer`() {
        var (answered, silent) = (MirrorReport(isGRPC: true), MirrorReport(isGRPC: true))
        #expect(answered.headers(200, grpcStatus: nil, isEnd: false) == nil && answered.ended() == 200)
        #expect(silent.ended() == nil && silent.failed() && !silent.failed())
    }
}
