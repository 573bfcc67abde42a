import Manifests
import Support

/// Objects that change by chance, one or a few at a time, as those of a cluster do: each has a place of its own, and
/// the last one takes the place of one that is gone. For tests that compare a plan of everything with one that was
/// made of an earlier one.
struct ChangingWorld {
    private(set) var texts: [(name: String, text: String)] = []
    var random: FixedRandom

    init(seed: UInt64) {
        random = FixedRandom(state: seed)
        for name in Self.names where chance(9, of: 10) { texts.append((name, text(name))) }
    }

    private static let names =
        (0..<3).map { "gateway-\($0)" } + (0..<14).map { "rules-\($0)" } + (0..<4).map { "policy-\($0)" }
        + (0..<5).map { "service-\($0)" } + (0..<5).map { "slice-\($0)" } + (0..<3).map { "entry-\($0)" }
        + (0..<2).map { "workload-\($0)" } + (0..<3).map { "pod-\($0)" } + (0..<3).map { "secret-\($0)" }
        + (0..<2).map { "node-\($0)" } + ["access-0"]

    /// Changes, adds or removes one object; most often the rules of one. - Returns: its name.
    mutating func change() -> String {
        let name = chance(4, of: 5) ? "rules-\(pick(14))" : Self.names[pick(Self.names.count)]
        guard let place = texts.firstIndex(where: { $0.name == name }) else {
            texts.append((name, text(name)))
            return name
        }
        if chance(1, of: 8) {
            texts.swapAt(place, texts.count - 1)
            texts.removeLast()
        } else {
            texts[place].text = text(name)
        }
        return name
    }

    /// What a load reads.
    var set: ManifestSet {
        ManifestReader.load(sources: texts.map { ("\($0.name).yaml", Array($0.text.utf8)) }, defaultNamespace: "gwns")
    }

    // MARK: chance

    private mutating func pick(_ count: Int) -> Int { Int.random(in: 0..<count, using: &random) }
    private mutating func chance(_ part: Int, of whole: Int) -> Bool { pick(whole) < part }
    private mutating func one(_ all: [String]) -> String { all[pick(all.count)] }
    private mutating func some(_ all: [String], _ most: Int) -> String {
        let count = 1 + pick(most)
        return "[" + (0..<count).map { _ in one(all) }.joined(separator: ", ") + "]"
    }

    private mutating func distinct(_ all: [String], _ most: Int) -> String {
        "[" + all.shuffled(using: &random).prefix(1 + pick(most)).joined(separator: ", ") + "]"
    }

    // MARK: objects

    private mutating func text(_ name: String) -> String {
        let parts = name.split(separator: "-")
        let number = Int(parts[1]) ?? 0
        return switch parts[0] {
        case "gateway": gateway(number)
        case "rules": rules(number)
        case "policy": policy(number)
        case "service": service(number)
        case "slice": slice(number)
        case "entry": entry(number)
        case "workload": workload(number)
        case "pod": pod(number)
        case "secret": secret(number)
        case "node": node(number)
        default: access()
        }
    }

    private func object(_ version: String, _ kind: String, _ meta: String, _ rest: String) -> String {
        "apiVersion: \(version)\nkind: \(kind)\nmetadata: {\(meta)}\n\(rest)\n"
    }

    private static let hosts = [
        "a.com", "b.com", "c.a.com", "d.com", "'*.e.com'", "f.e.test", "s1.app.svc.cluster.local", "x0.test",
    ]

    private mutating func gateway(_ number: Int) -> String {
        let ports = (0...pick(3)).map { place in server(place) }.joined(separator: ", ")
        let selector = chance(1, of: 8) ? "{istio: other}" : "{istio: ingressgateway}"
        return object(
            "networking.istio.io/v1", "Gateway", "name: g\(number), namespace: \(number == 2 ? "app" : "gwns")",
            "spec: {selector: \(selector), servers: [\(ports)]}")
    }

    private mutating func server(_ place: Int) -> String {
        let hosts = chance(1, of: 2) ? "['*']" : distinct(Self.hosts + ["./g.com", "app/h.com"], 3)
        let number = 80 + pick(2)
        switch pick(8) {
        case 0:
            return "{port: {number: \(443 + place), name: s\(place), protocol: HTTPS}, hosts: \(hosts), "
                + "tls: {mode: SIMPLE, credentialName: tls}}"
        case 1:
            return
                "{port: {number: \(443 + place), name: p\(place), protocol: TLS}, hosts: \(hosts), "
                + "tls: {mode: PASSTHROUGH}}"
        case 2: return "{port: {number: \(9000 + place), name: t\(place), protocol: TCP}, hosts: ['*']}"
        case 3:
            return "{port: {number: \(80 + pick(2)), name: r\(place), protocol: HTTP}, hosts: \(hosts), "
                + "tls: {httpsRedirect: true}}"
        default: return "{port: {number: \(number), name: h\(place), protocol: HTTP}, hosts: \(hosts)}"
        }
    }

