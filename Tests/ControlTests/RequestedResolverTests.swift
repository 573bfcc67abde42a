import Balancing
import Octets
import Routing
import Synchronization
import Telemetry
import Testing

@testable import Control
@testable import Proxy
@testable import Reactor

/// Hosts that requests have named.
@Suite struct `The resolver of hosts that requests name` {
    private let bell: Mailbox<Void>
    private let answers = Answers()
    private let identity = ClusterIdentity(host: "*.test", port: 80, subset: "", policy: .leastRequest)
    private let start = MonotonicTime(nanoseconds: 1_000_000_000_000)

    /// What the next look-ups say; a name without an answer says nothing for as long as the test lasts.
    private final class Answers: Sendable {
        private let known = Lock<[String: [String]?]>([:])
        private let isOver = Lock(false)
        private let never: Mailbox<Void>?
        init() { never = try? Mailbox<Void>() }
        func end() { isOver.withLock { $0 = true } }
        func set(_ name: String, _ answer: [String]?) { known.withLock { $0[name] = .some(answer) } }

        func lookUp(_ name: String) throws(ResolverError) -> [String] {
            while !isOver.withLock({ $0 }) {
                if let answer = known.withLock({ $0[name] }) {
                    guard let answer else { throw ResolverError(host: name, reason: "gone") }
                    return answer
                }
                if let never { _ = DescriptorWait.untilReadable(never.descriptor, milliseconds: 2) }
            }
            throw ResolverError(host: name, reason: "the test is over")
        }
    }

    private let used: UsedDirectories

    init() throws {
        bell = try Mailbox<Void>()
        used = UsedDirectories(answers)
    }

    private func resolver() -> RequestedResolver {
        let (bell, answers, used) = (bell, answers, used)
        return RequestedResolver(wake: { bell.post(()) }) { changed throws(SystemError) in
            let directory = try NameDirectory(
                refreshMilliseconds: 5, lookUp: { name throws(ResolverError) in try answers.lookUp(name) },
                changed: changed)
            used.add(directory)
            return directory
        }
    }

    /// The directories of a test, which look nothing up any more when it is over: their threads live on.
    private final class UsedDirectories: Sendable {
        private let all = Lock<[NameDirectory]>([])
        private let answers: Answers
        init(_ answers: Answers) { self.answers = answers }
        func add(_ directory: NameDirectory) { all.withLock { $0.append(directory) } }
        deinit {
            for directory in all.withLock({ $0 }) { directory.want([]) }
            answers.end()
        }
    }

    private func ask(_ name: String, _ resolver: RequestedResolver, at time: MonotonicTime? = nil) -> RequestedHost? {
        resolver.hosts.find(
            .init(cluster: identity, port: 8080, name: name), clusterName: "c",
            at: (time ?? start).nanoseconds / 1_000_000_000)
    }

