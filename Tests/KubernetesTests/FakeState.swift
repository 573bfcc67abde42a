import Octets
import Synchronization

/// What the fake API server has, and how it answers. It knows nothing of connections.
struct FakeState {
    struct Key: Hashable {
        let plural: String
        let namespace: String
        let name: String
    }

    /// A line of all watches that want the object.
    struct Change {
        let version: Int
        let type: String
        let key: Key
        let object: String
    }

    /// An answer in the place of the right one.
    struct Fault {
        /// The request's path has it.
        var part: String
        var status: Int
        var body = ""
        var retryAfter: Int?
        /// How many requests more get it.
        var times = 1
    }

    enum Answer: Equatable {
        case whole(status: Int, body: String, retryAfter: Int?)
        /// A watch with its first lines; what follows begins behind a version.
        case watch(FakeWatch, lines: String)
        /// Nothing at all.
        case silence
    }

    private(set) var version = 1
    private(set) var objects: [Key: String] = [:]
    private(set) var history: [Change] = []
    /// Versions below it are forgotten.
    var oldest = 0
    /// Groups with their versions and what these have.
    var groups: [String: [String: [String]]] = [:]
    var streamsLists = false
    /// Tokens that are known; nil: none is asked for.
    var tokens: Set<String>?
    var faults: [Fault] = []
    /// Method and path of every request.
    var requests: [String] = []
    var accepts: [String] = []
    /// Continuations are forgotten.
    var forgetsPages = false

    mutating func put(_ plural: String, _ namespace: String, _ name: String, _ rest: String = "\"spec\":{}") {
        version += 1
        let key = Key(plural: plural, namespace: namespace, name: name)
        let place = namespace.isEmpty ? "" : "\"namespace\":\"\(namespace)\","
        let object = "{\"metadata\":{\(place)\"name\":\"\(name)\",\"resourceVersion\":\"\(version)\"},\(rest)}"
        let type = objects.updateValue(object, forKey: key) == nil ? "ADDED" : "MODIFIED"
        history.append(Change(version: version, type: type, key: key, object: object))
    }

    mutating func delete(_ plural: String, _ namespace: String, _ name: String) {
        let key = Key(plural: plural, namespace: namespace, name: name)
        guard let object = objects.removeValue(forKey: key) else { return }
        version += 1
        let old = object.split(separator: "\"resourceVersion\":\"", maxSplits: 1)
        let rest = old[1].drop { $0 != "\"" }
        let last = "\(old[0])\"resourceVersion\":\"\(version)\(rest)"
        history.append(Change(version: version, type: "DELETED", key: key, object: last))
    }

    /// Everything is lost, and versions begin again.
    mutating func wipe() {
        (version, objects, history, oldest) = (1, [:], [], 0)
    }

    // MARK: answers

    mutating func answer(_ method: String, _ path: String, bearer: String?, accept: String, body: String) -> Answer {
        requests.append("\(method) \(path)")
        accepts.append(accept)
        if let tokens, !tokens.contains(bearer ?? "") { return status(401, "Unauthorized") }
        if let index = faults.firstIndex(where: { path.contains($0.part) && $0.times > 0 }) {
            faults[index].times -= 1
            let fault = faults[index]
            if fault.status == 0 { return .silence }
            return .whole(status: fault.status, body: fault.body, retryAfter: fault.retryAfter)
        }
        let parts = path.split(separator: "?", maxSplits: 1)
        let query = Self.query(parts.count > 1 ? parts[1] : "")
        var steps = parts[0].split(separator: "/").map(String.init)
        guard method == "GET" else { return .whole(status: 200, body: "\(method) \(path) \(body)", retryAfter: nil) }
        guard let first = steps.first else { return status(404, "not found") }
        steps.removeFirst()
        if first == "apis" {
            guard let group = steps.first, let versions = groups[group] else { return status(404, "no group") }
            steps.removeFirst()
            guard let version = steps.first else {
                return .whole(status: 200, body: Self.group(versions), retryAfter: nil)
            }
            guard let kinds = versions[version] else { return status(404, "no version") }
            steps.removeFirst()
            let resources = kinds.map { "{\"name\":\"\($0)\"}" }.joined(separator: ",")
            if steps.isEmpty { return .whole(status: 200, body: "{\"resources\":[\(resources)]}", retryAfter: nil) }
            guard kinds.contains(steps.first == "namespaces" && steps.count > 2 ? steps[2] : steps[0]) else {
                return status(404, "no kind")
            }
        } else if first == "api", steps.first == "v1" {
            steps.removeFirst()
        } else {
            return status(404, "not found")
        }
        return objects(steps, query)
    }

