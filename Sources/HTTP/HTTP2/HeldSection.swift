/// A header section that was read and not taken yet. Plain data: the reference is counted by hand, so `take` is called
/// once for each that was made, and the copy that is left in a list has to be replaced or forgotten.
@safe struct HeldSection: BitwiseCopyable {
    let slot: Int
    private var block: Unmanaged<HeaderBlock>?    // held once by this, until `take`

    init(slot: Int, holding block: consuming HeaderBlock) {
        self.slot = slot
        unsafe self.block = Unmanaged.passRetained(consume block)
    }

    /// Gives the block away.
    /// - Returns: nil if that was done before.
    @inline(__always)
    mutating func take() -> HeaderBlock? {
        guard let held = unsafe block else { return nil }
        unsafe block = nil
        return unsafe held.takeRetainedValue()
    }
}
