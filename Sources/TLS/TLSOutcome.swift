internal import COpenSSL

/// What the handshake has come to, and what was shown in it.
extension TLSSession {
    /// True: `h2`; false: `http/1.1`; nil: no protocol was chosen, look at the first octets. Istio's proxies have names
    /// of their own for both.
    package var negotiatedHTTP2: Bool? {
        switch negotiatedProtocol {
        case "h2", "istio-h2": true
        case nil, "istio": nil
        default: false
        }
    }

    /// What ALPN came to; nil: nothing.
    package var negotiatedProtocol: String? {
        var start: UnsafePointer<UInt8>?
        var length: UInt32 = 0
        unsafe SSL_get0_alpn_selected(raw, &start, &length)
        guard let start = unsafe start, length > 0 else { return nil }
        return unsafe String(decoding: UnsafeBufferPointer(start: start, count: Int(length)), as: UTF8.self)
    }

    /// The number of the chosen chain; -1 before the ClientHello, and on the client's side.
    package var chainNumber: Int { chain?.number ?? -1 }

    /// For logs, for example `TLSv1.3`.
    package var protocolVersion: String {
        unsafe SSL_get_version(raw).map { unsafe String(cString: $0) } ?? ""
    }

    /// For logs, OpenSSL's name, for example `TLS_AES_128_GCM_SHA256`.
    package var cipherSuite: String {
        guard let cipher = unsafe SSL_get_current_cipher(raw),
            let name = unsafe SSL_CIPHER_get_name(cipher)
        else { return "" }
        return unsafe String(cString: name)
    }

    /// Whether the handshake resumed an earlier session.
    package var isResumed: Bool { unsafe SSL_session_reused(raw) == 1 }

    /// What a client needs to resume this session. TLS 1.3 sends it after the handshake, so ask
    /// after the first read.
    package func ticket() -> TLSTicket? {
        guard let session = unsafe SSL_get1_session(raw) else { return nil }
        guard unsafe SSL_SESSION_is_resumable(session) == 1 else {
            unsafe SSL_SESSION_free(session)
            return nil
        }
        return unsafe TLSTicket(owning: session)
    }

    /// Whether the peer's certificate was verified, so that requests may name the sender.
    package var isPeerVerified: Bool { isEstablished && verification.map { !$0.requirement.isSkipped } ?? false }

    /// Calls `body` with the certificate that the peer showed.
    /// - Returns: what `body` returns; nil if there is none.
    func withPeerCertificate<Result>(_ body: (OwnedCertificate) -> Result?) -> Result? {
        guard let found = unsafe SSL_get1_peer_certificate(raw) else { return nil }
        return body(unsafe OwnedCertificate(owning: found))
    }

    /// The certificate that this side shows.
    func withOwnCertificate<Result>(_ body: (OwnedCertificate) -> Result?) -> Result? {
        guard let found = unsafe SSL_get_certificate(raw) else { return nil }
        unsafe X509_up_ref(found)
        return body(unsafe OwnedCertificate(owning: found))
    }

    package var peerCertificate: CertificateReport? {
        guard let found = unsafe SSL_get1_peer_certificate(raw) else { return nil }
        return unsafe CertificateReport(OwnedCertificate(owning: found))
    }

    /// What a failed handshake with a server is counted and answered as.
    package func handshakeFailure(of error: TLSError) -> HandshakeFailure {
        switch error {
        case .connectionLost: .closed
        case .peerRefused(let failure): HandshakeFailure(failure.check)
        default: noted ?? .other
        }
    }
}
