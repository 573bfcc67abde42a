internal import Reactor
internal import Testing

@testable internal import Proxy

@Suite struct `The budget of the process` {
    private func budget(
        connections: Int? = nil, memory: Int? = nil, descriptors: UInt64 = 1024, container: UInt64? = nil,
        headers: Int? = nil, workers: Int = 1
    ) -> ProcessBudget {
        var limits = Limits()
        limits.downstreamConnections = connections
        limits.memory = memory
        limits.headerOctets = headers
        return ProcessBudget(limits: limits, descriptors: descriptors, memory: container, workers: workers)
    }

    @Test func `keeps descriptors in reserve, whatever the operator asks for`() {
        #expect(budget().connectionsLimit == 552)
        #expect(budget(descriptors: 1_048_576).connectionsLimit == 786_216)
        #expect(budget(descriptors: 256).connectionsLimit == 12)
        #expect(budget(descriptors: 10).connectionsLimit == 12)
        #expect(budget(descriptors: .max).connectionsLimit == 12_582_912)
        #expect(budget(connections: 5).connectionsLimit == 5)
        #expect(budget(connections: 2000).connectionsLimit == 736)
    }

    @Test func `gives header sections a quarter of the ceiling, 64 MiB for a worker at most`() {
        #expect(budget().headerOctets == 64 << 20)
        #expect(budget(memory: 1 << 30).headerOctets == 64 << 20)
        #expect(budget(memory: 96 << 20).headerOctets == 24 << 20)
        #expect(budget(memory: 96 << 20, workers: 4).headerOctets == 6 << 20)
        #expect(budget(memory: 2 << 20, workers: 64).headerOctets == 1 << 20)
        #expect(budget(container: 128 << 20, workers: 2).headerOctets == 12 << 20)
        #expect(budget(memory: 96 << 20, headers: 80 << 20).headerOctets == 80 << 20)
    }

    @Test func `takes three quarters of the container's memory, or what it is told`() {
        #expect(budget().memoryCeiling == nil)
        #expect(budget(container: 512 << 20).memoryCeiling == 384 << 20)
        #expect(budget(memory: 100 << 20, container: 512 << 20).memoryCeiling == 100 << 20)
    }

    @Test func `has a place for each connection that was given back`() {
        let budget = budget(connections: 2)
        budget.takeConnection()
        #expect(budget.hasRoom)
        budget.takeConnection()
        #expect(!budget.hasRoom)
        budget.giveBackConnection()
        #expect(budget.hasRoom)
    }

    @Test func `has the heap trimmed by one worker at a time`() {
        let budget = budget()
        let now = MonotonicTime(nanoseconds: 0) + .seconds(10)
        #expect(budget.mayTrim(at: now, pause: .seconds(1)))
        #expect(!budget.mayTrim(at: now + .milliseconds(999), pause: .seconds(1)))
        #expect(budget.mayTrim(at: now + .seconds(1), pause: .seconds(1)))
    }

    @Test func `tells all workers but the one that asks`() throws {
        let budget = budget()
        let mailboxes = try (0..<3).map { _ in try Mailbox<WorkerMessage>() }
        for (number, mailbox) in mailboxes.enumerated() { budget.add(worker: number, mailbox) }
        budget.tellOthers(than: 1, .connectionsWanted(idleToo: true, listener: nil))
        #expect(mailboxes.map { $0.takeAll().count } == [1, 0, 1])
    }
}
