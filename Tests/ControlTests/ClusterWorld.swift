import Kubernetes
import Manifests
import Support

@testable import Control
@testable import Manifests

/// Objects as an API server sends them, made of YAML, and the events that bring them.
enum ClusterWorld {
    /// The JSON of each document of a text, with its kind.
    static func objects(_ yaml: String) -> [(kind: String, octets: [UInt8])] {
        var builder = TreeBuilder(Array(yaml.utf8)[...])
        var found: [(kind: String, octets: [UInt8])] = []
        while let tree = try? builder.next() {
            if tree.root != Node.none { add(tree, tree.root, &found) }
        }
        return found
    }

    /// Adds an object, or the items of a List.
    private static func add(_ tree: Tree, _ node: NodeIndex, _ found: inout [(kind: String, octets: [UInt8])]) {
        guard let kind = tree.value(of: "kind", in: node) else { return }
        guard let items = tree.value(of: "items", in: node) else {
            var json = ""
            write(tree, node, &json)
            found.append((tree.string(kind), Array(json.utf8)))
            return
        }
        var item = tree[items].start
        while item != Node.none {
            add(tree, item, &found)
            item = tree[item].next
        }
    }

    static func kind(_ name: String) -> ResourceKind {
        ClusterSource.kinds.first { $0.kind == name } ?? .secrets
    }

    /// Complete lists of all kinds, and then "current" for each.
    static func lists(_ yaml: String) -> [ResourceEvent] {
        var byKind: [String: [[UInt8]]] = [:]
        for (kind, octets) in objects(yaml) { byKind[kind, default: []].append(octets) }
        let lists = ClusterSource.kinds.map { kind in
            ResourceEvent.page(kind, namespace: nil, byKind[kind.kind] ?? [], isFirst: true, isLast: true)
        }
        return lists + ClusterSource.kinds.map { .state($0, namespace: nil, .current) }
    }

    static func changed(_ yaml: String) -> [ResourceEvent] {
        objects(yaml).map { .changed(kind($0.kind), $0.octets) }
    }

    /// A Gateway whose only server names a Secret.
    static func gateway(naming secret: String) -> String {
        """
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: gw, namespace: edge}
        spec:
          selector: {istio: ingressgateway}
          servers:
          - port: {number: 443, name: s, protocol: HTTPS}
            hosts: [x.test]
            tls: {mode: SIMPLE, credentialName: \(secret)}

        """
    }

    private static func write(_ tree: Tree, _ node: NodeIndex, _ json: inout String) {
        var child = tree[node].start
        switch tree[node].kind {
        case .plain where Scalar(plain: tree.octets(node)) != .text:
            json += Scalar(plain: tree.octets(node)) == .null ? "null" : tree.string(node)
        case .plain, .quoted: json += quoted(tree.string(node))
        case .sequence:
            json += "["
            while child != Node.none {
                write(tree, child, &json)
                child = tree[child].next
                if child != Node.none { json += "," }
            }
            json += "]"
        case .mapping:
            json += "{"
            while child != Node.none {
                let value = tree[child].next
                json += quoted(tree.string(child)) + ":"
                write(tree, value, &json)
                child = tree[value].next
                if child != Node.none { json += "," }
            }
            json += "}"
        }
    }

    private static func quoted(_ text: String) -> String {
        var writer = JSONText()
        writer.string(text)
        return writer.text
    }
}
