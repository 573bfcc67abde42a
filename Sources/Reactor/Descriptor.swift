internal import CLinux

/// A file descriptor with one owner, which closes it by letting go of it.
package struct Descriptor: ~Copyable, Sendable {
    /// The kernel's number; never keep it longer than this.
    package let number: CInt

    /// Takes over an open descriptor, which is closed when this value ends.
    package init(owning number: CInt) { self.number = number }
    deinit { _ = CLinux.close(number) }

    /// Hands the descriptor over; the caller must close it.
    package consuming func release() -> CInt {
        let number = number
        discard self
        return number
    }
}
