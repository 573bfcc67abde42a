internal import COpenSSL
internal import Octets

/// One list of revoked certificates.
///
/// Thread: any. Freed by: whoever has read it, when OpenSSL's store counts it too.
@safe final class OwnedRevocationList: Sendable {
    /// Owned; freed in `deinit`. Never changed; OpenSSL counts references atomically.
    nonisolated(unsafe) let raw: OpaquePointer
    init(owning raw: OpaquePointer) { unsafe self.raw = raw }
    deinit { unsafe X509_CRL_free(raw) }
}

extension PEM {
    /// Octets of all revocation lists of one server: about 400,000 entries.
    static let mostRevocationOctets = 16 << 20
    /// Lists of one server.
    static let revocationLimit = 256

    /// Reads all revocation lists of a text; other blocks are skipped.
    /// - Throws: that one of them cannot be read.
    static func revocations(_ text: [UInt8]) throws(TLSError) -> [OwnedRevocationList] {
        let read = unsafe text.withUnsafeBytes { text in
            Result { () throws(TLSError) in try unsafe revocations(Octets(text)) }
        }
        return try read.get()
    }

    private static func revocations(_ text: Octets) throws(TLSError) -> [OwnedRevocationList] {
        let source = try MemorySource(text, what: "the revocation lists", limit: mostRevocationOctets)
        var lists: [OwnedRevocationList] = []
        while true {
            Failures.clear()
            guard let raw = unsafe PEM_read_bio_X509_CRL(source.raw, nil, nil, nil) else { break }
            let list = unsafe OwnedRevocationList(owning: raw)
            lists.append(list)
            guard lists.count <= revocationLimit else {
                throw .tooLarge(what: "the number of revocation lists", limit: revocationLimit)
            }
        }
        guard isAtEnd else { throw .unusableRevocations(reason: Failures.takeReason()) }
        Failures.clear()
        return lists
    }
}
