internal import Balancing
internal import Manifests

/// What the annotations of Services say of health checks. Istio has no field for them. A value that is not right leaves
/// all endpoints of its Service unchecked, and is reported at its place.
struct HealthAnnotations {
    /// The annotations; the first one switches checks on.
    enum Name: String, CaseIterable {
        case method = "portico.dev/health-check"
        case path = "portico.dev/health-check-path"
        case statuses = "portico.dev/health-check-statuses"
        case service = "portico.dev/health-check-service"
        case host = "portico.dev/health-check-host"
        case port = "portico.dev/health-check-port"
        case interval = "portico.dev/health-check-interval"
        case timeout = "portico.dev/health-check-timeout"
        case jitter = "portico.dev/health-check-jitter"
        case healthy = "portico.dev/health-check-healthy-threshold"
        case unhealthy = "portico.dev/health-check-unhealthy-threshold"

        /// The kinds of checks for which it means something.
        var methods: [HealthCheckPolicy.Method] {
            switch self {
            case .path, .statuses: [.http]
            case .service: [.grpc]
            case .host: [.http, .grpc]
            default: HealthCheckPolicy.Method.allCases
            }
        }
    }

    private var policies: [Int: HealthCheckPolicy] = [:]    // by place of the Service in the inventory

    init(_ inventory: Inventory, _ problems: Problems) {
        for (index, service) in inventory.services.enumerated() {
            guard let written = service.meta.ownAnnotations else { continue }
            policies[index] = HealthReading(service, written, problems).policy()
        }
        for entry in inventory.serviceEntries { Self.report(entry.meta, problems) }
        for rule in inventory.destinationRules { Self.report(rule.meta, problems) }
    }

    /// How the endpoints of a service are checked; nil: not at all.
    func policy(of service: RoutableService) -> HealthCheckPolicy? {
        guard case .service(let number) = service.origin, !policies.isEmpty else { return nil }
        return policies[number]
    }

    private static func report(_ meta: ObjectMeta, _ problems: Problems) {
        for (name, value) in meta.ownAnnotations ?? [:] where name.hasPrefix(Name.method.rawValue) {
            problems.add(
                Diagnostic(
                    .warning, "no-effect", "`\(name)` has an effect on Services only", hint: nil, at: value.place,
                    object: meta.identity, path: value.path))
        }
    }
}

/// Reads the annotations of one Service.
///
/// Thread: the compiler's, which is the loader's or a command's. Freed by: the function that reads the annotations.
private final class HealthReading {
    private let service: Service
    private let written: [String: Located<String>]
    private let problems: Problems
    private var isRight = true

    init(_ service: Service, _ written: [String: Located<String>], _ problems: Problems) {
        self.service = service
        self.written = written
        self.problems = problems
    }

    /// nil if nothing is to be checked, or what is to be checked is not clear.
    func policy() -> HealthCheckPolicy? {
        let names = HealthAnnotations.Name.allCases.map(\.rawValue)
        for (name, value) in written where !names.contains(name) {
            let near = problems.nearest(to: name, among: names)
            refuse(value, "`\(name)` is no annotation of a Service", hint: near.map { "did you mean `\($0)`?" })
        }
        guard let text = written[HealthAnnotations.Name.method.rawValue] else {
            for value in written.values {
                refuse(
                    value, "`\(HealthAnnotations.Name.method.rawValue)` is missing, which says what a check does",
                    hint: "add it with the value http, grpc or tcp")
            }
            return nil
        }
        guard let method = HealthCheckPolicy.Method(rawValue: text.value) else {
            refuse(text, "`\(text.value)` is none of http, grpc, tcp", hint: nil)
            return nil
        }
        var policy = HealthCheckPolicy(method: method)
        warnMeaningless(method)
        readQuestion(&policy)
        readTimes(&policy)
        return isRight ? policy : nil
    }

    private func readQuestion(_ policy: inout HealthCheckPolicy) {
        if let path = read(.path, "a path that begins with `/`, of visible ASCII characters", Self.path) {
            policy.path = path
        }
        if let statuses = read(.statuses, "a list such as `200, 204, 300-399`, of 200 to 599", Self.statuses) {
            policy.statuses = statuses
        }
        if let name = read(.service, "the name of a gRPC service", Self.service) { policy.service = name }
        if let host = read(.host, "a host, perhaps with a port", Self.host) { policy.authority = host }
        if let port = read(.port, "a number from 1 to 65535", { UInt16($0).flatMap { $0 > 0 ? $0 : nil } }) {
            policy.port = port
        }
    }

