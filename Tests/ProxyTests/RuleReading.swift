import Manifests
import Testing

@testable import Routing

/// Rules of a VirtualService in the words of tests.
enum RuleReading {
    /// What a rule says besides its destinations, read and compiled as the gateway does.
    static func extras(_ rule: String) throws -> RouteExtras? {
        let isAnswer = ["directResponse:", "redirect:", "route:"].contains(where: rule.contains)
        let text = """
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: vs, namespace: default}
            spec: {hosts: [a], http: [{\(isAnswer ? "" : "route: [{destination: {host: a}}], ")\(rule)}]}
            """
        guard !rule.isEmpty else { return nil }
        let set = ManifestReader.load(sources: [("a.yaml", Array(text.utf8))])
        try #require(!set.hasErrors, "\(set.diagnostics.map(\.message))")
        let read = try #require(set.inventory.virtualServices.first?.http.first)
        let matched = read.matches.first.map { MatchedPart(path: MatchedPath(MatchCompiler.compile($0, .mesh))) }
        // There is one cluster: a request's copy goes to its next endpoint.
        let mirrors = read.copies.map { MirrorPolicy(cluster: 0, share: $0.share) }
        return RouteExtras(read, matched: matched ?? .any, mirrors: mirrors)
    }
}
