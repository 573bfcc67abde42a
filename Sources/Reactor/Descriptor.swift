internal import CLinux

/// A file descriptor with one owner; closed when the owner ends.
package struct Descriptor: ~Copyable, Sendable {
    package let number: CInt

    package init(owning number: CInt) { self.number = number }
    deinit { _ = CLinux.close(number) }

    /// Gives the number away; the caller closes it.
    package consuming func release() -> CInt {
        let number = number
        discard self
        return number
    }
}
