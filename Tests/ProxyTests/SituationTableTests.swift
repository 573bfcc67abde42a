import HTTP
import Reactor
import Support
import TLS
import Telemetry
import Testing

@testable import Proxy

/// The table as a whole: no row is forgotten, and every row holds together.
@Suite struct `The table of situations` {
    private static let all: [Situation] =
        HTTP1Error.allCases.map(Situation.requestRefused)
        + HandshakeFailure.allCases.map(Situation.handshakeFailed)
        + HTTP2Violation.allCases.map(Situation.requestMalformed)
        + HTTP2Violation.allCases.map(Situation.upstreamMalformed) + [
            .pathRefused, .upgradeRefused, .headerTimedOut, .clientClosed, .clientReset,
            .noRoute, .connectMethod, .protocolUnknown, .optionsAsterisk, .misdirected, .redirectedToHTTPS,
            .unknownCluster, .noHealthyEndpoint, .endpointsFailing, .hostUnresolved,
            .connectFailed, .connectTimedOut, .closedUnsent, .upstreamClosed, .upstreamReset, .upstreamRefused,
            .upstreamProtocolError, .grpcWebMalformed, .grpcDowngraded, .deadlineHopeless, .overflow, .localReset,
            .routeTimedOut,
            .upgradeUnsupported, .resolutionTooSlow(isRoutes: true), .resolutionTooSlow(isRoutes: false),
            .deadlineUnread, .connectLacking,
            .deadlineExceeded, .deadlineUnmeetable(isRoutes: true), .deadlineUnmeetable(isRoutes: false),
            .idleSending, .idleReceiving, .upstreamStalled, .overloaded, .drainOver, .directResponse(200),
            .directResponse(404), .directResponse(503), .redirect(301), .corsPreflight,
            .operationsTooLarge(isAnswer: false), .operationsTooLarge(isAnswer: true),
            .tryTimedOut, .faultInjected(status: 404, grpc: nil), .faultInjected(status: 200, grpc: .notFound),
        ]

    /// Who adds a case has to add it here, and then in `all`; otherwise this file does not compile.
    private static func number(_ situation: Situation) -> Int {
        switch situation {
        case .requestRefused: 0
        case .pathRefused: 1
        case .upgradeRefused: 2
        case .headerTimedOut: 3
        case .clientClosed: 4
        case .clientReset: 5
        case .noRoute: 6
        case .connectMethod: 7
        case .optionsAsterisk: 8
        case .misdirected: 9
        case .unknownCluster: 10
        case .noHealthyEndpoint: 11
        case .connectFailed: 12
        case .connectTimedOut: 13
        case .closedUnsent: 14
        case .upstreamClosed: 15
        case .upstreamReset: 16
        case .upstreamRefused: 17
        case .upstreamProtocolError: 18
        case .overflow: 19
        case .localReset: 20
        case .routeTimedOut: 21
        case .deadlineExceeded: 22
        case .idleSending: 23
        case .idleReceiving: 24
        case .overloaded: 25
        case .grpcWebMalformed: 26
        case .requestMalformed: 27
        case .upstreamMalformed: 28
        case .directResponse: 29
        case .tryTimedOut: 30
        case .faultInjected: 31
        case .redirectedToHTTPS: 32
        case .redirect: 33
        case .corsPreflight: 34
        case .operationsTooLarge: 35
        case .handshakeFailed: 36
        case .protocolUnknown: 37
        case .hostUnresolved: 38
        case .drainOver: 39
        case .grpcDowngraded: 40
        case .deadlineHopeless: 41
        case .deadlineUnmeetable: 42
        case .endpointsFailing: 43
        case .upstreamStalled: 44
        case .upgradeUnsupported: 45
        case .resolutionTooSlow: 46
        case .deadlineUnread: 47
        case .connectLacking: 48
        }
    }