    private func readTimes(_ policy: inout HealthCheckPolicy) {
        let form = "such as `10s` or `500ms`"
        if let time = read(.interval, "a time from 100ms to 1h, \(form)", { Self.time($0, 100...3_600_000) }) {
            policy.interval = time
        }
        if let time = read(.timeout, "a time from 10ms to 1m, \(form)", { Self.time($0, 10...60_000) }) {
            policy.timeout = time
        }
        if let time = read(.jitter, "a time from 0s to 1h, \(form)", { Self.time($0, 0...3_600_000) }) {
            policy.jitter = time
        } else {
            policy.jitter = min(policy.jitter, policy.interval / 10)
        }
        let number = "a number from 1 to 100"
        if let count = read(.healthy, number, Self.threshold) { policy.healthyThreshold = count }
        if let count = read(.unhealthy, number, Self.threshold) { policy.unhealthyThreshold = count }
    }

    private func read<Value>(
        _ name: HealthAnnotations.Name, _ what: String, _ parse: (String) -> Value?
    ) -> Value? {
        guard let text = written[name.rawValue] else { return nil }
        if let value = parse(text.value) { return value }
        refuse(text, "`\(text.value)` is not \(what)", hint: nil)
        return nil
    }

    private func warnMeaningless(_ method: HealthCheckPolicy.Method) {
        for name in HealthAnnotations.Name.allCases where !name.methods.contains(method) {
            guard let value = written[name.rawValue] else { continue }
            problems.add(
                Diagnostic(
                    .warning, "no-effect", "`\(name.rawValue)` means nothing to a check by \(method.rawValue)",
                    hint: nil, at: value.place, object: service.meta.identity, path: value.path))
        }
    }

    private func refuse(_ value: Located<String>, _ what: String, hint: String?) {
        isRight = false
        problems.add(
            Diagnostic(
                .error, "invalid-annotation", "\(what): the endpoints of \(service.meta.identity) are not checked",
                hint: hint, at: value.place, object: service.meta.identity, path: value.path))
    }

    // MARK: values

    /// Octets of a path, of the name of a service of gRPC, of a host with its port; ranges of statuses.
    private static let mostPathOctets = 1024, mostServiceOctets = 256, mostHostOctets = 260, mostStatuses = 32

    private static func path(_ text: String) -> String? {
        let isVisible = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "#") }
        return text.hasPrefix("/") && text.utf8.count <= mostPathOctets && isVisible ? text : nil
    }

    private static func service(_ text: String) -> String? {
        let isName = text.utf8.allSatisfy { octet in
            (0x30...0x39).contains(octet) || (0x41...0x5a).contains(octet) || (0x61...0x7a).contains(octet)
                || [UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "/")].contains(octet)
        }
        return isName && text.utf8.count <= mostServiceOctets ? text : nil
    }

    private static func host(_ text: String) -> String? {
        let isPlain = text.utf8.allSatisfy { octet in
            (0x30...0x39).contains(octet) || (0x41...0x5a).contains(octet) || (0x61...0x7a).contains(octet)
                || [UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]")]
                    .contains(octet)
        }
        return !text.isEmpty && isPlain && text.utf8.count <= mostHostOctets ? text : nil
    }

    private static func time(_ text: String, _ milliseconds: ClosedRange<Int64>) -> Duration? {
        guard let time = Duration(goText: text), time >= .milliseconds(milliseconds.lowerBound),
            time <= .milliseconds(milliseconds.upperBound)
        else { return nil }
        return time
    }

    private static func threshold(_ text: String) -> Int? {
        Int(text).flatMap { (1...100).contains($0) ? $0 : nil }
    }

    private static func statuses(_ text: String) -> [ClosedRange<Int>]? {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        guard parts.count <= mostStatuses else { return nil }
        var ranges: [ClosedRange<Int>] = []
        for part in parts {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { end in
                Int(String(end.drop { $0 == " " }.prefix { $0 != " " }))
            }
            guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1], first <= last,
                first >= 200, last <= 599
            else { return nil }
            ranges.append(first...last)
        }
        return ranges
    }
}

extension HealthCheckPolicy {
    /// Names and values of its fields, as `portico routes` shows them.
    var lines: [(name: String, value: String)] {
        var lines = [(name: "method", value: method.rawValue)]
        if method == .http {
            let codes = statuses.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
            lines.append((name: "path", value: path))
            lines.append((name: "statuses", value: codes.joined(separator: " ")))
        }
        if method == .grpc, !service.isEmpty { lines.append((name: "service", value: service)) }
        if let authority { lines.append((name: "host", value: authority)) }
        if let port { lines.append((name: "port", value: "\(port)")) }
        return lines + [
            (name: "interval", value: interval.milliseconds), (name: "timeout", value: timeout.milliseconds),
            (name: "jitter", value: jitter.milliseconds), (name: "healthyThreshold", value: "\(healthyThreshold)"),
            (name: "unhealthyThreshold", value: "\(unhealthyThreshold)"),
        ]
    }
}
