import JSON
import Manifests
import Octets
import Routing

/// Definitions, from texts to a compiled plan.
enum ManifestFuzz {
    /// A text of YAML: no trap, the same twice, and every problem has a place.
    static let yaml: @Sendable ([UInt8]) -> Void = { octets in
        let set = load(octets)
        for diagnostic in set.diagnostics {
            demand(diagnostic.place.line >= 1 && diagnostic.place.column >= 1, "no place: \(diagnostic.message)")
        }
        demand(set.brokenFiles.isEmpty || set.hasErrors, "a broken file without an error")
        let again = load(octets)
        demand(again.diagnostics.count == set.diagnostics.count, "another number of problems the second time")
        demand(again.inventory.all.map(\.version) == set.inventory.all.map(\.version), "other objects the second time")
        let plan = RoutingPlan.compile(set.inventory, options: CompileOptions())
        demand(plan.routes.count < 100_000, "\(plan.routes.count) routes of \(octets.count) octets")
    }

    private static func load(_ octets: [UInt8]) -> ManifestSet {
        ManifestReader.load(sources: [(name: "fuzz.yaml", octets: octets)])
    }

    private static let kinds: [(kind: String, group: String)] = [
        ("VirtualService", "networking.istio.io/v1"), ("Gateway", "networking.istio.io/v1"),
        ("DestinationRule", "networking.istio.io/v1"), ("ServiceEntry", "networking.istio.io/v1"),
        ("Service", "v1"), ("EndpointSlice", "discovery.k8s.io/v1"), ("Pod", "v1"), ("Secret", "v1"),
        ("WorkloadEntry", "networking.istio.io/v1"), ("Endpoints", "v1"), ("Node", "v1"),
        ("AuthorizationPolicy", "security.istio.io/v1"), ("RequestAuthentication", "security.istio.io/v1"),
    ]

    /// JSON of an API server: no trap, the quick readers agree with the thorough one, and the object is that which the
    /// same text makes in a file, where libyaml reads it.
    static let json: @Sendable ([UInt8]) -> Void = { octets in
        var supply = Supply(octets)
        let (kind, group) = kinds[supply.number(below: kinds.count)]
        let text = supply.everything()
        let isJSON = reads(text)
        checkSkims(text, isJSON)
        let object = ClusterReader(defaultNamespace: "default").read(kind: kind, text)
        // An access policy that cannot be read closes the gateway.
        let isRefused = object.identity.map(object.set.rejected.union(object.set.impaired).contains) ?? true
        demand(isRefused || reads(text, but: leftOut), "an object of a text that is not JSON")
        guard isJSON, object.set.diagnostics.isEmpty, let brace = text.firstIndex(of: UInt8(ascii: "{")) else { return }
        let head = Array(#"{"apiVersion":"\#(group)","kind":"\#(kind)","#.utf8)
        let file = load(head + text[(brace + 1)...])
        guard file.diagnostics.isEmpty else { return }
        let (one, other) = (Likeness.of(object.set.inventory), Likeness.of(file.inventory))
        demand(one == other, "JSON: \(one)\nYAML: \(other)")
    }

    /// The fields that the reader of objects passes over, near the top: of their values it looks at the brackets alone.
    private static let leftOut: Set<String> = [
        "apiVersion", "kind", "status", "managedFields", "resourceVersion", "generation", "uid", "selfLink",
        "ownerReferences", "finalizers", "generateName", "deletionGracePeriodSeconds", "annotations",
        "kubectl.kubernetes.io/last-applied-configuration",
    ]

    /// Whether a text can be read as JSON, but perhaps for the values of some fields.
    private static func reads(_ text: [UInt8], but passed: Set<String> = []) -> Bool {
        let found = try? JSONReader.read(text) { (reader) throws(JSONError) in
            while true {
                let token = try reader.next()
                if token == .end { return true }
                guard case .key(let name) = token, reader.depth <= 3 else { continue }
                if passed.contains(reader.string(name)) { try reader.pass() }
            }
        }
        return found != nil
    }

    private static func checkSkims(_ text: [UInt8], _ isJSON: Bool) {
        demand(isJSON || (try? StatusSkim(text)) == nil, "a quick reader takes what is not JSON")
        // These do not check the objects.
        _ = (try? ListSkim(text), try? WatchSkim(text), try? MetadataSkim(text))
        func end(_ read: (inout JSONReader) throws(JSONError) -> Range<Int>) -> Range<Int>? {
            try? JSONReader.read(text) { (reader) throws(JSONError) in try read(&reader) }
        }
        let wanted = end { (reader) throws(JSONError) in try reader.skip() }
        let passed = end { (reader) throws(JSONError) in try reader.pass() }
        demand(!isJSON || wanted.map { passed == $0 } ?? true, "the end of a value: \(passed as Any)")
    }
}

/// What objects say, as text, without places and what follows from them.
private enum Likeness {
    private static let places: Set<String> = [
        "place", "source", "storedLine", "storedColumn", "fieldPath", "version", "layout",
    ]

    static func of(_ value: Any) -> String {
        let mirror = Mirror(reflecting: value)
        guard !mirror.children.isEmpty else { return "\(value)" }
        var parts: [String] = []
        for (label, child) in mirror.children {
            if let label, places.contains(label) { continue }
            parts.append((label ?? "") + "=" + of(child))
        }
        let isUnordered = mirror.displayStyle == .set || mirror.displayStyle == .dictionary
        return "(" + (isUnordered ? parts.sorted() : parts).joined(separator: ",") + ")"
    }
}
