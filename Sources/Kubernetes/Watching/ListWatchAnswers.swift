internal import JSON

// What follows from the server's answers.

extension ListWatch {
    /// A whole answer has come.
    mutating func received(_ answer: APIAnswer) {
        switch phase {
        case .findingGroup: foundGroup(answer)
        case .findingVersion: foundVersion(answer)
        case .listing(let continuation): receivedPage(answer, continuation)
        case .verifying: verified(answer)
        case .streaming: streamRefused(answer)
        case .watching: watchRefused(answer)
        case .idle, .waiting: break
        }
    }

    // MARK: discovery

    private mutating func foundGroup(_ answer: APIAnswer) {
        switch answer.status {
        case 200:
            guard let offered = try? OfferedVersions(answer.body).versions else {
                return retry(.find, "the server's answer about the API group \(kind.group) cannot be read")
            }
            candidates = kind.versions.filter(offered.contains)
            tryNextVersion()
        case 403:
            isGuessing = true
            candidates = kind.versions
            tryNextVersion()
        case 404: isAbsent()
        default: retry(.find, for: answer, verb: "get")
        }
    }

    private mutating func foundVersion(_ answer: APIAnswer) {
        switch answer.status {
        case 200:
            guard let offered = try? OfferedResources(answer.body).names else {
                version = nil
                return retry(.find, "the server's answer about the API group \(kind.group) cannot be read")
            }
            if offered.contains(kind.plural) { list() } else { tryNextVersion() }
        case 403: list()
        case 404: tryNextVersion()
        default:
            version = nil
            retry(.find, for: answer, verb: "get")
        }
    }

    /// The server does not know the path of the objects.
    private mutating func pathIsUnknown() {
        if isGuessing, !candidates.isEmpty { return tryNextVersion() }
        // The core group has one version. A version that was just found is not looked for again at once.
        if kind.group.isEmpty || isVersionFresh { return isAbsent() }
        version = nil
        find()
    }

    // MARK: lists

    private mutating func receivedPage(_ answer: APIAnswer, _ continuation: String) {
        switch answer.status {
        case 200: received(page: answer.body, after: continuation)
        case 404: pathIsUnknown()
        case 410:
            // The rest could be listed with the token that comes with this, but from another version: changes in
            // between of what was listed already would never come.
            expiredLists += 1
            retry(.list, AnswerWords.reason(answer))
        default: retry(.list, for: answer, verb: "list")
        }
    }

    /// Whether the next page of a list may be asked for: lists of servers that are not ill have an end.
    private func goesOn(_ list: ListSkim, _ continuation: String) -> Bool {
        list.continuation != continuation && emptyPages < Self.mostEmptyPages && objectsListed <= Self.mostObjects
    }

    private mutating func received(page body: [UInt8], after continuation: String) {
        guard let list = try? ListSkim(body), !list.resourceVersion.isEmpty else {
            return retry(.list, "the server's list of \(kind.name) cannot be read")
        }
        let isLast = list.continuation.isEmpty
        objectsListed += list.items.count
        emptyPages = list.items.isEmpty ? emptyPages + 1 : 0
        guard isLast || goesOn(list, continuation) else {
            actions.append(.reached(.endlessList))
            return retry(.list, "the server's list of \(kind.name) does not end")
        }
        deliver(list.items.map { Array(body[$0]) }, isFirst: isFirstPage, isLast: isLast)
        isFirstPage = false
        guard isLast else { return listPage(list.continuation) }
        listed(resourceVersion: list.resourceVersion)
        watch()
    }

    private mutating func listed(resourceVersion: String) {
        self.resourceVersion = resourceVersion
        hasListed = true
        isVersionFresh = false
        expiredLists = 0
        absences = 0
        refusals = 0
        recovered()
    }

    private mutating func verified(_ answer: APIAnswer) {
        switch answer.status {
        case 200:
            refusals = 0
            watch()
        case 404: pathIsUnknown()
        // 400 and 422: a server that does not know the question.
        case 400, 410, 422: relist()
        case 504:
            refusals += 1
            if isTooLargeVersion(answer.body) || refusals > 1 { return relist() }
            retry(.verify, for: answer, verb: "list")
        default: retry(.verify, for: answer, verb: "list")
        }
    }

    private func isTooLargeVersion(_ status: [UInt8]) -> Bool {
        (try? StatusSkim(status))?.message.contains("Too large resource version") ?? false
    }

    // MARK: watches

    private mutating func streamRefused(_ answer: APIAnswer) {
        switch answer.status {
        case 404: pathIsUnknown()
        case 401, 429, 500...599: retry(.list, for: answer, verb: "watch")
        default:    // also 403: whether to list is allowed is seen by listing
            streamsLists = false
            list()
        }
    }

    private mutating func watchRefused(_ answer: APIAnswer) {
        switch answer.status {
        case 404: pathIsUnknown()
        case 400, 410, 422: relist()
        case 504 where isTooLargeVersion(answer.body): relist()
        case 403: refused("watch", then: .list)    // lists now and then are better than nothing
        default: retry(.watch, for: answer, verb: "watch")
        }
    }

    /// The server has begun to answer a watch.
    mutating func opened() {
        openedAt = now.steady
        if phase == .watching { isCurrent() }
    }

    private mutating func isCurrent() {
        failingSince = nil
        refusedBackOff.reset()
        report(.current)
    }

