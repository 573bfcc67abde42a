internal import CLinux

/// What the process uses of the machine at the moment. A value is 0 where the kernel does not say.
package struct ProcessUsage: Sendable {
    /// Processor time of all threads since the start.
    package var processorNanoseconds: UInt64 = 0
    /// Memory that is in RAM.
    package var residentOctets: UInt64 = 0
    /// Address space in use.
    package var virtualOctets: UInt64 = 0
    /// Open descriptors.
    package var openFiles: UInt64 = 0
    /// The soft limit of open descriptors.
    package var openFilesLimit: UInt64 = 0

    /// Asks the kernel for all values.
    package static func read() -> ProcessUsage {
        var usage = ProcessUsage()
        var time = timespec()
        if unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 {
            usage.processorNanoseconds = UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
        }
        (usage.virtualOctets, usage.residentOctets) = memory()
        usage.openFiles = openFiles()
        var limit = rlimit()
        if unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            usage.openFilesLimit = UInt64(limit.rlim_cur)
        }
        return usage
    }

    /// Processor time of the thread that asks, since it began.
    package static func ofThread() -> Duration {
        var time = timespec()
        guard unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0 else { return .zero }
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }

    /// Resident memory alone, which is cheap to ask for.
    static func residentOctets() -> UInt64 { memory().resident }

    private static func memory() -> (virtual: UInt64, resident: UInt64) {
        let pages = statm()
        let pageOctets = UInt64(max(sysconf(Int32(_SC_PAGESIZE)), 0))
        return pages.count > 1 ? (pages[0] &* pageOctets, pages[1] &* pageOctets) : (0, 0)
    }

    /// The numbers of `/proc/self/statm`, in pages: size, resident, …
    private static func statm() -> [UInt64] {
        let descriptor = unsafe portico_open_for_reading("/proc/self/statm")
        guard descriptor >= 0 else { return [] }
        let file = Descriptor(owning: descriptor)
        var text = [UInt8](repeating: 0, count: 256)
        let count = unsafe CLinux.read(file.number, &text, text.count)
        guard count > 0 else { return [] }
        let words = text[..<count].split { $0 < 0x30 || $0 > 0x39 }
        return words.compactMap { UInt64(String(decoding: $0, as: UTF8.self)) }
    }

    private static func openFiles() -> UInt64 {
        guard let folder = unsafe opendir("/proc/self/fd") else { return 0 }
        defer { unsafe closedir(folder) }
        var entries: UInt64 = 0
        while unsafe readdir(folder) != nil { entries += 1 }
        // Not counted: `.`, `..` and the descriptor of the folder itself.
        return entries > 3 ? entries - 3 : 0
    }
}
