package import Octets

extension TLSSession {
    /// Reads as `read(into:)` of a room does, at most `most` octets, and appends them to `buffer`.
    package func read(into buffer: OctetBuffer, most: Int) -> TLSResult {
        let room = unsafe buffer.room(most)
        let result = unsafe read(into: UnsafeMutableRawBufferPointer(rebasing: room[..<most]))
        if case .octets(let count) = result { buffer.commit(count) }
        return result
    }

    /// Writes as `write` of a buffer does.
    package func write(_ octets: Octets) -> TLSResult { unsafe write(octets.buffer) }
}
