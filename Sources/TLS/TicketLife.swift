internal import COpenSSL

/// Tickets of clients that showed a certificate. OpenSSL verifies nothing when a session is resumed, and each
/// resumption earns a new ticket. So a ticket carries the time at which the first certificate of the verified chain
/// expires, and is good for nothing afterwards. What the requirement says of authorities, lists, names and pins is in
/// the session-id context: after a change of it a ticket is not taken.
/// Envoy verifies again when it resumes (BoringSSL: `SSL_CTX_set_reverify_on_resume`).
enum TicketLife {
    /// Has the context call `seal` and `open` for its tickets.
    static func install(on context: OpaquePointer) {
        unsafe SSL_CTX_set_session_ticket_cb(context, seal, open, nil)
    }

    /// Before a ticket is sealed. A resumed session has its time already.
    private static let seal: @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> CInt = { ssl, _ in
        guard let ssl = unsafe ssl, unsafe SSL_session_reused(ssl) == 0, let session = unsafe SSL_get_session(ssl),
            unsafe SSL_SESSION_get0_peer(session) != nil
        else { return 1 }
        var end = unsafe firstEnd(of: SSL_get0_verified_chain(ssl)).littleEndian
        return unsafe SSL_SESSION_set1_ticket_appdata(session, &end, MemoryLayout<Int64>.size)
    }

    /// After a ticket was opened, or could not be.
    private static let open: SSL_CTX_decrypt_session_ticket_fn = { _, session, _, _, status, _ in
        switch status {
        case SSL_TICKET_SUCCESS: unsafe isGood(session) ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_IGNORE_RENEW
        case SSL_TICKET_SUCCESS_RENEW:
            unsafe isGood(session) ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_IGNORE_RENEW
        default: SSL_TICKET_RETURN_IGNORE_RENEW
        }
    }

    private static func isGood(_ session: OpaquePointer?) -> Bool {
        guard let session = unsafe session else { return false }
        guard unsafe SSL_SESSION_get0_peer(session) != nil else { return true }
        var data: UnsafeMutableRawPointer?
        var length = 0
        guard unsafe SSL_SESSION_get0_ticket_appdata(session, &data, &length) == 1, let data = unsafe data,
            length == MemoryLayout<Int64>.size
        else { return false }
        let end = Int64(littleEndian: unsafe data.loadUnaligned(as: Int64.self))
        return end > portico_now()
    }

    /// Seconds since 1970; the greatest number for a chain that was not verified.
    private static func firstEnd(of chain: OpaquePointer?) -> Int64 {
        var end = Int64.max
        for index in 0..<(unsafe portico_chain_count(chain)) {
            guard let certificate = unsafe portico_chain_at(chain, index) else { continue }
            end = min(end, unsafe CertificateReport.seconds(X509_get0_notAfter(certificate)))
        }
        return end
    }
}