    private static func group(_ versions: [String: [String]]) -> String {
        let list = versions.keys.sorted().map { "{\"groupVersion\":\"x/\($0)\",\"version\":\"\($0)\"}" }
        return "{\"kind\":\"APIGroup\",\"versions\":[\(list.joined(separator: ","))]}"
    }

    private static func query(_ text: Substring) -> [String: String] {
        var query: [String: String] = [:]
        for pair in text.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            query[String(parts[0])] = parts.count > 1 ? parts[1].split(separator: "%3D").joined(separator: "=") : ""
        }
        return query
    }

    private func status(_ code: Int, _ message: String, retryAfter: Int? = nil) -> Answer {
        let body = "{\"kind\":\"Status\",\"message\":\"\(message)\",\"code\":\(code)}"
        return .whole(status: code, body: body, retryAfter: retryAfter)
    }

    private mutating func objects(_ steps: [String], _ query: [String: String]) -> Answer {
        var (namespace, rest): (String?, [String]) = (nil, steps)
        if steps.count > 2, steps[0] == "namespaces" { (namespace, rest) = (steps[1], Array(steps[2...])) }
        guard let plural = rest.first else { return status(404, "not found") }
        if rest.count > 1 {
            let key = Key(plural: plural, namespace: namespace ?? "", name: rest[1])
            return objects[key].map { .whole(status: 200, body: $0, retryAfter: nil) } ?? status(404, "not found")
        }
        let name = query["fieldSelector"].flatMap { $0.split(separator: "=").last.map(String.init) }
        let watch = FakeWatch(plural: plural, namespace: namespace, name: name, version: version)
        return query["watch"] == nil ? list(watch, query) : open(watch, query)
    }

    private func found(_ watch: FakeWatch) -> [(key: Key, value: String)] {
        objects.filter { watch.wants($0.key) }.sorted {
            ($0.key.namespace, $0.key.name) < ($1.key.namespace, $1.key.name)
        }
    }

    private func list(_ watch: FakeWatch, _ query: [String: String]) -> Answer {
        if let text = query["resourceVersion"], let wanted = Int(text), wanted > version {
            return status(504, "Timeout: Too large resource version: \(wanted), current: \(version)", retryAfter: 1)
        }
        var rest = found(watch)[...]
        if let token = query["continue"] {
            if forgetsPages { return status(410, "The provided continue parameter is too old") }
            rest = rest.drop { "\($0.key.namespace)-\($0.key.name)" < token }
        }
        let page = rest.prefix(query["limit"].flatMap { Int($0) } ?? .max)
        let next = rest.dropFirst(page.count).first.map { "\($0.key.namespace)-\($0.key.name)" } ?? ""
        let items = page.map(\.value).joined(separator: ",")
        let body = "{\"metadata\":{\"resourceVersion\":\"\(version)\",\"continue\":\"\(next)\"},\"items\":[\(items)]}"
        return .whole(status: 200, body: body, retryAfter: nil)
    }

    private func open(_ watch: FakeWatch, _ query: [String: String]) -> Answer {
        var watch = watch
        if query["sendInitialEvents"] != nil {
            guard streamsLists else { return status(422, "resourceVersionMatch is forbidden for watch") }
            let end =
                "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"\(version)\","
                + "\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}},\"endpoints\":null}}\n"
            return .watch(watch, lines: added(watch) + end)
        }
        guard let text = query["resourceVersion"] else { return .watch(watch, lines: added(watch)) }
        let from = Int(text) ?? 0
        guard from >= oldest else {
            let expired = "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\"}}\n"
            watch.isOver = true
            return .watch(watch, lines: expired)
        }
        watch.version = from
        return .watch(watch, lines: lines(for: &watch))
    }

    private func added(_ watch: FakeWatch) -> String {
        found(watch).map { "{\"type\":\"ADDED\",\"object\":\($0.value)}\n" }.joined()
    }

    /// What has happened since the watch was last asked.
    func lines(for watch: inout FakeWatch) -> String {
        let from = watch.version
        let news = history.filter { $0.version > from && watch.wants($0.key) }
        watch.version = max(from, history.last?.version ?? 0)
        return news.map { "{\"type\":\"\($0.type)\",\"object\":\($0.object)}\n" }.joined()
    }
}

/// A watch of the fake server.
struct FakeWatch: Equatable {
    let plural: String
    let namespace: String?
    let name: String?
    var version: Int
    var isOver = false

    func wants(_ key: FakeState.Key) -> Bool {
        key.plural == plural && (namespace ?? key.namespace) == key.namespace && (name ?? key.name) == key.name
    }
}
