internal import Logging
internal import Proxy
internal import Reactor
internal import Synchronization

extension ControlPlane {
    /// Listeners that a crash report names.
    private static let mostPorts = 16

    /// What a crash report says of the configuration.
    func noteServing() {
        guard let snapshot = published?.current else { return }
        let ports = snapshot.listeners.prefix(Self.mostPorts).map { $0.sockets.name }.joined(separator: " ")
        CrashReport.note(
            serving: "\(snapshot.listeners.count) listeners (\(ports)), \(snapshot.clusters.count) clusters, "
                + "\(objects.count) objects, load \(load.begun), by \(options.workers) workers; \(stateText)")
    }

    private var stateText: String {
        switch phase {
        case .starting: "starting"
        case .succeeding: "taking another process's place"
        case .serving: "serving"
        case .draining: "draining"
        case .stopped: "stopped"
        }
    }
}

// The end: a drain in steps, and what is reported of it.
extension ControlPlane {
    /// SIGTERM, SIGINT.
    func terminate() {
        switch phase {
        case .serving:
            drainNotes.isAskedToEnd = true
            abandonUpgrade("the process is asked to end")
            succession.manager.isStopping()
            beginDrain(options.drain)
        case .starting, .succeeding:
            log.warning("stopped before \(phase == .starting ? "the first load has ended" : "it has begun to serve")")
            phase = .stopped
        case .draining where !drainNotes.isAskedToEnd:
            drainNotes.isAskedToEnd = true
            log.info("SIGTERM: draining since the upgrade; a second signal stops at once")
        case .draining, .stopped:
            log.warning("second signal: stopping at once")
            stop()
        }
    }

    /// Clients are led elsewhere from now on.
    func beginDrain(_ schedule: DrainSchedule) {
        phase = .draining(DrainState(began: .now(), schedule: schedule))
        drainNotes.next = .now() + DrainNotes.pause
        let closed = (schedule.acceptTime + schedule.noticeTime).brief
        log.info("draining: \(activeText); readiness is off, clients are asked to go from \(schedule.acceptTime.brief)")
        log.info("draining: no connection is accepted after \(closed), the last streams end at \(schedule.limit.brief)")
        noteServing()
        tell(DrainState.begin)
        feed?.drain()
    }

    var isDraining: Bool { if case .draining = phase { true } else { false } }

    /// Does what is due of a drain, and says how it goes.
    func continueDrain() {
        guard case .draining(var drain) = phase else { return }
        let isIdle = activeExchanges == 0 && downstreamConnections == 0
        let isAccepting = workers.contains { $0.status.isAccepting.load(ordering: .acquiring) }
        let actions = drain.look(now: .now(), isIdle: isIdle, isAccepting: isAccepting)
        phase = .draining(drain)
        sayProgress(of: drain)
        for action in actions {
            switch action {
            case .tell(let message): tell(message)
            case .stop(let cuts):
                let took = MonotonicTime.now().nanoseconds(since: drain.began) / 1_000_000
                if cuts {
                    log.warning("drain time is over: cutting \(activeText)")
                } else {
                    log.info("drained in \(took) ms, nothing was cut")
                }
                stop()
            }
        }
    }

    private func sayProgress(of drain: DrainState) {
        let isNews =
            switch (drainNotes.stage, drain.stage) {
            case (.accepting, .telling), (.accepting, .closed), (.telling, .closed): true
            default: false
            }
        guard isNews || .now() >= drainNotes.next else { return }
        drainNotes.stage = drain.stage
        drainNotes.next = .now() + DrainNotes.pause
        let what =
            switch drain.stage {
            case .accepting: "connections are accepted still"
            case .telling: "clients are asked to go"
            case .closed, .refusingLate: "no connection is accepted any more"
            }
        let time = MonotonicTime.now().nanoseconds(since: drain.began) / 1_000_000_000
        log.info("draining for \(time) s of \(drain.schedule.limit.brief): \(what); \(activeText)")
    }

    /// Ends the workers, and says what that has cut.
    func stop() {
        tell(.stop)
        let deadline = MonotonicTime.now() + .seconds(2)
        while workers.contains(where: { $0.status.isRunning.load(ordering: .acquiring) }),
            MonotonicTime.now() < deadline
        {
            _ = DescriptorWait.untilReadable(mailbox.descriptor, milliseconds: 5)
        }
        phase = .stopped
        let requests = workers.reduce(0) { $0 + $1.status.cutRequests.load(ordering: .relaxed) }
        let relays = workers.reduce(0) { $0 + $1.status.cutRelays.load(ordering: .relaxed) }
        if requests + relays > 0 {
            log.warning("cut: \(requests) requests, \(relays) relayed connections; the access log has a line for each")
        }
        log.info("stopped")
    }

    private var activeExchanges: Int { workers.reduce(0) { $0 + $1.status.activeExchanges.load(ordering: .relaxed) } }
    private var downstreamConnections: Int {
        workers.reduce(0) { $0 + $1.status.downstreamConnections.load(ordering: .relaxed) }
    }
    private var activeText: String { "\(activeExchanges) requests on \(downstreamConnections) connections" }
}

extension Duration {
    /// As people write it: `45 s`, `0.5 s`.
    var brief: String {
        let milliseconds = components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
        let (whole, part) = milliseconds.quotientAndRemainder(dividingBy: 1000)
        return part == 0 ? "\(whole) s" : "\(milliseconds) ms"
    }
}
