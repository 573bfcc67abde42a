internal import Octets

/// Tells HTTP/2 with prior knowledge from HTTP/1.1 by the first octets. Source: RFC 9113 §3.4.
enum Preface {
    /// What the first octets are of; `incomplete`: too few to say.
    enum Verdict { case http1, http2, incomplete }

    /// "PRI " can begin no HTTP/1.1 request that a server would serve.
    static func look(at octets: Octets) -> Verdict {
        let magic: Octets = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        if octets.count >= magic.count { return octets.hasPrefix(magic) ? .http2 : .http1 }
        return magic.hasPrefix(octets) ? .incomplete : .http1
    }
}
