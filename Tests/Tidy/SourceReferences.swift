/// What `Source:` in a comment refers to. A reader must be able to look up every reference: it is a public
/// document, or a heading of a document of this project.
struct SourceReferences {
    struct Reference: Equatable {
        let line: Int
        let text: String
    }

    /// References to documents of this project, `docs/NAME.md, Heading`.
    private(set) var headings: [Reference] = []
    /// What no reader could look up.
    private(set) var unknown: [Reference] = []

    /// Objects of Istio and Kubernetes, whose fields are public.
    private static let kinds: Set<String> = [
        "Gateway", "ServerTLSSettings", "VirtualService", "HTTPRoute", "HTTPMatchRequest", "StringMatch", "Headers",
        "CorsPolicy", "Destination", "DestinationRule", "TrafficPolicy", "LoadBalancerSettings", "ServiceEntry",
        "WorkloadEntry", "AuthorizationPolicy", "RequestAuthentication", "Service", "EndpointSlice", "Endpoints",
        "Pod", "Node", "Secret", "ListMeta", "ObjectMeta", "Status", "WatchEvent", "ProxyConfig",
    ]
    /// How the reference to a public document begins.
    private static let publicDocuments = [
        "istio/api ", "istio/istio ", "envoyproxy/envoy ", "nghttp2/nghttp2 ", "grpc/grpc doc/", "https://",
        "Howard Hinnant, \"chrono-Compatible Low-Level Date Algorithms\"",
    ]

    init(_ lines: [Substring]) {
        var number = 0
        while number < lines.count {
            defer { number += 1 }
            guard let start = Self.reference(in: lines[number]) else { continue }
            var sentence = start
            var last = number
            while !Self.ends(sentence), last + 1 < lines.count, let more = Self.comment(in: lines[last + 1]) {
                sentence += " " + more
                last += 1
            }
            add(Self.firstSentence(sentence), line: number + 1)
        }
    }

    private mutating func add(_ sentence: String, line: Int) {
        for part in sentence.split(separator: ";").map({ String($0.drop { $0 == " " }) }) {
            let reference = Reference(line: line, text: part)
            if part.hasPrefix("docs/") {
                headings.append(reference)
            } else if !Self.isPublic(part) {
                unknown.append(reference)
            }
        }
    }

    /// Whether the reference begins with a public document; what follows is the place in it.
    static func isPublic(_ text: String) -> Bool {
        if publicDocuments.contains(where: text.hasPrefix) { return true }
        let words = text.split { $0 == " " || $0 == "," }.map(String.init)
        guard let first = words.first else { return false }
        return switch first {
        case "RFC": words.count > 1 && !words[1].isEmpty && words[1].allSatisfy(\.isNumber)
        case "Istio", "Kubernetes": words.count > 1 && isField(words[1])
        default: first.hasPrefix("CVE-") || isManualPage(text)
        }
    }

    /// `` `Kind.field` `` of an object of Istio or Kubernetes.
    private static func isField(_ word: String) -> Bool {
        guard word.hasPrefix("`"), word.hasSuffix("`") else { return false }
        return kinds.contains(String(word.dropFirst().prefix { $0.isLetter }))
    }

    /// `core(5)`
    private static func isManualPage(_ text: String) -> Bool {
        let parts = text.split(separator: "(")
        return parts.count == 2 && parts[0].allSatisfy(\.isLetter) && parts[1].count == 2 && parts[1].hasSuffix(")")
    }

    /// What stands behind `Source:` in a comment of this line.
    private static func reference(in line: Substring) -> String? {
        guard line.has("Source: "), let comment = line.firstRange(of: "//"),
            let mark = line[comment.upperBound...].firstRange(of: "Source: ")
        else { return nil }
        return String(line[mark.upperBound...])
    }

    private static func comment(in line: Substring) -> String? {
        let text = line.drop { $0 == " " }
        guard text.hasPrefix("//") else { return nil }
        return String(text.drop { $0 == "/" || $0 == " " })
    }

    /// A full stop inside a name is followed by a letter or digit, the end of a sentence by a blank or by nothing.
    private static func ends(_ text: String) -> Bool { text.hasSuffix(".") || text.contains(". ") }

    private static func firstSentence(_ text: String) -> String {
        if let end = text.firstRange(of: ". ") { return String(text[..<end.lowerBound]) }
        return text.hasSuffix(".") ? String(text.dropLast()) : text
    }
}
