internal import Balancing
internal import Manifests

extension RoutingPlan {
    /// The same tree as `renderTree`, for programs; indented by two blanks.
    package func renderJSON() -> String {
        JSONText.array(listeners.map(json)).text(indent: 0) + "\n"
    }

    private func json(_ listener: ListenerPlan) -> JSONText {
        var servers = listener.clearTable.map { [JSONText.object([("hosts", json(tables[$0]))])] } ?? []
        servers += listener.chains.map { chain in
            .object([
                ("serverNames", .array(chain.serverNames.map { .string($0) })),
                ("certificates", .array(chain.certificates.map { .string($0.description) })),
                ("gateway", .string("\(chain.gateway.namespace)/\(chain.gateway.name)")),
                ("hosts", json(tables[chain.table])),
            ])
        }
        return .object([
            ("bind", .string(listener.bind)), ("port", .number(Int(listener.port))),
            ("mesh", .bool(listener.isMesh)), ("servers", .array(servers)),
        ])
    }

    private func json(_ table: RouteTable) -> JSONText {
        .array(table.hostGroups.map { group in
            .object([
                ("names", .array(group.names.map { .string($0) })),
                ("rules", .array(table.ruleSets[group.ruleSet].map(json))),
            ])
        })
    }

    private func json(_ rule: Rule) -> JSONText {
        let route = routes[rule.route]
        var fields: [(String, JSONText)] = [
            ("route", .string(route.name)),
            ("matches", .array(rule.matches.map { .string($0.description) })),
        ]
        if let timeout = route.timeout { fields.append(("timeout", .string(timeout.milliseconds))) }
        if let reason = route.unavailable { fields.append(("unavailable", .string(reason.sentence))) }
        fields.append(("destinations", .array(zip(route.destinations, route.shares).map { json($0, $1) })))
        fields += [
            ("file", .string(route.place.file)), ("line", .number(route.place.line)),
            ("column", .number(route.place.column)),
        ]
        return .object(fields)
    }

    private func json(_ destination: WeightedDestination, _ share: UInt64) -> JSONText {
        let cluster = clusters[destination.cluster]
        var fields: [(String, JSONText)] = [
            ("weight", .number(Int(clamping: share))), ("cluster", .string(cluster.name)),
            ("host", .string(cluster.host)), ("port", .number(cluster.port)), ("subset", .string(cluster.subset)),
            ("protocol", .string(cluster.isHTTP2 ? "HTTP/2" : "HTTP/1.1")),
            ("balancing", .string(cluster.policy.rawValue)),
        ]
        switch cluster.source {
        case .endpoints(let endpoints):
            fields.append(("endpoints", .array(endpoints.map {
                .object([("address", .string("\($0.address)")), ("weight", .number($0.weight))])
            })))
        case .dns(let names):
            fields.append(("dns", .array(names.map {
                .object([("name", .string("\($0.host):\($0.port)")), ("weight", .number($0.weight))])
            })))
        case .unavailable(let reason): fields.append(("unavailable", .string(reason.sentence)))
        }
        return .object(fields)
    }
}

/// A JSON value to be written; fields keep their order.
enum JSONText {
    case string(String), number(Int), bool(Bool)
    case array([JSONText])
    case object([(String, JSONText)])

    func text(indent: Int) -> String {
        switch self {
        case .string(let text): Self.quoted(text)
        case .number(let number): String(number)
        case .bool(let value): value ? "true" : "false"
        case .array(let values): Self.block("[", "]", values.map { $0.text(indent: indent + 2) }, indent)
        case .object(let fields):
            Self.block("{", "}", fields.map { Self.quoted($0.0) + ": " + $0.1.text(indent: indent + 2) }, indent)
        }
    }

    private static func block(_ open: String, _ close: String, _ parts: [String], _ indent: Int) -> String {
        guard !parts.isEmpty else { return open + close }
        let margin = String(repeating: " ", count: indent + 2)
        return open + "\n" + parts.map { margin + $0 }.joined(separator: ",\n") + "\n"
            + String(repeating: " ", count: indent) + close
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
