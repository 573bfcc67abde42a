/// How often TLS sessions of one thread give up OpenSSL's buffers to others; see `RecordScratch`.
///
/// Thread: the one that makes it. Freed by: its owner.
package final class TLSBuffers {
    private let scratch = RecordScratch.current

    /// Of the thread that calls.
    package init() {}

    /// How often a session has lost its buffers to another one since the last call.
    package func takeDisplaced() -> UInt64 {
        defer { scratch.displaced = 0 }
        return scratch.displaced
    }
}

@available(*, unavailable)
extension TLSBuffers: Sendable {}
