#if PORTICO_TSAN
    internal import Glibc

    /// A mutex in its place that ThreadSanitizer knows. `Mutex` waits in the runtime's library, which is not
    /// instrumented: each time that two threads met in it, what it guards would be called a race.
    ///
    /// `Sendable` because `value` is touched with `mutex` locked only.
    ///
    /// Thread: any. Freed by: its owner.
    @safe package final class Lock<Value: ~Copyable>: @unchecked Sendable {
        private let mutex: UnsafeMutablePointer<pthread_mutex_t>    // owned; freed in `deinit`
        // With `mutex` locked only.
        private nonisolated(unsafe) var value: Value

        /// Takes `initial` over: from then on only `withLock` reaches it.
        package init(_ initial: consuming sending Value) {
            unsafe mutex = .allocate(capacity: 1)
            unsafe pthread_mutex_init(mutex, nil)
            unsafe value = initial
        }

        deinit {
            unsafe pthread_mutex_destroy(mutex)
            unsafe mutex.deallocate()
        }

        /// Calls `body` with the value, while no other thread has it.
        package func withLock<Result: ~Copyable, Failure: Error>(
            _ body: (inout sending Value) throws(Failure) -> sending Result
        ) throws(Failure) -> sending Result {
            unsafe pthread_mutex_lock(mutex)
            defer { unsafe pthread_mutex_unlock(mutex) }
            return unsafe try body(&value)
        }
    }
#else
    package import Synchronization

    /// What threads share and change: the standard library's `Mutex`, but under ThreadSanitizer.
    package typealias Lock<Value: ~Copyable> = Mutex<Value>
#endif
