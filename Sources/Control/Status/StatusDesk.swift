internal import Manifests

/// Decides which status is written, and when: only what is this gateway's, only if it has changed, and at most at a
/// rate. It has no socket and no clock: what happens goes in, and one request after the other comes out.
///
/// If another writer changes this gateway's condition of an object back twice, the object is left alone.
struct StatusDesk {
    /// A request to the API server.
    struct Write: Equatable {
        enum Purpose: Equatable {
            /// - `own`: what the status says of this gateway afterwards.
            case status(ObservedObject, OwnStatus?)
            case event(ObservedObject, OwnStatus)
        }

        let purpose: Purpose
        let method: String
        let path: String
        /// Says that the body is a merge patch or a whole object.
        let contentType: String
        let body: String
    }

    /// For the writer's thread to carry out: the desk itself does no I/O.
    enum Next: Equatable {
        case write(Write)
        /// Milliseconds until something may be due.
        case wait(Int)
        /// Until something happens.
        case idle
    }

    /// Events that were never written: this replica had lost the Lease, or the server refused them.
    struct LostEvents: Sendable, Equatable {
        /// Another replica had become the writer.
        var withLease: UInt64 = 0
        /// The server has answered with a 4xx that no wait makes better.
        var refused: UInt64 = 0
    }

    /// What came of a write.
    enum Outcome {
        case answer(status: Int, retryAfter: Int?, body: [UInt8])
        /// There is no answer; whether it was written is not known.
        case failed
    }

    private let author: StatusAuthor
    private let instance: String
    private let interval: Int64    // milliseconds between two writes

    private var observed: [ObjectReference: ObservedObject] = [:]
    private var verdicts: [ObjectReference: StatusVerdict] = [:]
    private var hasVerdicts = false
    /// What this replica has written of an object, and how often others have changed it since.
    private var written: [ObjectReference: (own: OwnStatus?, changedBack: Int, generation: Int)] = [:]
    private(set) var contested: Set<ObjectReference> = []
    /// Objects to be looked at, in order.
    private var queue: [ObjectReference] = []
    private var queued: Set<ObjectReference> = []
    /// What an Event is still to say. It is written before the next status, which could add another one.
    private var event: (object: ObservedObject, own: OwnStatus)?
    private var isLeading = false
    private var isWriting = false
    /// The earliest time of the next write.
    private var nextAt: Int64 = 0    // milliseconds of the steady clock
    private var notes: [String] = []
    private var namedRefusals: Set<String> = []
    /// How many writes the server took, and how many it did not.
    private(set) var writes: UInt64 = 0
    private(set) var failures: UInt64 = 0
    /// What was lost since the process began.
    private(set) var lostEvents = LostEvents()

    /// How long nothing is written after an answer that a permission is missing, and after a failure.
    private static let refusedPauseMilliseconds: Int64 = 30_000
    private static let failedPauseMilliseconds: Int64 = 2_000
    private static let longestPauseSeconds = 300
    /// How often another writer may change our condition of an object back.
    private static let mostChangedBack = 2
    /// Missing permissions that are named: one of each namespace would be too many lines.
    static let mostNamedPermissions = 100

    /// Objects of all kinds whose status is known; of a further one it is not written.
    static let mostObserved = 1_000_000
    private let most: Int
    private var isCrowded = false    // that was said

    /// - Parameters:
    ///   - rate: writes in a second, 1 or more.
    ///   - most: objects that are observed; tests have fewer.
    init(author: StatusAuthor, instance: String, rate: Int, most: Int = mostObserved) {
        self.most = most
        self.author = author
        self.instance = instance
        interval = Int64((1000 + rate - 1) / rate)
    }

    /// Sentences for the log, which are taken.
    mutating func takeNotes() -> [String] {
        defer { notes = [] }
        return notes
    }

    // MARK: what happens

    /// This replica leads, or does no longer.
    mutating func lead(_ leads: Bool) {
        guard leads != isLeading else { return }
        isLeading = leads
        (written, contested) = ([:], [])
        guard leads else {
            if event != nil { lostEvents.withLease += 1 }
            (queue, queued, event) = ([], [], nil)
            return
        }
        for identity in observed.keys.sorted(by: { $0.description < $1.description }) { enqueue(identity) }
    }

