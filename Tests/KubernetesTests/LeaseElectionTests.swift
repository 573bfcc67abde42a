import Testing

@testable import Kubernetes

/// A server with one Lease, and replicas whose requests it answers. The clock is moved by hand.
private struct Replicas {
    static let name = LeaseName(namespace: "istio-ingress", name: "portico-status")

    var now: Int64 = 1_000_000
    var elections: [String: LeaseElection] = [:]
    /// When each one wants to go on.
    var due: [String: Int64] = [:]
    /// What each one was last told.
    var told: [String: String] = [:]
    var requests: [String] = []
    // The Lease, and its version.
    var lease: String?
    var version = 0
    /// Replicas whose requests come to nothing.
    var isolated: Set<String> = []

    var moment: Moment { Moment(wall: now, steady: now) }

    mutating func add(_ identity: String) {
        elections[identity] = LeaseElection(Self.name, identity: identity)
        send(.begin, to: identity)
    }

    mutating func send(_ input: LeaseElection.Input, to identity: String) {
        let time = moment
        for action in elections[identity]?.handle(input, at: time) ?? [] {
            switch action {
            case .request(let method, let path, let body):
                requests.append("\(identity) \(method) \(path)")
                send(isolated.contains(identity) ? .failed("no route") : answer(method, body), to: identity)
            case .wait(let milliseconds): due[identity] = now + Int64(milliseconds)
            case .lead: told[identity] = "leads"
            case .follow(let holder): told[identity] = "follows \(holder ?? "?")"
            case .refused(let permission): told[identity] = "\(permission)"
            case .trouble: break
            }
        }
    }

    private mutating func answer(_ method: String, _ body: String) -> LeaseElection.Input {
        let sent = (try? LeaseText.read(Array(body.utf8))) ?? LeaseText()
        switch method {
        case "GET":
            guard let lease else { return .answer(status: 404, body: []) }
            return .answer(status: 200, body: Array(lease.utf8))
        case "POST" where lease != nil: return .answer(status: 409, body: [])
        case "PUT" where sent.resourceVersion != "\(version)": return .answer(status: 409, body: [])
        default:
            version += 1
            let own = LeaseText.lease(
                Self.name, resourceVersion: "\(version)", holder: sent.holder, seconds: sent.seconds,
                acquired: sent.acquireTime, renewed: sent.renewTime, transitions: sent.transitions)
            lease = own
            return .answer(status: method == "POST" ? 201 : 200, body: Array(own.utf8))
        }
    }

    /// Moves the clock, with all timers that fire meanwhile.
    mutating func pass(_ milliseconds: Int64) {
        let end = now + milliseconds
        while let next = due.filter({ elections[$0.key] != nil }).min(by: { ($0.value, $0.key) < ($1.value, $1.key) }),
            next.value <= end
        {
            now = max(now, next.value)
            due[next.key] = nil
            send(.timer, to: next.key)
        }
        now = end
    }

    func leads(_ identity: String) -> Bool { elections[identity]?.leads(at: moment) ?? false }
    var leaders: [String] { elections.keys.sorted().filter(leads) }
}

@Suite struct `The election by a Lease` {
    @Test func `makes the first replica the leader, and the others wait`() {
        var replicas = Replicas()
        replicas.add("a")
        replicas.add("b")
        #expect(replicas.told == ["a": "leads", "b": "follows a"])
        replicas.pass(60_000)
        #expect(replicas.leaders == ["a"])
        #expect(!replicas.requests.contains { $0.hasPrefix("b P") })
    }

    @Test func `lets another one take over within fifteen seconds of the leader's death`() {
        for phase: Int64 in stride(from: 0, to: 6_000, by: 250) {
            var replicas = Replicas()
            replicas.add("a")
            replicas.pass(700)
            replicas.add("b")
            replicas.pass(20_000 + phase)
            replicas.elections["a"] = nil
            let died = replicas.now
            while replicas.leaders.isEmpty, replicas.now < died + 60_000 { replicas.pass(50) }
            #expect(replicas.leaders == ["b"] && replicas.now - died <= 15_000, "\(replicas.now - died) ms")
            #expect(replicas.now - died >= 5_000, "the Lease counts for its duration")
        }
    }

    @Test func `takes a Lease over after an hour without a renewal, however long its holder wanted it`() {
        var replicas = Replicas()
        replicas.version = 1
        replicas.lease = LeaseText.lease(
            Replicas.name, resourceVersion: "1", holder: "other", seconds: 1_000_000,
            acquired: "2026-11-27T00:00:00.000000Z", renewed: "2026-11-27T00:00:00.000000Z", transitions: 0)
        replicas.add("a")
        replicas.pass(3_599_000)
        #expect(replicas.leaders.isEmpty && replicas.told["a"] == "follows other")
        replicas.pass(60_000)
        #expect(replicas.leaders == ["a"])
    }