    @Test func `says of each who is to blame, and by that how grave it is`() {
        #expect(Blame.allCases.map { $0.name.description } == Blame.allCases.map(\.rawValue))
        let levels = Blame.allCases.map { $0.level.description }
        #expect(levels == ["info", "warning", "error", "error"])
        for situation in Self.all {
            var record = AccessLogEntry(start: WallTime(seconds: 0, nanoseconds: 0))
            let outcome = situation.outcome
            outcome.blame(in: &record)
            let isFailure = outcome.status == 0 || outcome.status >= 400
            #expect(record.blame.description == (isFailure ? outcome.blame.rawValue : ""), "\(situation)")
            #expect(record.level.description == (isFailure ? outcome.blame.level.description : ""), "\(situation)")
        }
        #expect(Situation.requestRefused(.headersTooLarge).outcome.blame == .client)
        #expect(Situation.unknownCluster.outcome.blame == .configuration)
        #expect(Situation.upstreamProtocolError.outcome.blame == .upstream)
        // Nothing was sent: whoever set the deadline is to blame, and no endpoint.
        #expect(Situation.deadlineUnmeetable(isRoutes: false).outcome.blame == .client)
        #expect(Situation.deadlineUnmeetable(isRoutes: true).outcome.blame == .configuration)
        #expect(Situation.deadlineExceeded.outcome.blame == .upstream)
        #expect(Situation.resolutionTooSlow(isRoutes: true).outcome.blame == .configuration)
        #expect(Situation.resolutionTooSlow(isRoutes: false).outcome.blame == .client)
        #expect(Situation.deadlineUnread.outcome.blame == .client)
        #expect(Situation.connectLacking.outcome.blame == .gateway)
        // The request is valid: the gateway has no memory for it, or its endpoint no such protocol.
        #expect(Situation.requestRefused(.headerMemory).outcome.blame == .gateway)
        #expect(Situation.requestMalformed(.headerMemory).outcome.blame == .gateway)
        #expect(Situation.requestMalformed(.headerHoard).outcome.blame == .gateway)
        #expect(Situation.upgradeUnsupported.outcome.blame == .upstream)
        // Who stands still is to blame, and endpoints that are there and fail are not the configuration's.
        #expect(Situation.idleSending.outcome.blame == .client)
        #expect(Situation.idleReceiving.outcome.blame == .client)
        #expect(Situation.upstreamStalled.outcome.blame == .upstream)
        #expect(Situation.noHealthyEndpoint.outcome.blame == .configuration)
        #expect(Situation.endpointsFailing.outcome.blame == .upstream)
        // The message was within its limits until a rule copied it over and over.
        #expect(Situation.operationsTooLarge(isAnswer: false).outcome.blame == .configuration)
        #expect(Situation.operationsTooLarge(isAnswer: true).outcome.blame == .configuration)
    }

    @Test func `has each flag with its status in the table of behaviour`() {
        let page = TestFiles.text(TestFiles.tests + "/../docs/behaviour.md")
        let rows = page.split(separator: "\n").filter { $0.hasPrefix("| ") }.map { row in
            row.split(separator: "|", omittingEmptySubsequences: false).dropFirst().dropLast()
                .map { $0.split(separator: " ").joined(separator: " ") }
        }.filter { $0.count == 5 }
        for situation in Self.all where !isConfigured(situation) && situation.outcome.flag != .none {
            let outcome = situation.outcome
            let statuses = outcome.status == 0 ? ["reset", "none"] : ["\(outcome.status)", ""]
            let isThere = rows.contains { row in
                row[3] == outcome.flag.rawValue
                    && statuses.contains { $0.isEmpty ? row[1].isEmpty : row[1].contains($0) }
            }
            #expect(isThere, "\(situation): no row with \(outcome.status) and \(outcome.flag.rawValue)")
        }
    }

    @Test func `has each flag in the page's row of who is to blame`() throws {
        let page = TestFiles.text(TestFiles.tests + "/../docs/operations.md")
        for situation in Self.all where !isConfigured(situation) && situation.outcome.flag != .none {
            let outcome = situation.outcome
            let beginning = "| `\(outcome.blame.rawValue)` | \(outcome.blame.level.description) |"
            let row = try #require(page.split(separator: "\n").first { $0.hasPrefix(beginning) }, "\(beginning)")
            #expect(row.contains("`\(outcome.flag.text.description)`"), "\(situation)")
        }
    }

    @Test func `has every situation`() {
        #expect(Set(Self.all.map(Self.number)) == Set(0...48))
    }