    /// An object is in the cluster like this.
    mutating func observe(_ object: ObservedObject) {
        guard observed.count < most || observed[object.identity] != nil else { return crowded(object) }
        let old = observed.updateValue(object, forKey: object.identity)
        guard isLeading, old?.resourceVersion != object.resourceVersion else { return }
        if let mine = written[object.identity], old?.own == mine.own, object.own != mine.own { changedBack(object) }
        enqueue(object.identity)
    }

    private mutating func crowded(_ object: ObservedObject) {
        failures += 1
        guard !isCrowded else { return }
        isCrowded = true
        notes.append("\(object.identity): the status of \(most) objects is written, and not that of further ones")
    }

    private mutating func changedBack(_ object: ObservedObject) {
        guard var mine = written[object.identity] else { return }
        mine.changedBack = mine.generation == object.generation ? mine.changedBack + 1 : 1
        mine.generation = object.generation
        written[object.identity] = mine
        guard mine.changedBack >= Self.mostChangedBack, contested.insert(object.identity).inserted else { return }
        notes.append(
            "\(object.identity): another writer has changed the condition \(author.condition) back twice; its status "
                + "is left alone until this process leads anew")
    }

    /// The object is gone: what was seen of it and written into it means nothing for one that is created anew.
    mutating func forget(_ identity: ObjectReference) {
        observed[identity] = nil
        written[identity] = nil
        contested.remove(identity)
    }

    /// A load has found this of all objects.
    mutating func report(_ found: [StatusVerdict]) {
        var next: [ObjectReference: StatusVerdict] = [:]
        for verdict in found { next[verdict.object] = verdict }
        let changed = Set(next.keys).union(verdicts.keys).filter { next[$0] != verdicts[$0] }
        let isFirst = !hasVerdicts
        (verdicts, hasVerdicts) = (next, true)
        guard isLeading else { return }
        let concerned = isFirst ? Set(observed.keys) : changed
        for identity in concerned.sorted(by: { $0.description < $1.description }) { enqueue(identity) }
    }

    private mutating func enqueue(_ identity: ObjectReference) {
        if queued.insert(identity).inserted { queue.append(identity) }
    }

    // MARK: what is to be done

    /// What is to be done now. A write has to be answered before the next one.
    /// - Parameters:
    ///   - now: milliseconds of a clock that never goes back.
    ///   - seconds: the time since 1970.
    mutating func next(at now: Int64, seconds: Int) -> Next {
        guard isLeading, hasVerdicts, !isWriting else { return .idle }
        guard now >= nextAt else {
            return queue.isEmpty && event == nil ? .idle : .wait(Int(clamping: nextAt - now))
        }
        guard let write = takeEvent(seconds) ?? takeStatus(seconds) else { return .idle }
        isWriting = true
        nextAt = now + interval
        return .write(write)
    }

    private mutating func takeEvent(_ seconds: Int) -> Write? {
        guard let (object, own) = event else { return nil }
        event = nil
        return Write(
            purpose: .event(object, own), method: "POST",
            path: "/api/v1/namespaces/\(object.identity.namespace)/events", contentType: "application/json",
            body: StatusText.event(object, own, instance: instance, seconds: seconds))
    }

    private mutating func takeStatus(_ seconds: Int) -> Write? {
        var looked = 0
        defer { queue.removeFirst(looked) }
        while looked < queue.count {
            let identity = queue[looked]
            looked += 1
            queued.remove(identity)
            if let write = write(identity, seconds) { return write }
        }
        return nil
    }

