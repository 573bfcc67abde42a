internal import COpenSSL

/// OpenSSL's error queue belongs to the thread: it is cleared before a call and read right after.
enum Failures {
    /// ERR_clear_error wipes all 16 entries, whether used or not.
    static func clear() { if ERR_peek_error() != 0 { ERR_clear_error() } }

    /// The oldest entry's reason in words, and the queue is empty afterwards.
    static func takeReason() -> String {
        let code = ERR_get_error()
        ERR_clear_error()
        return sentence(code)
    }

    /// The oldest entry; 0 when there is none.
    static var first: UInt { ERR_peek_error() }

    /// The part of OpenSSL that the entry is of, such as ERR_LIB_SSL.
    static func library(_ code: UInt) -> CInt { ERR_GET_LIB(code) }
    /// The number of its reason, such as SSL_R_HTTP_REQUEST.
    static func reason(_ code: UInt) -> CInt { ERR_GET_REASON(code) }

    /// OpenSSL's words for an entry.
    static func sentence(_ code: UInt) -> String {
        guard code != 0 else { return "no reason given" }
        guard let text = unsafe ERR_reason_error_string(code) else { return "error \(code)" }
        return unsafe String(cString: text)
    }

    /// The system's words for the error number of a call, such as "Connection reset by peer".
    static func systemReason(_ number: Int32) -> String {
        guard let text = unsafe portico_system_reason(number) else { return "error \(number)" }
        return unsafe String(cString: text)
    }

    /// What a failed handshake means to an operator.
    static func handshake() -> TLSError {
        let code = first
        let reason = reason(code)
        let text = takeReason()
        switch reason {
        case SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST: return .plainHTTP
        case SSL_AD_REASON_OFFSET...(SSL_AD_REASON_OFFSET + 255): return .peerAlert(text)
        default: return .handshakeFailed(text)
        }
    }

    /// What a failed read or write of an established session means to an operator.
    static func stream() -> TLSError {
        let code = first
        let reason = reason(code)
        let text = takeReason()
        let isAlert = (SSL_AD_REASON_OFFSET...(SSL_AD_REASON_OFFSET + 255)).contains(reason)
        return isAlert ? .peerAlert(text) : .brokenStream(text)
    }
}
