internal import Logging
internal import Manifests
internal import Proxy
internal import Reactor
internal import Telemetry

// One gateway takes the other's place. SIGUSR2 starts the successor with the listening sockets of this process. It
// loads its configuration, says that it is ready, is asked to go, accepts connections from the same queues, and says
// so; then this process stops to accept and drains. Until that word nothing has changed for anybody, and whatever goes
// wrong ends the successor. Source: docs/operations.md, Upgrade.

// What the predecessor does.
extension ControlPlane {
    /// SIGUSR2.
    func wantUpgrade() {
        act(succession.upgrade.wanted(obstacle: upgradeObstacle, isLoading: load.current != nil))
    }

    /// Does what the state has decided.
    private func act(_ step: UpgradeState.Step) {
        switch step {
        case .nothing: break
        case .refuse(let obstacle): log.error("SIGUSR2: no upgrade: \(obstacle)")
        case .wait: log.info("SIGUSR2: the upgrade waits for the load that is under way")
        case .start: beginUpgrade()
        case .say(let word): succession.successor?.link.say(word)
        case .handOver: if let successor = succession.successor { handOver(to: successor) }
        case .abandon(let reason): abandonUpgrade(reason)
        case .abandonLate:
            metrics.reached(.upgradeTime)
            abandonUpgrade("it does not serve within \(options.upgradeLimit.brief) (--upgrade-limit)")
        }
    }

    private var upgradeObstacle: String? {
        switch phase {
        case .starting, .succeeding: return "this process does not serve yet"
        case .draining, .stopped: return "this process drains"
        case .serving: break
        }
        if let successor = succession.successor { return "process \(successor.identifier) is being started already" }
        if options.paths.contains("-") { return "the definitions came from standard input, which is read only once" }
        if SuccessorProcess.isFirstProcess {
            return "the container ends with this process, its first one; replace the pod or the container instead"
        }
        return nil
    }

    private func beginUpgrade() {
        let sockets = configuration.listeningSockets
        defer { for descriptor in sockets { Socket.close(descriptor) } }
        // What the last good versions hide here, a process that starts would not serve at all.
        let errors = configuration.kept.isEmpty ? definitionErrors : 0
        do throws(SystemError) {
            let successor = try SuccessorProcess(
                arguments: succession.arguments, sockets: sockets + succession.furtherSockets(),
                workers: options.workers, errors: errors)
            try poller.watchReadable(successor.link.descriptor, token: Token.succession)
            succession.successor = successor
            succession.upgrade.started(at: .now(), limit: options.upgradeLimit)
            log.info("SIGUSR2: process \(successor.identifier) is started; it has \(options.upgradeLimit.brief)")
        } catch {
            log.error("SIGUSR2: no upgrade: \(error); this process goes on")
        }
    }

    private var definitionErrors: Int { configuration.diagnostics.count { $0.severity == .error } }

    /// The successor must not serve: it is ended, and nothing has changed.
    /// - Parameter reason: a part of a sentence.
    func abandonUpgrade(_ reason: String) {
        succession.upgrade.abandoned()
        guard let successor = succession.successor else { return }
        poller.forget(successor.link.descriptor)
        succession.successor = nil
        let end = successor.ended
        successor.kill()
        if end == nil { succession.former.append(successor) }
        log.error("the upgrade to process \(successor.identifier) has failed: \(end ?? reason); this process goes on")
        if phase == .serving { beginWantedLoad() }
    }

    private func successorSpoke(_ successor: SuccessorProcess) {
        while succession.successor === successor {
            let step = succession.upgrade.heard(successor.link.hear(), at: .now())
            guard step != .nothing else { return }
            act(step)
        }
    }

    private func handOver(to successor: SuccessorProcess) {
        poller.forget(successor.link.descriptor)
        succession.successor = nil
        log.info("upgraded: process \(successor.identifier) serves, this one drains")
        succession.manager.hasSuccessor(successor.identifier)
        configuration.handOver()
        endWaiting("process \(successor.identifier) serves now; ask it")
        succession.hasEnded()
        tell(.closeListeners)
        beginDrain(options.drain.afterHandOver)
    }
}

// What the successor does, and what both do.
extension ControlPlane {
    /// The other process has said something.
    func successionSpoke() throws(SystemError) {
        if let successor = succession.successor { return successorSpoke(successor) }
        guard let link = succession.predecessor else { return }
        try act(succession.following.heard(link.hear()), link)
    }

    private func act(_ step: SuccessorState.Step, _ link: SuccessionLink) throws(SystemError) {
        switch step {
        case .nothing: break
        case .sayReady: link.say(.ready)
        case .serve: try beginToServe(link)
        case .forget: poller.forget(link.descriptor)
        }
    }

    /// Milliseconds until there is something to look at; below zero is for ever.
    var successionWait: Int32 {
        phase == .succeeding || succession.upgrade.isUnderWay || !succession.former.isEmpty ? 20 : -1
    }

    /// Looks at what time does to a succession.
    func continueSuccession() throws(SystemError) {
        succession.former.removeAll { $0.ended != nil }
        if let successor = succession.successor {
            if successor.ended != nil {
                successorSpoke(successor)    // its last words count
                act(succession.upgrade.processEnded())
            } else {
                act(succession.upgrade.look(at: .now()))
            }
        }
        guard phase == .succeeding, let link = succession.predecessor else { return }
        try act(succession.following.look(isPrepared: unprepared == nil), link)
    }

    private func beginToServe(_ link: SuccessionLink) throws(SystemError) {
        guard phase == .succeeding else { return }
        try startWorkers()
        link.say(.serving)
        poller.forget(link.descriptor)
        succession.leavePredecessor()
    }

    /// The workers serve: others hear of it.
    func hasBegunToServe() throws(SystemError) {
        try succession.hasBegun()
        let left = succession.inherited.addresses
        switch succession.inherited.giver {
        case .nobody: succession.manager.isReady()
        case .predecessor:
            succession.inherited.closeRest()
            if succession.following.isPredecessorGone { succession.manager.isReady() }
        case .serviceManager:
            succession.manager.isReady()
            if !left.isEmpty {
                log.warning("systemd listens on \(left.joined(separator: ", ")), where nothing is served")
            }
        }
        try succession.pidFile?.write()
    }

    /// Errors that are listed where there are more than before.
    private static let mostObstacles = 10

    /// A process that starts has no last good versions. Sentences about what would be worse than in the predecessor.
    var successionObstacles: [String] {
        guard case .predecessor(_, let errors) = succession.inherited.giver, !succession.following.isPredecessorGone
        else { return [] }
        let found = configuration.diagnostics.filter { $0.severity == .error }
        guard found.count > errors else { return [] }
        return found.prefix(Self.mostObstacles).map(\.description) + [
            "the definitions have \(found.count) errors, and those of the gateway before this one \(errors)"
                + ": it goes on; correct them (`portico check`), then upgrade"
        ]
    }
}
