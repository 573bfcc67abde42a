internal import Testing

@testable internal import Reactor

@Suite struct `The memory of the container` {
    private func limit(_ files: [String: String]) -> UInt64? { ContainerMemory.limit { files[$0] } }

    @Test func `is the smallest limit of the group and of those around it`() {
        let files = [
            "/proc/self/cgroup": "0::/pods/one\n", "/sys/fs/cgroup/pods/one/memory.max": "max\n",
            "/sys/fs/cgroup/pods/memory.max": "536870912\n", "/sys/fs/cgroup/memory.max": "1073741824\n",
        ]
        #expect(limit(files) == 512 << 20)
    }

    @Test func `is found in the first version of control groups too`() {
        let files = [
            "/proc/self/cgroup": "5:cpu,memory:/docker/abc\n0::/\n",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes": "268435456\n",
        ]
        #expect(limit(files) == 256 << 20)
    }

    @Test(
        arguments: [
            [:], ["/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "max\n"],
            [
                "/proc/self/cgroup": "4:memory:/\n",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            ],
            ["/proc/self/cgroup": "nonsense\n::\n", "/sys/fs/cgroup/memory.max": "1\n"],
            ["/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "\n"],
        ] as [[String: String]])
    func `is unknown when nothing says it`(files: [String: String]) {
        #expect(limit(files) == nil)
    }
}

@Suite struct `Resident memory` {
    @Test func `is what the kernel says, and grows with what is written`() throws {
        let resident = try ResidentMemory()
        let before = resident.octets()
        #expect(before > 1 << 20)
        let block = [UInt8](repeating: 1, count: 64 << 20)
        let after = resident.octets()
        #expect(after - before > 48 << 20)
        #expect(block.last == 1)
    }
}
