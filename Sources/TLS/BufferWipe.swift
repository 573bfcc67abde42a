internal import COpenSSLMemory

extension TLSMemory {
    /// Frees and overwrites OpenSSL's buffers of a session, which have the last octets that were read as they were
    /// decrypted. Call it when they were a secret. Buffers that hold a part of a record stay, so call it again.
    package static func wipeBuffers(of session: TLSSession) {
        if let place = session.buffers { session.bio.scratch.release(place) }
        portico_openssl_wipe(1)
        defer { portico_openssl_wipe(0) }
        session.losesBuffers()
    }
}
