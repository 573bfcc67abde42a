internal import Admin
internal import Control
internal import Kubernetes
internal import Manifests

/// The admin page of the API server: how current each kind is, and how many objects it has.
struct ClusterPage {
    private let status: ClusterStatus?

    init(_ status: ClusterStatus?) { self.status = status }

    /// The page as the caller of the admin interface wants it: JSON, or text for people.
    func render(_ format: AdminFormat) -> String { format == .json ? json : text }

    private var text: String {
        guard let status else { return "no API server is watched: see --kubernetes and --kubeconfig\n" }
        var text = "events=\(status.events) last-change=\(status.lastChange.map { "\($0)" } ?? "never")\n"
        if let writing = status.writing {
            text += "status: \(writing.leads ? "this replica writes" : "another replica writes, or none"), "
            text += "\(writing.writes) written, \(writing.failures) failed, \(writing.contested) objects left alone\n"
        }
        for kind in status.kinds {
            let place = kind.namespace.map { " in namespace \($0)" } ?? ""
            text += "\(kind.name)\(place): \(kind.objects) objects, \(Self.words(kind.state))\n"
        }
        return text.split(separator: "\n", omittingEmptySubsequences: false).map { String($0).printable }
            .joined(separator: "\n")
    }

    private var json: String {
        var json = JSONText()
        json.object { json in
            json.field("watched", status != nil)
            json.field("events", Int(clamping: status?.events ?? 0))
            json.field("lastChange", status?.lastChange)
            json.field("unreachableSince", status?.unreachable?.since)
            json.field("status", of: status?.writing) { writing, json in
                json.object { json in
                    json.field("leads", writing.leads)
                    json.field("written", Int(clamping: writing.writes))
                    json.field("failed", Int(clamping: writing.failures))
                    json.field("leftAlone", writing.contested)
                }
            }
            json.field("kinds", of: status?.kinds ?? []) { kinds, json in
                json.array(kinds) { kind, json in
                    json.object { json in
                        json.field("kind", kind.name)
                        json.field("namespace", kind.namespace)
                        json.field("objects", kind.objects)
                        json.field("state", Self.words(kind.state))
                    }
                }
            }
        }
        return json.text
    }

    private static func words(_ state: ResourceState?) -> String {
        switch state {
        case nil: "not listed yet"
        case .current: "current"
        case .absent: "not offered by the server"
        case .refused(let permission): "refused: \(permission) lacks"
        case .unreachable(let since, let reason): "no answer since \(since / 1000): \(reason)"
        }
    }
}
