extension String {
    /// Calls `body` with the octets of this text in UTF-8, which are valid until `body` returns.
    @inlinable @inline(__always)
    package func withOctets<Result>(_ body: (Octets) throws -> Result) rethrows -> Result {
        var text = self
        return try text.withUTF8 { unsafe try body(Octets(UnsafeRawBufferPointer($0))) }
    }
}

extension Array where Element == UInt8 {
    /// Copies what the octets refer to behind the last element.
    @inlinable package mutating func append(_ octets: Octets) { unsafe append(contentsOf: octets.buffer) }

    /// Calls `body` with these octets, which are valid until `body` returns.
    @inlinable @inline(__always)
    package func withOctets<Result>(_ body: (Octets) throws -> Result) rethrows -> Result {
        unsafe try withUnsafeBytes { unsafe try body(Octets($0)) }
    }
}
