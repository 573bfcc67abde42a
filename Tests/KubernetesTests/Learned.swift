import Octets
import Reactor
import Synchronization

import JSON

@testable import Kubernetes

/// Takes what a client learns, and keeps the objects as a store would.
final class Learned: ResourceSink {
    struct Contents: Sendable {
        var events: [ResourceEvent] = []
        /// The version of each object, by kind, namespace and name.
        var objects: [String: String] = [:]
        var states: [String: ResourceState] = [:]
        var secrets: [SecretName: ResourceState] = [:]
        /// How many complete lists have come.
        var lists = 0
        var messages: [String] = []
        var replies: [ClusterWatch.Reply] = []
        var limits: [ClusterLimit] = []
        /// Octets of the changed objects that came together.
        var batches: [Int] = []
        fileprivate var listing: [String: Set<String>] = [:]
        fileprivate var kindsToList: [ResourceKind] = []
    }

    private let contents = Lock(Contents())
    private let bell: Mailbox<Void>

    init() throws { bell = try Mailbox() }

    func receive(_ events: [ResourceEvent]) {
        contents.withLock { contents in
            for event in events { Self.take(event, &contents) }
            contents.batches.append(events.reduce(0) { $0 + Self.octets($1) })
        }
        bell.post(())
    }

    func reached(_ limit: ClusterLimit) {
        contents.withLock { $0.limits.append(limit) }
        bell.post(())
    }

    func kindsToList() -> [ResourceKind] {
        contents.withLock { contents in
            defer { contents.kindsToList = [] }
            return contents.kindsToList
        }
    }

    /// Has a kind listed again, once, after the next event.
    func wantList(_ kind: ResourceKind) { contents.withLock { $0.kindsToList = [kind] } }

    func log(_ message: ClusterMessage) {
        contents.withLock { $0.messages.append(message.text) }
        bell.post(())
    }

    func reply(_ reply: ClusterWatch.Reply) {
        contents.withLock { $0.replies.append(reply) }
        bell.post(())
    }

    var now: Contents { contents.withLock { $0 } }

    /// Waits until a condition holds.
    /// - Returns: whether it does, within a time that is far longer than it takes.
    func waits(until condition: (Contents) -> Bool) -> Bool {
        let end = MonotonicTime.now() + .seconds(60)
        while !condition(now) {
            guard MonotonicTime.now() < end else { return false }
            if DescriptorWait.untilReadable(bell.descriptor, milliseconds: 1000) { _ = bell.takeAll() }
        }
        return true
    }

    private static func octets(_ event: ResourceEvent) -> Int {
        if case .changed(_, let object) = event { object.count } else { 0 }
    }

    private static func take(_ event: ResourceEvent, _ contents: inout Contents) {
        contents.events.append(event)
        switch event {
        case .page(let kind, let namespace, let objects, let isFirst, let isLast):
            let scope = "\(kind.plural)/\(namespace.map { "\($0)/" } ?? "")"
            if isFirst { contents.listing[scope] = [] }
            for object in objects {
                guard let key = note(kind, object, &contents) else { continue }
                contents.listing[scope]?.insert(key)
            }
            guard isLast, let all = contents.listing.removeValue(forKey: scope) else { return }
            contents.lists += 1
            contents.objects = contents.objects.filter { !$0.key.hasPrefix(scope) || all.contains($0.key) }
        case .changed(let kind, let object): _ = note(kind, object, &contents)
        case .secretRead(_, let text): _ = note(.secrets, text.withOctets(\.array) ?? [], &contents)
        case .removed(let kind, let namespace, let name): contents.objects["\(kind.plural)/\(namespace)/\(name)"] = nil
        case .state(let kind, let namespace, let state):
            contents.states[kind.plural + (namespace.map { "/\($0)" } ?? "")] = state
        case .secret(let name, let state): contents.secrets[name] = state
        }
    }

    private static func note(_ kind: ResourceKind, _ object: [UInt8], _ contents: inout Contents) -> String? {
        guard let skim = try? MetadataSkim(object) else { return nil }
        let key = "\(kind.plural)/\(skim.namespace)/\(skim.name)"
        contents.objects[key] = skim.resourceVersion
        return key
    }
}

/// A client of a fake server, and what it learns.
final class Client {
    let learned: Learned
    let watch: ClusterWatch

    init(
        _ access: ClusterAccess, kinds: [ResourceKind] = [.services], standIns: [ClusterWatch.StandIn] = [],
        namespaces: [String] = [], timing: WatchTiming = .quick, mostReads: Int? = nil
    ) throws {
        let learned = try Learned()
        self.learned = learned
        var plan = ClusterWatch.Plan(access: access, kinds: kinds, standIns: standIns, namespaces: namespaces)
        plan.timing = timing
        if let mostReads { plan.mostReads = mostReads }
        watch = try ClusterWatch.start(plan, sink: learned, log: learned.log)
    }

    deinit { watch.stop() }

    func waits(until condition: (Learned.Contents) -> Bool) -> Bool { learned.waits(until: condition) }
    func becomesCurrent(_ kind: String = "services") -> Bool { waits { $0.states[kind] == .current } }
}

extension WatchTiming {
    /// Short waits between tries, and long ones for what must not happen.
    static var quick: WatchTiming {
        var timing = WatchTiming()
        (timing.firstBackOff, timing.mostBackOff) = (20, 200)
        (timing.firstRefused, timing.mostRefused) = (50, 100)
        timing.absent = 100
        timing.shortWatch = 0
        timing.tokenFile = 0
        return timing
    }
}

extension ClusterAccess {
    /// The access to a fake server.
    static func fake(_ port: UInt16, credential: Credential = .none, serverName: String? = nil) -> ClusterAccess {
        ClusterAccess(
            host: "127.0.0.1", port: port, serverName: serverName, trust: .pem(FakeCertificates.shared.authority),
            credential: credential)
    }
}
