internal import CCrash
internal import CLinux

/// Threads of the process.
package enum Thread {
    /// Starts a detached thread that lives as long as `body` runs.
    /// - Parameters:
    ///   - name: at most 15 octets are kept; `top -H` and gdb show it.
    ///   - isLasting: it lives as long as the process, and is worth a stack for a report when it crashes.
    ///   - niceness: how far it steps back behind the others, 0...19: the caller's own is not changed.
    package static func start(
        _ name: String, isLasting: Bool = false, niceness: Int32 = 0, _ body: @escaping @Sendable () -> Void
    ) throws(SystemError) {
        let box = unsafe Unmanaged.passRetained(
            Box(name: String(name.prefix(15)), isLasting: isLasting, niceness: niceness, body: body))
        var thread = pthread_t()
        var attributes = pthread_attr_t()
        unsafe pthread_attr_init(&attributes)
        unsafe pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        let code = unsafe pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument = unsafe argument else { return nil }
                let box = unsafe Unmanaged<Box>.fromOpaque(argument).takeRetainedValue()
                unsafe pthread_setname_np(pthread_self(), box.name)
                if box.isLasting { ccrash_cover_thread() }
                // Linux keeps a niceness per thread; 0 is the calling one. Being nicer is always allowed.
                if box.niceness > 0 { _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, box.niceness) }
                box.body()
                return nil
            }, box.toOpaque())
        guard code == 0 else {
            unsafe box.release()    // the thread that would have taken it does not exist
            throw SystemError("start a thread", code: code)
        }
    }

    /// How many cores this process may use (its affinity mask); at least 1.
    package static func availableCores() -> Int {
        var set = cpu_set_t()
        guard unsafe sched_getaffinity(0, MemoryLayout<cpu_set_t>.size, &set) == 0 else { return 1 }
        let bits = unsafe withUnsafeBytes(of: &set) { unsafe $0.reduce(0) { $0 + $1.nonzeroBitCount } }
        return max(bits, 1)
    }

    /// Raises the limit of open files to what the system allows; returns the limit in force.
    package static func raiseFileLimit() -> UInt64 {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
        limit.rlim_cur = limit.rlim_max
        _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return UInt64(limit.rlim_cur)
    }

    private final class Box {
        let name: String
        let isLasting: Bool
        let niceness: Int32
        let body: @Sendable () -> Void
        init(name: String, isLasting: Bool, niceness: Int32, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.isLasting = isLasting
            self.niceness = niceness
            self.body = body
        }
    }
}
