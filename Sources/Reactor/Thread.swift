internal import CCrash
internal import CLinux

/// Detached threads with names: every thread but the main one, so that `top -H` and crash reports tell them apart.
package enum Thread {
    /// Starts a detached thread that lives as long as `body` runs.
    /// - Parameters:
    ///   - name: the name that `top -H` and gdb show; 15 characters are kept.
    ///   - isLasting: whether it lives as long as the process, so that a stack for its crash report is worth while.
    ///   - niceness: its niceness, 0...19; that of the calling thread does not change.
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
                // Linux keeps a niceness per thread; the 0 means the calling thread. Raising it is always allowed.
                if box.niceness > 0 { _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, box.niceness) }
                box.body()
                return nil
            }, box.toOpaque())
        guard code == 0 else {
            unsafe box.release()    // there is no thread to take it over
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

    /// Raises the limit of open files as far as the system allows.
    /// - Returns: the limit in force.
    package static func raiseFileLimit() -> UInt64 {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
        limit.rlim_cur = limit.rlim_max
        _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return UInt64(limit.rlim_cur)
    }

    /// What a new thread is given.
    ///
    /// Thread: handed from the maker to the new thread. Freed by: the new thread, when `body` has returned.
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