    private mutating func rules(_ number: Int) -> String {
        let isDelegate = number < 3
        let wanted = chance(1, of: 6) ? "['*']" : distinct(Self.hosts + (chance(1, of: 4) ? ["s0"] : []), 3)
        let hosts = isDelegate ? "" : "hosts: \(wanted), "
        let named = ["gwns/g0", "gwns/g1", "app/g2", "gwns/none"] + (wanted.contains("*") ? [] : ["mesh"])
        let gateways = isDelegate || chance(1, of: 10) ? "" : "gateways: \(distinct(named, 2)), "
        let exported = chance(1, of: 6) ? "exportTo: \(distinct(["'.'", "gwns", "other"], 2)), " : ""
        let http = (0...pick(4)).map { _ in rule(mayDelegate: !isDelegate) }.joined(separator: ", ")
        var more = ""
        if !isDelegate, wanted.contains("*") || wanted.contains("a.com"), chance(1, of: 2) {
            more += ", tls: [{match: [{sniHosts: [a.com]}], route: [\(destination())]}]"
        }
        if !isDelegate, chance(1, of: 8) { more += ", tcp: [{route: [\(destination())]}]" }
        let created = chance(1, of: 4) ? ", creationTimestamp: '20\(10 + pick(5))-01-01T00:00:00Z'" : ""
        let broken = chance(1, of: 25) ? ", hosts: 7" : ""
        return object(
            "networking.istio.io/v1", "VirtualService", "name: v\(number), namespace: app\(created)",
            "spec: {\(hosts)\(gateways)\(exported)http: [\(http)]\(more)\(broken)}")
    }

    private mutating func rule(mayDelegate: Bool) -> String {
        var parts: [String] = []
        if chance(7, of: 8) { parts.append("match: [\((0...pick(2)).map { _ in match() }.joined(separator: ", "))]") }
        if chance(1, of: 5) { parts.append("name: n\(pick(3))") }
        if chance(1, of: 5) { parts.append("timeout: \(1 + pick(3))s") }
        if chance(1, of: 8) { parts.append("retries: {attempts: \(pick(3))}") }
        if chance(1, of: 8) { parts.append("headers: {request: {set: {x-a: '\(pick(3))'}}}") }
        if chance(1, of: 8) { parts.append("mirror: {host: s\(pick(6)).app.svc.cluster.local}") }
        switch pick(9) {
        case 0 where mayDelegate: parts.append("delegate: {name: v\(pick(5)), namespace: app}")
        case 1: parts.append("redirect: {uri: /r\(pick(3))}")
        case 2: parts.append("directResponse: {status: \(200 + pick(3))}")
        case 3: parts += ["rewrite: {uri: /n\(pick(2))}", "route: [\(destination())]"]
        default: parts.append("route: [\((0...pick(2)).map { _ in destination() }.joined(separator: ", "))]")
        }
        return "{\(parts.joined(separator: ", "))}"
    }

    private mutating func match() -> String {
        switch pick(40) {
        case 0...12: "{uri: {exact: /e\(pick(300))}}"
        case 13...25: "{uri: {prefix: /p\(pick(300))/}, ignoreUriCase: \(chance(1, of: 2))}"
        case 26...30: "{uri: {regex: '/r[0-\(pick(9))]+'}}"
        case 31: "{port: \(80 + pick(3))}"
        case 32: "{gateways: \(some(["gwns/g0", "gwns/g1", "app/g2", "mesh"], 2))}"
        case 33...36: "{headers: {x-h: {exact: '\(pick(2))'}}, uri: {prefix: /}}"
        case 37: "{sourceNamespace: \(one(["gwns", "app"]))}"
        case 38: "{method: {exact: \(one(["GET", "POST"]))}, statPrefix: p\(pick(2))}"
        default: "{headers: {'@request.auth.claims.a': {exact: '1'}}}"
        }
    }

    private mutating func destination() -> String {
        let host = one([
            "s0", "s1", "s2", "s3.app.svc.cluster.local", "s4", "x0.test", chance(1, of: 12) ? "none" : "s0",
        ])
        let subset = chance(1, of: 20) ? ", subset: v\(pick(3))" : ""
        let port = ", port: {number: \(chance(1, of: 20) ? 9 : 80)}"
        return "{destination: {host: \(host)\(subset)\(port)}, weight: \(1 + pick(4))}"
    }