    /// - Returns: nil if the status is as it should be, or cannot be written now.
    private func write(_ identity: ObjectReference, _ seconds: Int) -> Write? {
        guard let object = observed[identity], !contested.contains(identity) else { return nil }
        let verdict = verdicts[identity].flatMap { $0.isWanted || object.own != nil ? $0 : nil }
        // A load of the newest version is still to come.
        if let verdict, let generation = verdict.own.generation, generation < object.generation { return nil }
        guard verdict?.own != object.own, let plural = ObservedObject.plurals[identity.kind] else { return nil }
        return Write(
            purpose: .status(object, verdict?.own), method: "PATCH",
            path: "/apis/\(object.apiVersion)/namespaces/\(identity.namespace)/\(plural)/\(identity.name)/status",
            contentType: "application/merge-patch+json",
            body: StatusText.patch(object, verdict?.own, author: author, seconds: seconds))
    }

    /// What came of the last write.
    mutating func answered(_ write: Write, _ outcome: Outcome, at now: Int64) {
        isWriting = false
        guard case .answer(let status, let retryAfter, let body) = outcome else {
            failures += 1
            again(write)
            nextAt = now + Self.failedPauseMilliseconds
            return
        }
        switch status {
        case 200...299:
            writes += 1
            if case .status(let object, let own) = write.purpose { accepted(object, own, body) }
        // A 401 has the client read its credentials anew.
        case 401, 429, 500...:
            failures += 1
            again(write)
            let asked = Int64(min(max(retryAfter ?? 0, 0), Self.longestPauseSeconds)) * 1000
            nextAt = now + max(Self.failedPauseMilliseconds, asked)
        default:
            switch write.purpose {
            case .status(let object, _): refused(object, write, status, at: now)
            case .event(let object, _): eventRefused(object, status)
            }
        }
    }

    private mutating func refused(_ object: ObservedObject, _ write: Write, _ status: Int, at now: Int64) {
        switch status {
        case 404: gone(object.identity)
        case 409: stale(object)
        case 403:
            failures += 1
            let resource = "\(ObservedObject.plurals[object.identity.kind] ?? "")/status.networking.istio.io"
            lacks("patch", resource, object.identity.namespace, "the status of objects is not written without it")
            again(write)
            nextAt = now + Self.refusedPauseMilliseconds
        default:
            failures += 1
            notes.append("\(object.identity): the server does not take its status: it answers \(status)")
        }
    }

    /// It is lost: the status says the same, and must not wait for it.
    private mutating func eventRefused(_ object: ObservedObject, _ status: Int) {
        failures += 1
        lostEvents.refused += 1
        guard status == 403 else { return }
        lacks("create", "events", object.identity.namespace, "changes of the status are no Events without it")
    }

    private mutating func accepted(_ object: ObservedObject, _ own: OwnStatus?, _ body: [UInt8]) {
        let identity = object.identity
        let known = written[identity]
        written[identity] = (own, known?.changedBack ?? 0, object.generation)
        if let own, object.own.map({ $0.status != own.status || $0.reason != own.reason }) ?? (own.status != "True") {
            event = (object, own)
        }
        guard observed[identity]?.resourceVersion == object.resourceVersion,
            let next = ObservedObject(kind: identity.kind, body, author: author), next.identity == identity
        else { return }    // a newer version has come already
        observed[identity] = next
        if next.own != own {
            contested.insert(identity)
            notes.append("\(identity): the server keeps another status than was written; it is left alone")
        }
    }

    private mutating func gone(_ identity: ObjectReference) {
        observed[identity] = nil
        written[identity] = nil
    }

    /// The object has changed: its newer version comes, or has come already.
    private mutating func stale(_ object: ObservedObject) {
        if observed[object.identity]?.resourceVersion != object.resourceVersion { enqueue(object.identity) }
    }

    private mutating func again(_ write: Write) {
        switch write.purpose {
        case .status(let object, _): if isLeading { enqueue(object.identity) }
        case .event(let object, let own):
            if isLeading { event = (object, own) } else { lostEvents.withLease += 1 }
        }
    }

    /// Names a permission once.
    private mutating func lacks(_ verb: String, _ resource: String, _ namespace: String, _ consequence: String) {
        let permission = "verb \"\(verb)\" on resource \"\(resource)\" in namespace \"\(namespace)\""
        guard namedRefusals.count < Self.mostNamedPermissions, namedRefusals.insert(permission).inserted else { return }
        notes.append("The permission \(permission) is missing: \(consequence).")
    }
}
