internal import Octets

/// Which rule a header section breaks. `HeaderRules` says that it does, on the path of every request; this
/// looks again at what it refused, when that has happened.
enum HeaderDiagnosis {
    /// - Parameters:
    ///   - known, name: the field that was refused.
    ///   - block: the fields before it.
    static func violation(
        of known: KnownHeader, _ name: Octets, behind block: HeaderBlock, _ kind: HeaderRules.Kind
    ) -> HTTP2Violation {
        if name.first == UInt8(ascii: ":") { return violation(ofPseudo: known, behind: block, kind) }
        guard known.isExact || FieldSyntax.isName(name) else { return .fieldName }
        return switch known {
        case .connection, .keepAlive, .proxyConnection, .transferEncoding, .upgrade: .connectionField
        case .te: .te
        case .contentLength: .contentLength
        case .host: .host
        default: .fieldValue
        }
    }

    private static func violation(
        ofPseudo known: KnownHeader, behind block: HeaderBlock, _ kind: HeaderRules.Kind
    ) -> HTTP2Violation {
        let isDefined =
            switch (kind, known) {
            case (.request, .method), (.request, .scheme), (.request, .authority), (.request, .path): true
            case (.request, .protocol): true
            case (.response, .status): true
            default: false
            }
        guard isDefined else { return .pseudoUnknown }
        if block.fields.contains(where: { $0.name.first != UInt8(ascii: ":") }) { return .pseudoOrder }
        if block.first(known) != nil { return .pseudoRepeated }
        return switch known {
        case .method: .method
        case .scheme: .scheme
        case .authority: .authority
        case .status: .status
        case .protocol: .connect
        default: .path
        }
    }

    /// A section whose fields are sound one by one, but which is not complete.
    static func violation(ofIncomplete block: HeaderBlock, _ kind: HeaderRules.Kind) -> HTTP2Violation {
        switch kind {
        case .trailers: return .trailersWithoutEnd
        case .response:
            guard let status = block.first(.status) else { return .pseudoMissing }
            return status == "204" ? .contentLength : .interimResponse
        case .request:
            guard let method = block.first(.method) else { return .pseudoMissing }
            if method == "CONNECT" || block.first(.protocol) != nil { return .connect }
            if block.first(.path) == "*", method != "OPTIONS" { return .path }
            return .pseudoMissing
        }
    }
}