    private mutating func policy(_ number: Int) -> String {
        let subsets = (0..<pick(3)).map { "{name: v\($0), labels: {version: v\(pick(3))}}" }.joined(separator: ", ")
        let block = one([
            "loadBalancer: {simple: ROUND_ROBIN}", "tls: {mode: SIMPLE}", "outlierDetection: {}",
            "connectionPool: {http: {http2MaxRequests: \(1 + pick(3))}}", "tls: {mode: SIMPLE, credentialName: up}",
            "loadBalancer: {zoneAwareLbSetting: {enabled: true}}",
            "loadBalancer: {localityLbSetting: {failover: [{from: west, to: east}]}}, outlierDetection: {}",
        ])
        let host = one(["s0", "s1", "s2.app.svc.cluster.local", "'*.svc.cluster.local'", "x0.test", "none"])
        let exported = chance(1, of: 5) ? ", exportTo: ['.']" : ""
        return object(
            "networking.istio.io/v1", "DestinationRule", "name: d\(number), namespace: \(one(["app", "gwns"]))",
            "spec: {host: \(host)\(exported), trafficPolicy: {\(block)}, subsets: [\(subsets)]}")
    }

    private mutating func service(_ number: Int) -> String {
        let second = chance(1, of: 3) ? ", {name: grpc-b, port: 8080}" : ""
        let name = one(["http", "grpc", "https"])
        let annotations = [
            "", ", annotations: {networking.istio.io/exportTo: '.'}",
            ", annotations: {portico.dev/health-check: http, portico.dev/health-check-path: /h}",
            ", annotations: {portico.dev/health-check: nothing}",
        ][chance(1, of: 3) ? pick(4) : 0]
        let external = chance(1, of: 8) ? "type: ExternalName, externalName: \(one(["x0.test", "s1", "y.test"])), " : ""
        return object(
            "v1", "Service", "name: s\(number), namespace: app\(annotations)",
            "spec: {\(external)selector: {app: s\(number)}, ports: [{name: \(name), port: 80}\(second)]}")
    }

    private mutating func slice(_ number: Int) -> String {
        let addresses = ["10.0.\(number).1", "10.0.\(number).2", "169.254.169.254"]
        let ready = (0..<pick(3)).map {
            "{addresses: [\(chance(1, of: 10) ? addresses[2] : addresses[$0])], conditions: {ready: true}, "
                + "targetRef: {kind: Pod, name: p\($0), namespace: app}, nodeName: n\(pick(2))}"
        }
        let service = chance(1, of: 6) ? "s9" : "s\(number)"
        return object(
            "discovery.k8s.io/v1", "EndpointSlice",
            "name: e\(number), namespace: app, labels: {kubernetes.io/service-name: \(service)}",
            "addressType: IPv4\nports: [{name: http, port: 80}, {name: grpc, port: 81}]\n"
                + "endpoints: [\(ready.joined(separator: ", "))]")
    }

    private mutating func entry(_ number: Int) -> String {
        let resolution = one(["STATIC", "DNS", "NONE", "STATIC"])
        let endpoints =
            chance(1, of: 2) ? "endpoints: [{address: 10.1.0.\(pick(3))}]" : "workloadSelector: {labels: {app: w}}"
        return object(
            "networking.istio.io/v1", "ServiceEntry", "name: x\(number), namespace: app",
            "spec: {hosts: [x\(number).test], resolution: \(resolution), location: MESH_EXTERNAL, "
                + "ports: [{number: 80, name: http, protocol: \(one(["HTTP", "GRPC", "TLS"]))}], \(endpoints)}")
    }

    private mutating func workload(_ number: Int) -> String {
        object(
            "networking.istio.io/v1", "WorkloadEntry", "name: w\(number), namespace: app",
            "spec: {address: 10.2.0.\(pick(3)), labels: {app: \(one(["w", "z"])), version: v\(pick(2))}}")
    }

    private mutating func pod(_ number: Int) -> String {
        object(
            "v1", "Pod",
            "name: p\(number), namespace: app, labels: {app: \(one(["s0", "s1", "w"])), version: v\(pick(3))}",
            "status: {phase: Running, podIP: 10.3.0.\(number), conditions: [{type: Ready, status: \"True\"}]}")
    }

    private mutating func secret(_ number: Int) -> String {
        object(
            "v1", "Secret", "name: \(["tls", "up", "up-cacert"][number]), namespace: gwns",
            "data: {tls.crt: YQ==, tls.key: YQ==, ca.crt: \(one(["YQ==", "Yg=="]))}")
    }

    private mutating func node(_ number: Int) -> String {
        let region = one(["west", "east"])
        return object(
            "v1", "Node",
            "name: n\(number), labels: {topology.kubernetes.io/region: \(region), "
                + "topology.kubernetes.io/zone: \(region)-\(pick(2))}", "")
    }

    private mutating func access() -> String {
        object(
            "security.istio.io/v1", "AuthorizationPolicy", "name: access, namespace: gwns",
            "spec: {selector: {matchLabels: {istio: \(one(["ingressgateway", "other", "other"]))}}}")
    }
}
