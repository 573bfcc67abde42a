internal import COpenSSL
internal import Octets

/// Why an OCSP response is not sent, or ought not to be there.
package enum StapleProblem: Sendable, Equatable, CustomStringConvertible {
    /// It is not an OCSP response in DER.
    case unreadable
    /// It says that the authority had no answer.
    case unsuccessful
    /// It has no answer for this certificate.
    case otherCertificate
    /// The certificate's issuer has not signed it, nor entitled who has.
    case notSigned
    /// It does not hold yet, or not any more.
    case outdated
    /// It holds, and is sent: the certificate is revoked, and clients refuse it.
    case revoked

    package var description: String {
        switch self {
        case .unreadable: "cannot be read and is not sent; it has to be an OCSP response in DER"
        case .unsuccessful: "has no answer of the authority, and is not sent; fetch it again"
        case .otherCertificate: "is not for this certificate, and is not sent"
        case .notSigned: "is not signed by the certificate's issuer or for it, and is not sent; fetch it again"
        case .outdated: "has expired, or does not hold yet, and is not sent; fetch it again"
        case .revoked: "says that the certificate is revoked; renew the certificate"
        }
    }
}

/// An OCSP response that a server sends with its certificate, so that clients need not ask the authority.
/// Its signature is checked where the chain has the issuer's certificate. Source: RFC 6066 §8, RFC 6960 §4.2.
///
/// Thread: any. Freed by: the last pair or context that has it.
final class Staple: Sendable {
    private let octets: [UInt8]
    private let notAfter: Int64    // seconds since 1970

    private init(_ octets: [UInt8], notAfter: Int64) {
        self.octets = octets
        self.notAfter = notAfter
    }

    /// Looks at a response for the first certificate of a chain.
    /// - Returns: the response if it may be sent, and what is wrong with it.
    static func read(_ octets: Octets, for chain: [OwnedCertificate]) -> (staple: Staple?, failure: StapleProblem?) {
        let certificate = chain[0]
        defer { Failures.clear() }
        var (status, from, until): (CInt, Int64, Int64) = (0, 0, 0)
        let start = unsafe octets.base?.assumingMemoryBound(to: UInt8.self)
        switch unsafe portico_ocsp_look(start, octets.count, certificate.raw, &status, &from, &until) {
        case 1: break
        case -1: return (nil, .unsuccessful)
        case -2: return (nil, .otherCertificate)
        default: return (nil, .unreadable)
        }
        let issuer = chain.dropFirst().first { unsafe X509_check_issued($0.raw, certificate.raw) == X509_V_OK }
        if let issuer, unsafe portico_ocsp_is_signed(start, octets.count, issuer.raw) != 1 { return (nil, .notSigned) }
        // Without an end, newer information is always available, and nobody can tell how long it holds.
        guard from <= portico_now(), portico_now() < until else { return (nil, .outdated) }
        let isRevoked = status == V_OCSP_CERTSTATUS_REVOKED
        return (Staple(octets.array, notAfter: until), isRevoked ? .revoked : nil)
    }

    /// Has a context send the responses of its certificates to clients that ask for one.
    static func install(_ pairs: [KeyPair], on context: OpaquePointer) {
        guard index >= 0, pairs.contains(where: { $0.staple != nil }) else { return }
        let owned = unsafe Unmanaged.passRetained(Staples(pairs))
        guard unsafe SSL_CTX_set_ex_data(context, index, owned.toOpaque()) == 1 else { return unsafe owned.release() }
        unsafe portico_SSL_CTX_set_staple(context, send)
    }

    /// The responses of a context, which frees them with itself: sessions may outlive the `TLSContext`.
    ///
    /// Thread: any. Freed by: OpenSSL, with the context.
    private final class Staples: Sendable {
        let all: [(certificate: OwnedCertificate, staple: Staple)]
        init(_ pairs: [KeyPair]) { all = pairs.compactMap { pair in pair.staple.map { (pair.chain[0], $0) } } }
    }

    private static let index = unsafe portico_staple_index { _, owned, _, _, _, _ in
        if let owned = unsafe owned { unsafe Unmanaged<Staples>.fromOpaque(owned).release() }
    }

    /// Called by OpenSSL when a client has asked, and the certificate is chosen.
    private static let send: @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> CInt = { ssl, _ in
        guard let ssl = unsafe ssl, let data = unsafe SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), index),
            let certificate = unsafe SSL_get_certificate(ssl)
        else { return SSL_TLSEXT_ERR_NOACK }
        let staples = unsafe Unmanaged<Staples>.fromOpaque(data).takeUnretainedValue().all
        guard let staple = staples.first(where: { unsafe $0.certificate.raw == certificate })?.staple,
            portico_now() < staple.notAfter
        else { return SSL_TLSEXT_ERR_NOACK }
        let isTaken = unsafe staple.octets.withUnsafeBytes {
            unsafe portico_SSL_staple(ssl, $0.baseAddress, $0.count) == 1
        }
        return isTaken ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK
    }
}
