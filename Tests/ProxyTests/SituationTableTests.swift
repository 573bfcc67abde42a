import HTTP
import Telemetry
import Testing

@testable import Proxy

/// The table as a whole: no row is forgotten, and every row holds together.
@Suite struct `The table of situations` {
    private static let all: [Situation] =
        HTTP1Error.allCases.map(Situation.requestRefused)
        + HTTP2Fault.allCases.map(Situation.requestMalformed) + HTTP2Fault.allCases.map(Situation.upstreamMalformed) + [
            .pathRefused, .upgradeRefused, .bodyTooLarge, .headerTimedOut, .requestTimedOut, .clientClosed,
            .clientReset,
            .noRoute, .connectMethod, .optionsAsterisk, .misdirected, .unknownCluster, .noHealthyEndpoint,
            .connectFailed, .connectTimedOut, .closedUnsent, .upstreamClosed, .upstreamReset, .upstreamRefused,
            .upstreamProtocolError, .grpcWebRefused, .overflow, .localReset, .routeTimedOut, .deadlineExceeded,
            .tryTimedOut,
            .idleSending, .idleReceiving, .durationExceeded, .overloaded, .draining,
        ]

    /// Who adds a case has to add it here, and then in `all`; otherwise this file does not compile.
    private static func number(_ situation: Situation) -> Int {
        switch situation {
        case .requestRefused: 0
        case .pathRefused: 1
        case .upgradeRefused: 2
        case .bodyTooLarge: 3
        case .headerTimedOut: 4
        case .requestTimedOut: 5
        case .clientClosed: 6
        case .clientReset: 7
        case .noRoute: 8
        case .connectMethod: 9
        case .optionsAsterisk: 10
        case .misdirected: 11
        case .unknownCluster: 12
        case .noHealthyEndpoint: 13
        case .connectFailed: 14
        case .connectTimedOut: 15
        case .closedUnsent: 16
        case .upstreamClosed: 17
        case .upstreamReset: 18
        case .upstreamRefused: 19
        case .upstreamProtocolError: 20
        case .overflow: 21
        case .localReset: 22
        case .routeTimedOut: 23
        case .deadlineExceeded: 24
        case .tryTimedOut: 25
        case .idleSending: 26
        case .idleReceiving: 27
        case .durationExceeded: 28
        case .overloaded: 29
        case .draining: 30
        case .grpcWebRefused: 31
        case .requestMalformed: 32
        case .upstreamMalformed: 33
        }
    }

    @Test func `has every situation`() {
        #expect(Set(Self.all.map(Self.number)) == Set(0...33))
    }

    @Test func `answers everybody who is still there`() {
        for situation in Self.all {
            var isGone = situation == .clientClosed || situation == .clientReset
            if case .requestMalformed(let fault) = situation { isGone = !fault.mayBeAnswered }    // reset
            let status = situation.outcome.status
            #expect(isGone ? status == 0 : (400...599).contains(status), "\(situation)")
            #expect(situation.outcome.grpcStatus.rawValue != 0, "\(situation)")
        }
    }

    @Test func `has words for gRPC callers and one token for the log`() {
        for situation in Self.all {
            let outcome = situation.outcome
            #expect(!outcome.details.isEmpty && !outcome.details.contains(" "), "\(situation)")
            #expect(outcome.status == 0 || !outcome.body.isEmpty || !outcome.sentence.isEmpty, "\(situation)")
        }
    }

    @Test func `never blames an upstream that was not asked, nor retries for a client's fault`() {
        for situation in Self.all {
            let outcome = situation.outcome
            if outcome.retry != .pointless { #expect(outcome.fault != .client, "\(situation)") }
            if outcome.status < 500 { #expect(outcome.fault == .client, "\(situation)") }
            if outcome.fault == .client { #expect(outcome.status < 600 && outcome.retry == .pointless, "\(situation)") }
        }
    }

    @Test func `closes where nobody knows where the next request begins`() {
        for error in HTTP1Error.allCases {
            #expect(Situation.requestRefused(error).outcome.after == .close, "\(error)")
        }
        #expect(Situation.draining.outcome.after == .close)
        #expect(Situation.noRoute.outcome.after == .keep)
        #expect(Situation.upstreamClosed.outcome.after == .keep)
    }

    @Test(
        arguments: [
            (.misdirected, 421, "NR", 2), (.localReset, 503, "LR", 14), (.overloaded, 503, "OM", 8),
            (.draining, 503, "-", 14),
        ] as [(Situation, Int, String, UInt8)])
    func `has the rows that are our own`(situation: Situation, status: Int, flag: String, grpc: UInt8) {
        let outcome = situation.outcome
        #expect(outcome.status == status && outcome.flag.rawValue == flag)
        #expect(outcome.grpcStatus.rawValue == grpc)
    }

    @Test func `writes each flag as its letters, none as nothing`() {
        for flag in ResponseFlag.allCases {
            #expect("\(flag.text)" == (flag == .none ? "" : flag.rawValue))
        }
        #expect(Set(ResponseFlag.allCases.map(\.rawValue)).count == ResponseFlag.allCases.count)
    }

    @Test func `counts a retry under what failed`() {
        #expect(Situation.connectFailed.retryReason == .connectFailure)
        #expect(Situation.connectTimedOut.retryReason == .connectFailure)
        #expect(Situation.upstreamRefused.retryReason == .refusedStream)
        #expect(Situation.closedUnsent.retryReason == .connectionLost)
    }
}
