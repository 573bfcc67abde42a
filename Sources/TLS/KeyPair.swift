internal import COpenSSL
internal import COpenSSLMemory
package import Octets

/// A certificate chain and its private key as OpenSSL holds them: what is left of the text once it was read. Contexts
/// that serve with it share it.
package final class KeyPair: Sendable {
    let chain: [CertificateHandle]
    let key: KeyHandle
    /// What the certificate says.
    package let report: CertificateReport

    /// - Parameters:
    ///   - chain: PEM, the server's own certificate first.
    ///   - key: PEM, not encrypted.
    /// - Throws: the first fault that makes one of them unusable, or the two together.
    package init(chain: Octets, key: Octets) throws(TLSError) {
        portico_openssl_wipe(1)
        defer { portico_openssl_wipe(0) }
        self.chain = try PEM.certificates(chain)
        self.key = try PEM.key(key)
        report = CertificateReport(self.chain[0])
        guard self.chain[0].belongs(to: self.key) else {
            let position = self.chain.firstIndex { $0.belongs(to: self.key) }
            throw .keyMismatch(subject: report.subject, position: position.map { $0 + 1 })
        }
    }

    /// The same from texts that are no secret of ours to wipe: those of a test, or of a command for tests.
    package static func read(_ certificate: TLSContext.Certificate) throws(TLSError) -> KeyPair {
        let read = unsafe certificate.chain.withUnsafeBytes { chain in
            unsafe certificate.key.withUnsafeBytes { key in
                Result { () throws(TLSError) in
                    unsafe try KeyPair(chain: Octets(chain), key: Octets(key))
                }
            }
        }
        return try read.get()
    }
}

/// What OpenSSL leaves behind in memory.
package enum TLSMemory {
    /// Has OpenSSL overwrite what it frees while it reads keys. The first thing that a process does with TLS: later it
    /// has no effect.
    /// - Returns: whether it has one.
    @discardableResult
    package static func wipeKeys() -> Bool { portico_openssl_install_memory() == 1 }
}

/// Digests of octets.
package enum Digest {
    /// SHA-256 (FIPS 180-4): 32 octets; empty only when OpenSSL has no memory.
    package static func sha256(_ octets: Octets) -> [UInt8] {
        unsafe Array(unsafeUninitializedCapacity: Int(EVP_MAX_MD_SIZE)) { room, count in
            var length: UInt32 = 0
            let isMade =
                unsafe EVP_Digest(octets.base, octets.count, room.baseAddress, &length, EVP_sha256(), nil) == 1
            count = isMade ? Int(length) : 0
        }
    }
}