    /// Settles until hosts have done so, as the control plane does when it is woken.
    private func settled(
        _ resolver: inout RequestedResolver, _ clusters: inout ClusterDirectory, at time: MonotonicTime? = nil,
        limits: [ReachedLimit]? = nil
    ) -> [RequestedHost] {
        let deadline = MonotonicTime.now() + .seconds(60)
        while MonotonicTime.now() < deadline {
            if let outcome = resolver.settle(at: time ?? start, in: &clusters), !outcome.settled.isEmpty {
                if let limits { #expect(outcome.limits == limits) }
                return outcome.settled
            }
            _ = DescriptorWait.untilReadable(bell.descriptor, milliseconds: 50)
            _ = bell.takeAll()
        }
        return []
    }

    private func addresses(_ host: RequestedHost) -> [String] { host.cluster.endpoints.map { "\($0.address)" } }

    @Test func `publishes the addresses of a host, and each change of them`() throws {
        var (resolver, clusters) = (resolver(), ClusterDirectory(limit: 10))
        answers.set("a.test", ["10.0.0.1", "10.0.0.2"])
        let host = try #require(ask("a.test", resolver))
        #expect(host.status == .resolving)
        #expect(settled(&resolver, &clusters) == [host] && host.status == .ready)
        #expect(addresses(host) == ["10.0.0.1:8080", "10.0.0.2:8080"])
        #expect(ask("a.test", resolver) === host)
        answers.set("a.test", ["10.0.0.2"])
        #expect(settled(&resolver, &clusters) == [host])
        #expect(addresses(host) == ["10.0.0.2:8080"])
    }

    @Test func `publishes addresses of both families in pairs, sixteen at most`() throws {
        var (resolver, clusters) = (resolver(), ClusterDirectory(limit: 10))
        answers.set("a.test", (1...20).map { "10.0.0.\($0)" } + ["fd00::1"])
        let host = try #require(ask("a.test", resolver))
        #expect(settled(&resolver, &clusters) == [host])
        #expect(host.cluster.endpoints.count == RequestedResolver.mostAddresses)
        #expect(host.cluster.endpoints.allSatisfy { $0.dual?.ipv6 == .ip("fd00::1", port: 8080) })
    }

    @Test func `keeps the last addresses while look-ups fail`() throws {
        var (resolver, clusters) = (resolver(), ClusterDirectory(limit: 10))
        answers.set("a.test", ["10.0.0.1"])
        let host = try #require(ask("a.test", resolver))
        #expect(settled(&resolver, &clusters) == [host])
        answers.set("a.test", nil)
        answers.set("b.test", ["10.0.0.9"])
        let other = try #require(ask("b.test", resolver))
        #expect(settled(&resolver, &clusters) == [other])
        #expect(host.status == .ready && addresses(host) == ["10.0.0.1:8080"])
    }

    @Test func `says why a look-up failed, and forgets that soon`() throws {
        var (resolver, clusters) = (resolver(), ClusterDirectory(limit: 10))
        answers.set("a.test", nil)
        let host = try #require(ask("a.test", resolver))
        #expect(settled(&resolver, &clusters) == [host])
        #expect(host.status == .failed("cannot resolve a.test: gone"))
        let later = start + RequestedResolver.failureTime
        #expect(resolver.nextLook == later)
        #expect(settled(&resolver, &clusters, at: later) == [host])
        #expect(host.status == .gone && resolver.hosts.count == 0 && resolver.nextLook == nil)
        answers.set("a.test", ["10.0.0.1"])
        let again = try #require(ask("a.test", resolver))
        #expect(again !== host)
        #expect(settled(&resolver, &clusters) == [again] && again.status == .ready)
    }

    @Test func `gives up on a server that says nothing, and takes a late answer`() throws {
        var (resolver, clusters) = (resolver(), ClusterDirectory(limit: 10))
        let host = try #require(ask("a.test", resolver))
        #expect(resolver.settle(at: start, in: &clusters)?.settled == [])
        #expect(host.status == .resolving)
        let late = start + RequestedResolver.longestWait
        let outcome = resolver.settle(at: late, in: &clusters)
        #expect(outcome?.settled == [host] && outcome?.limits == [.requestedTimeout])
        #expect(host.status == .failed("no answer for a.test within 5.0 seconds"))
        answers.set("a.test", ["10.0.0.1"])
        #expect(settled(&resolver, &clusters, at: late) == [host])
        #expect(host.status == .ready && addresses(host) == ["10.0.0.1:8080"])
    }

    @Test func `forgets a host that no request has named for long`() throws {
        var (resolver, clusters) = (resolver(), ClusterDirectory(limit: 10))
        answers.set("a.test", ["10.0.0.1"])
        let host = try #require(ask("a.test", resolver))
        _ = settled(&resolver, &clusters)
        let endpoint = try #require(host.cluster.endpoints.first)
        let idle = start + RequestedResolver.idleTime
        #expect(resolver.settle(at: start + .seconds(299), in: &clusters)?.settled == [])
        let outcome = resolver.settle(at: idle + .seconds(10), in: &clusters)
        #expect(outcome?.settled == [host] && outcome?.left == [endpoint.number])
        #expect(host.status == .gone && endpoint.isGone && resolver.hosts.count == 0)
    }

    @Test func `sends nothing where requests must not lead`() throws {
        let guardian = EndpointGuard(allowsLocal: false)
        var resolver = resolver()
        var clusters = ClusterDirectory(limit: 10, refusedRequested: guardian.refusalOfRequested)
        let bad = ["127.0.0.1", "169.254.169.254", "0.0.0.0", "::1", "fe80::1", "::ffff:127.0.0.1", "224.0.0.1", "::"]
        answers.set("a.test", bad)
        let host = try #require(ask("a.test", resolver))
        #expect(settled(&resolver, &clusters) == [host])
        guard case .failed(let reason) = host.status else { return #expect(Bool(false)) }
        #expect(reason.contains("nothing is sent to [::]:8080, an address of a.test, a loopback address"))
        #expect(addresses(host).isEmpty)
        answers.set("b.test", bad + ["10.0.0.1"])
        let other = try #require(ask("b.test", resolver))
        #expect(settled(&resolver, &clusters) == [other])
        #expect(addresses(other) == ["10.0.0.1:8080"] && other.status == .ready)
    }

    @Test func `makes room for new hosts by those that are of least use`() throws {
        var (resolver, clusters) = (resolver(), ClusterDirectory(limit: 10))
        answers.set("used.test", ["10.0.0.1"])
        let used = try #require(ask("used.test", resolver, at: start + .seconds(9)))
        _ = settled(&resolver, &clusters)
        let now = start + .seconds(10)
        for number in 0..<RequestedHosts.limit - 1 {
            answers.set("x\(number).test", ["10.0.0.2"])
            #expect(ask("x\(number).test", resolver) != nil)
        }
        #expect(ask("more.test", resolver) == nil)
        let deadline = MonotonicTime.now() + .seconds(60)
        while resolver.hosts.count > RequestedHosts.limit * 7 / 8, MonotonicTime.now() < deadline {
            _ = settled(&resolver, &clusters, at: now)
        }
        #expect(resolver.hosts.count <= RequestedHosts.limit * 7 / 8)
        #expect(used.status == .ready)
        #expect(ask("more.test", resolver) != nil)
    }

    @Test func `takes no more addresses of a host than its share`() throws {
        var (resolver, clusters) = (resolver(), ClusterDirectory(limit: 10))
        answers.set("a.test", (0..<200).map { "10.0.0.\($0)" })
        let host = try #require(ask("a.test", resolver))
        #expect(settled(&resolver, &clusters, limits: [.requestedAddresses]) == [host])
        #expect(addresses(host).count == RequestedResolver.mostAddresses)
    }
}
