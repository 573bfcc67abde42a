internal import COpenSSL
internal import COpenSSLMemory
package import Octets

/// A certificate chain and its private key as OpenSSL holds them. Nothing else is left of their texts. All contexts
/// that serve with a pair share it.
///
/// Thread: any. Freed by: the last directory or context that has it.
package final class KeyPair: Sendable {
    let chain: [OwnedCertificate]
    let key: OwnedKey
    /// Properties of the server's own certificate.
    package let report: CertificateReport
    /// The OCSP response that is sent with the certificate; nil: none.
    let staple: Staple?

    /// Reads a chain and a key.
    /// - Parameters:
    ///   - chain: PEM, the server's own certificate first.
    ///   - key: PEM, not encrypted.
    ///   - staple: an OCSP response for the certificate, in DER; nil: none. A bad one is not sent, as `report` says.
    /// - Throws: the first problem that makes one of them unusable, or the two together.
    package init(chain: Octets, key: Octets, staple: Octets? = nil) throws(TLSError) {
        portico_openssl_wipe(1)
        defer { portico_openssl_wipe(0) }
        self.chain = try PEM.certificates(chain)
        self.key = try PEM.key(key)
        let whole = self.chain
        let looked = staple.map { Staple.read($0, for: whole) }
        self.staple = looked?.staple
        report = CertificateReport(whole[0], staple: looked?.failure, isStapled: looked?.staple != nil)
        guard self.chain[0].belongs(to: self.key) else {
            let position = self.chain.firstIndex { $0.belongs(to: self.key) }
            throw .keyMismatch(subject: report.subject, position: position.map { $0 + 1 })
        }
    }

    /// Reads a pair from texts that stay in memory: those of tests and of the test server.
    /// - Throws: the first problem that makes one of them unusable, or the two together.
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

/// Keeps OpenSSL from leaving keys in memory.
package enum TLSMemory {
    /// Makes OpenSSL overwrite memory that it frees while it reads keys. It must be the first call of a process that
    /// concerns TLS; a later call has no effect.
    /// - Returns: whether it has an effect.
    @discardableResult
    package static func wipeKeys() -> Bool { portico_openssl_install_memory() == 1 }
}

/// Digests of octets.
package enum Digest {
    /// SHA-256 (FIPS 180-4): 32 octets; empty only if OpenSSL has no memory.
    package static func sha256(_ octets: Octets) -> [UInt8] {
        unsafe Array(unsafeUninitializedCapacity: Int(EVP_MAX_MD_SIZE)) { room, count in
            var length: UInt32 = 0
            let isMade =
                unsafe EVP_Digest(octets.base, octets.count, room.baseAddress, &length, EVP_sha256(), nil) == 1
            count = isMade ? Int(length) : 0
        }
    }
}
