internal import Octets
internal import TLS

/// The texts of a certificate chain and its key, from a Secret or two files.
struct Credential {
    let chain: SecretOctets
    let key: SecretOctets
    /// An OCSP response for the certificate, in DER; nil: there is none.
    var staple: SecretOctets?

    /// Digests that identify a pair without containing it.
    struct Digests: Hashable {
        let chain: [UInt8]
        let key: [UInt8]
        let staple: [UInt8]?
    }

    /// Digests of both texts; nil if the texts were forgotten before one was made.
    var digests: Digests? {
        guard let chain = chain.digest(Digest.sha256), let key = key.digest(Digest.sha256) else { return nil }
        return Digests(chain: chain, key: key, staple: staple?.digest(Digest.sha256))
    }

    /// Reads the texts; nil if they are forgotten.
    func pair() -> Result<KeyPair, TLSError>? {
        let read = chain.withOctets { chain in
            key.withOctets { key in
                let made = staple?.withOctets { staple in
                    Result { () throws(TLSError) in try KeyPair(chain: chain, key: key, staple: staple) }
                }
                return made ?? Result { () throws(TLSError) in try KeyPair(chain: chain, key: key) }
            }
        }
        return read ?? nil
    }
}