    /// A line of a watch has come.
    mutating func received(line: [UInt8]) {
        guard phase == .watching || phase == .streaming else { return }
        guard let skim = try? WatchSkim(line) else { return unreadable() }
        if skim.type == "ERROR" { return watchFailed(try? StatusSkim(line, in: skim.object)) }
        guard let metadata = try? MetadataSkim(line, in: skim.object), !metadata.resourceVersion.isEmpty else {
            return unreadable()
        }
        hasLine = true
        if phase == .watching {
            recovered()
            relistBackOff.reset()
        }
        let object = Array(line[skim.object])
        switch skim.type {
        case "ADDED", "MODIFIED":
            guard phase == .watching else { return add(streamed: object) }
            actions.append(.deliver(.changed(kind, object)))
        case "DELETED":
            deliverStreamed(isLast: false)
            actions.append(.deliver(.removed(kind, namespace: metadata.namespace, name: metadata.name)))
        case "BOOKMARK":
            if phase == .streaming {
                guard metadata.endsInitialEvents else { return }
                return streamIsComplete(metadata.resourceVersion)
            }
        default: return unreadable()
        }
        if phase == .watching { resourceVersion = metadata.resourceVersion }
    }

    /// A line is no event: what it was to say is lost, so the list is made anew.
    private mutating func unreadable() {
        actions.append(.abandon)
        // A stream would begin with the same line again; in a page one item that cannot be read is only reported.
        if phase == .streaming { streamsLists = false }
        retry(.list, "a line of the watch of \(kind.name) cannot be read")
    }

    private mutating func watchFailed(_ status: StatusSkim?) {
        actions.append(.abandon)
        let code = status?.code ?? 500
        let wasStreaming = phase == .streaming
        if wasStreaming { streamsLists = code >= 500 || code == 429 }
        let reason = AnswerWords.reason(code, status?.message ?? "")
        if code == 410, !wasStreaming { return relist() }
        // An error of an unknown kind may come again from the same version.
        let step: Step = wasStreaming || backOff.failures > 0 ? .list : .watch
        retry(step, reason, retryAfter: status?.retryAfterSeconds)
    }

    // MARK: streamed lists

    private mutating func add(streamed object: [UInt8]) {
        objectsListed += 1
        guard objectsListed <= Self.mostObjects else {
            actions += [.abandon, .reached(.endlessList)]
            return retry(.list, "the server's list of \(kind.name) does not end")
        }
        streamed.append(object)
        streamedOctets += object.count
        if streamed.count >= Self.mostPage || streamedOctets >= Self.mostPageOctets { deliverStreamed(isLast: false) }
    }

    private mutating func deliverStreamed(isLast: Bool) {
        guard phase == .streaming, isLast || !streamed.isEmpty else { return }
        deliver(streamed, isFirst: isFirstPage, isLast: isLast)
        isFirstPage = false
        streamed = []
        streamedOctets = 0
    }

    private mutating func streamIsComplete(_ version: String) {
        deliverStreamed(isLast: true)
        listed(resourceVersion: version)
        phase = .watching
        actions.append(.allow(silence: watchSilenceMilliseconds))
        isCurrent()
    }

    // MARK: ends

    /// The server has ended a watch in order.
    mutating func ended() {
        switch phase {
        case .streaming:
            if backOff.failures > 0 { streamsLists = false }
            retry(.list, "the server ended a list of \(kind.name) before it was complete")
        case .watching:
            let isShort = now.steady - openedAt < Int64(timing.shortWatch)
            if isShort { return retry(hasLine ? .watch : .verify, "the server ends each watch at once") }
            recovered()
            relistBackOff.reset()
            // Nothing came, not even a bookmark: is the version one that the server has yet to reach?
            hasLine ? watch() : verify()
        default: break
        }
    }

    /// A call has ended without a whole answer. Its step is tried again after a pause; a list that was too large, in
    /// smaller pages.
    mutating func failed(_ failure: CallFailure) {
        switch phase {
        case .idle, .waiting: break
        case .findingGroup, .findingVersion:
            version = nil
            again(.find, failure)
        case .listing:
            if failure == .tooLarge, pageLimit > 1 || expiredLists > 1 { return listLess() }
            again(.list, failure)
        case .streaming:
            // A server that knows nothing of streamed lists sends objects, and never says that they are all.
            // One of more octets than a line may have has room in a page.
            if failure == .timedOut || failure == .tooLarge {
                streamsLists = false
                return list()
            }
            again(.list, failure)
        case .verifying: again(.verify, failure)
        case .watching: watchBroke(failure)
        }
    }

    /// An answer has too many octets: smaller pages.
    private mutating func listLess() {
        pageLimit = max(1, pageLimit / 4)
        expiredLists = 0
        streamsLists = false
        list()
    }

    private mutating func watchBroke(_ failure: CallFailure) {
        let isShort = now.steady - openedAt < Int64(timing.shortWatch)
        if !isShort, failure != .tooLarge { recovered() }
        // The same line comes again from the same version: after that the list, whose pages have more room.
        again(failure == .tooLarge ? (backOff.failures > 0 ? .list : .watch) : .verify, failure)
    }

    /// The next connection is waited for anyway, so that only a second loss in a row needs a wait here.
    private mutating func again(_ step: Step, _ failure: CallFailure) {
        if case .connectionLost = failure, backOff.failures == 0 {
            if failingSince == nil { failingSince = now.wall }
            return wait(backOff.next(&random) / 4, then: step)
        }
        retry(step, Self.words(failure, kind))
    }

    private static func words(_ failure: CallFailure, _ kind: ResourceKind) -> String {
        switch failure {
        case .connectionLost(let reason): reason
        case .streamEnded(let reason): reason
        case .timedOut: "the server does not answer in time"
        case .tooLarge: "an object of \(kind.name) is larger than the client accepts"
        }
    }
}