    @Test func `answers everybody who is still there`() {
        for situation in Self.all {
            var isGone = [.clientClosed, .clientReset, .drainOver].contains(situation)
            if case .requestMalformed(let fault) = situation { isGone = !fault.mayBeAnswered }    // reset
            let status = situation.outcome.status
            let statuses =
                situation == .redirectedToHTTPS ? 301...301 : isConfigured(situation) ? 200...600 : 400...599
            #expect(isGone ? status == 0 : statuses.contains(status), "\(situation)")
            #expect(situation.outcome.grpcStatus.rawValue != 0, "\(situation)")
        }
    }

    /// Whether a rule says what the answer is.
    private func isConfigured(_ situation: Situation) -> Bool {
        switch situation {
        case .directResponse, .redirect, .corsPreflight, .faultInjected: true
        default: false
        }
    }

    @Test func `has words for gRPC callers and one token for the log`() {
        for situation in Self.all {
            let outcome = situation.outcome
            #expect(!outcome.details.isEmpty && !outcome.details.contains(" "), "\(situation)")
            #expect(!outcome.words("").isEmpty, "\(situation)")
            #expect(outcome.words("because").hasSuffix("because"), "\(situation)")
        }
    }

    /// The page has a row for every flag, which a test in Tests/Gateway checks, and one for the details that have none.
    @Test func `has for each situation a row that says what to do about it`() throws {
        let page = TestFiles.text(TestFiles.tests + "/../docs/operations.md")
        let rows = page.split(separator: "\n").filter { $0.hasPrefix("| `") }
        for situation in Self.all {
            let outcome = situation.outcome
            let key = outcome.flag == .none ? outcome.details : outcome.flag.rawValue
            let row = rows.first { $0.hasPrefix("| `\(key)` | ") }
            let cells = try #require(row, "\(situation): no row `\(key)`").split(separator: "|")
            #expect(cells.count == 3 && cells[2].count > 8, "\(situation)")
        }
    }

    @Test func `says how to mend what an endpoint's TLS lacks, and why no connection was made`() {
        for fault in HandshakeFailure.allCases { #expect(!fault.advice.isEmpty, "\(fault)") }
        #expect(Set(HandshakeFailure.allCases.map(\.advice)).count == HandshakeFailure.allCases.count - 2)
        let silent = ConnectFailure.allCases.filter(\.advice.isEmpty)
        #expect(silent == [.handshake, .other], "the fault of TLS has an advice of its own, the others have none")
    }

    @Test func `never blames an upstream that was not asked, nor retries what a client did wrong`() {
        for situation in Self.all {
            let outcome = situation.outcome
            if outcome.retry.safety != .pointless { #expect(outcome.blame != .client, "\(situation)") }
            // A client helps itself by smaller fields, though it is the rule that copies them.
            let others: [Situation] = [
                .drainOver, .operationsTooLarge(isAnswer: false), .requestMalformed(.headerHoard),
            ]
            let isOfAnother = others.contains(situation)
            if outcome.status < 500, !isConfigured(situation), !isOfAnother {
                #expect(outcome.blame == .client, "\(situation)")
            }
            if outcome.blame == .client {
                #expect(outcome.status < 600 && outcome.retry.safety == .pointless, "\(situation)")
            }
        }
    }

    @Test func `closes where nobody knows where the next request begins`() {
        for error in HTTP1Error.allCases {
            #expect(Situation.requestRefused(error).outcome.after == .close, "\(error)")
        }
        #expect(Situation.overloaded.outcome.after == .close)
        #expect(Situation.noRoute.outcome.after == .keep)
        #expect(Situation.upstreamClosed.outcome.after == .keep)
    }

    @Test(
        arguments: [
            (.misdirected, 421, "NR", 2), (.redirectedToHTTPS, 301, "-", 2), (.localReset, 503, "LR", 14),
            (.overloaded, 503, "OM", 8),
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
        #expect(Situation.connectFailed.outcome.retry.reason == .connectFailure)
        #expect(Situation.connectTimedOut.outcome.retry.reason == .connectFailure)
        #expect(Situation.handshakeFailed(.wrongName).outcome.retry.reason == .connectFailure)
        #expect(Situation.upstreamRefused.outcome.retry.reason == .refusedStream)
        #expect(Situation.closedUnsent.outcome.retry.reason == .connectionLost)
    }
}
