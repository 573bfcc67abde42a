internal import HTTP
internal import Octets
internal import Routing

/// What a rule makes of the request's target, and its header operations on the request: the section of each try.
/// Source: docs/behaviour.md, Header operations and rewrites.
enum Rewriting {
    /// Makes the path that the upstream gets. It is the same for each try.
    static func makePath(_ exchange: Exchange) -> StepEnd {
        guard let rewrite = rewrite(of: exchange), let request = exchange.request.unretained else { return .next }
        return exchange.services.headerScratch { makePath(exchange, rewrite, request, in: $0) }
    }

    private static func makePath(
        _ exchange: Exchange, _ rewrite: Unretained<Rewrite>, _ request: Unretained<HeaderBlock>,
        in scratch: HeaderScratch
    ) -> StepEnd {
        scratch.beginValue()
        guard let outcome = rewrite({ $0.path?.write(exchange.path, to: scratch.buffer) }) else { return .next }
        switch request({ made(outcome, scratch.buffer.octets, in: $0) }) {
        case .unchanged: exchange.rewrittenPath = exchange.path
        case .path(let path): exchange.rewrittenPath = path
        case .refused(let why):
            exchange.explanation = why
            return .answer(.pathRefused)
        }
        return .next
    }

    /// What a rule's rewrite has made of a path.
    enum Made {
        case unchanged
        /// The new path, in the memory of the request's block.
        case path(Octets)
        /// It must not be sent, for that reason.
        case refused(String)
    }

    /// What is to be sent in the place of a path.
    /// - Parameters:
    ///   - octets: what the rewrite has written.
    ///   - block: of the request; the new path lives as long.
    static func made(_ outcome: PathRewrite.Outcome, _ octets: Octets, in block: HeaderBlock) -> Made {
        switch outcome {
        case .unchanged: .unchanged
        case .tooCostly: .refused("the rule's rewrite would take too long on this path, or make it too long")
        case .writtenInForm: .path(block.copy(octets))
        case .written:
            normal(octets, in: block).map { .path($0) }
                ?? .refused("the rule's rewrite makes a path that is not valid, or has dot segments")
        }
    }

    private static func rewrite(of exchange: Exchange) -> Unretained<Rewrite>? {
        exchange.extras?({ $0.rewrite }) ?? nil
    }

    /// The normal form of a path that was made, in the block's memory; nil if it must not be sent. The client's path
    /// had no dot segments, but parts of it may have become some: with the prefix `/a` replaced by `/`, `/a../x`
    /// becomes `/../x`, which leads out of what the rule is for.
    private static func normal(_ path: Octets, in block: HeaderBlock) -> Octets? {
        guard path.first == UInt8(ascii: "/") else { return nil }
        switch PathNormalization.normalize(path, in: block) {
        case .normal: return block.copy(path)
        case .changed(let changed): return slashes(changed) == slashes(path) ? changed : nil
        case .refused: return nil
        }
    }

    /// How many slashes are before the query. A dot segment takes one with it.
    private static func slashes(_ path: Octets) -> Int {
        var count = 0
        for index in 0..<path.count {
            if path[index] == UInt8(ascii: "?") { break }
            if path[index] == UInt8(ascii: "/") { count += 1 }
        }
        return count
    }

    /// The authority that the endpoint gets in the place of the client's; nil when the rule does not change it.
    static func authority(_ exchange: Exchange) -> Octets? {
        guard let rewrite = rewrite(of: exchange) else { return nil }
        let made = rewrite { $0.authority(for: exchange.destinationIndex) }
        return made.isEmpty ? nil : made
    }

    /// Edits the header section of a try: first the header operations, of the destination before the rule's, which see
    /// the client's path and host; then both are rewritten.
    /// - Returns: false if the operations make more octets than they may.
    static func edit(_ section: HeaderBlock, _ exchange: Exchange) -> Bool {
        if let headers = exchange.extras?({ $0.headers }) ?? nil {
            let own = headers { $0.request(for: exchange.destinationIndex).unretained }
            if let own, !HeaderEditing.apply(own, to: section, of: .request, exchange) { return false }
            let all = headers { $0.request.unretained }
            if let all, !HeaderEditing.apply(all, to: section, of: .request, exchange) { return false }
        }
        guard let rewrite = rewrite(of: exchange) else { return true }
        let authority = rewrite { $0.authority(for: exchange.destinationIndex) }
        if !authority.isEmpty {
            if let old = section.first(.authority) { section.setReserved(stable: "x-envoy-original-host", old) }
            section.setOnly(.authority, to: section.copy(authority))
        }
        guard !exchange.rewrittenPath.isEmpty else { return true }
        section.setReserved(stable: "x-envoy-original-path", exchange.path)
        section.replaceFirst(.path, with: exchange.rewrittenPath)
        return true
    }
}