    @Test func `has never two leaders, whoever is cut off`() {
        var replicas = Replicas()
        for name in ["a", "b", "c"] { replicas.add(name) }
        var random: UInt64 = 7
        var terms: Set<String> = []
        for _ in 0..<2_000 {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let name = ["a", "b", "c"][Int(random >> 33) % 3]
            if (random >> 40) % 4 == 0 { replicas.isolated.insert(name) } else { replicas.isolated.remove(name) }
            for _ in 0..<10 {
                replicas.pass(Int64((random >> 50) % 200))
                #expect(replicas.leaders.count <= 1, "\(replicas.leaders)")
            }
            terms.formUnion(replicas.leaders)
        }
        #expect(terms == ["a", "b", "c"])
    }

    @Test func `ends for a leader that cannot renew, before another one begins`() {
        var replicas = Replicas()
        replicas.add("a")
        replicas.pass(100)
        replicas.isolated = ["a"]
        replicas.pass(7_000)
        #expect(replicas.leads("a"))
        replicas.pass(3_000)
        #expect(!replicas.leads("a") && replicas.told["a"] == "follows ?")
        replicas.isolated = []
        replicas.pass(5_000)
        #expect(replicas.leads("a"))
    }

    @Test func `passes on at once when the leader resigns`() {
        var replicas = Replicas()
        replicas.add("a")
        replicas.add("b")
        replicas.send(.resign, to: "a")
        #expect(!replicas.leads("a"))
        replicas.pass(2_001)
        #expect(replicas.leaders == ["b"])
        replicas.pass(60_000)
        #expect(replicas.leaders == ["b"], "one that has resigned does nothing any more")
    }

    @Test func `gives back a Lease that it is about to take`() throws {
        var election = LeaseElection(Replicas.name, identity: "a")
        let moment = Moment(wall: 1_000_000, steady: 0)
        _ = election.handle(.begin, at: moment)
        let free = LeaseText.lease(
            Replicas.name, resourceVersion: "7", holder: "", seconds: 1, acquired: "", renewed: "", transitions: 3)
        let taken = election.handle(.answer(status: 200, body: Array(free.utf8)), at: moment)
        guard case .request("PUT", _, _) = taken.first else { throw Unexpected(actions: taken) }
        let last = election.handle(.resign, at: moment)
        guard case .request("PUT", _, let body) = last.first else { throw Unexpected(actions: last) }
        let lease = try LeaseText.read(Array(body.utf8))
        #expect(lease.holder == "" && lease.resourceVersion == "7" && last.count == 1)
        #expect(election.handle(.answer(status: 200, body: []), at: moment) == [])
    }

    private struct Unexpected: Error { let actions: [LeaseElection.Action] }

    @Test func `counts transitions, and keeps the time of the acquisition`() throws {
        var replicas = Replicas()
        replicas.add("a")
        let first = try LeaseText.read(Array((replicas.lease ?? "").utf8))
        #expect(first.transitions == 0 && first.seconds == 10 && first.acquireTime == "1970-01-01T00:16:40.000000Z")
        replicas.pass(3_000)
        let second = try LeaseText.read(Array((replicas.lease ?? "").utf8))
        #expect(second.renewTime == "1970-01-01T00:16:43.000000Z" && second.acquireTime == first.acquireTime)
        replicas.add("b")
        replicas.elections["a"] = nil
        replicas.pass(15_000)
        #expect(try LeaseText.read(Array((replicas.lease ?? "").utf8)).transitions == 1)
    }

    @Test func `says which permission is missing`() {
        var election = LeaseElection(Replicas.name, identity: "a")
        let now = Moment(wall: 0, steady: 0)
        _ = election.handle(.begin, at: now)
        let actions = election.handle(.answer(status: 403, body: []), at: now)
        let wanted = Permission(
            verb: "get", group: "coordination.k8s.io", resource: "leases", namespace: "istio-ingress",
            name: "portico-status")
        #expect(actions == [.refused(wanted), .wait(milliseconds: 30_000)])
        _ = election.handle(.timer, at: now)
        _ = election.handle(.answer(status: 404, body: []), at: now)
        guard case .refused(let create)? = election.handle(.answer(status: 403, body: []), at: now).first else {
            Issue.record("not refused")
            return
        }
        #expect(create.verb == "create" && create.name == nil)
    }

    @Test func `bears any answer`() {
        let leases = [
            "", "null", "{}", #"{"spec":null}"#, #"{"spec":{"holderIdentity":null,"leaseDurationSeconds":-5}}"#,
            #"{"spec":{"holderIdentity":"b","leaseDurationSeconds":9223372036854775807}}"#,
            #"{"spec":{"holderIdentity":"a","leaseTransitions":9223372036854775807}}"#,
            #"{"spec":{"holderIdentity":"","leaseTransitions":-9223372036854775808}}"#,
        ]
        for lease in leases {
            for status in [200, 201, 400, 404, 409, 500] {
                var election = LeaseElection(Replicas.name, identity: "a")
                var now = Moment(wall: 0, steady: 0)
                _ = election.handle(.begin, at: now)
                for _ in 0..<4 {
                    let actions = election.handle(.answer(status: status, body: Array(lease.utf8)), at: now)
                    #expect(!actions.isEmpty && actions.count <= 3)
                    now = Moment(wall: now.wall + 4_000, steady: now.steady + 4_000)
                    _ = election.handle(.timer, at: now)
                }
            }
        }
    }
}
