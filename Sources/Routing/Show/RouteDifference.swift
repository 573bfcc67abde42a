package import Manifests

/// How the routes in effect of two configurations differ.
package struct RouteDifference: Sendable {
    /// What a line says of both trees.
    package enum Mark: String, Sendable {
        /// In both; it is there because something below it differs.
        case kept
        case added
        case removed
        /// The rules of a host come in another order, and the first one that fits counts.
        case reordered

        fileprivate var sign: String {
            switch self {
            case .kept: " "
            case .added: "+"
            case .removed: "-"
            case .reordered: "~"
            }
        }
    }

    private struct Line {
        let mark: Mark
        let depth: Int
        let text: String
    }

    private var lines: [Line] = []

    /// Whether both do the same with every request.
    package var isEmpty: Bool { lines.isEmpty }

    /// Compares.
    /// - Parameters:
    ///   - old: a plan and the endpoints of its clusters.
    ///   - new: another one.
    ///   - comparesEndpoints: whether other endpoints are a difference; they change with each pod.
    package init(
        old: (plan: RoutingPlan, endpoints: EndpointTable), new: (plan: RoutingPlan, endpoints: EndpointTable),
        comparesEndpoints: Bool
    ) {
        let trees = [old, new].map { side in
            RouteNode.tree(of: side.plan, EndpointReader(side.endpoints), withEndpoints: comparesEndpoints)
        }
        lines = Self.lines(trees[0], trees[1], depth: 0)
    }

    /// How much of the difference is shown as added, removed, reordered or kept, in lines.
    package func count(_ mark: Mark) -> Int { lines.count { $0.mark == mark } }

    /// The lines, each behind its sign: `+`, `-`, `~`, or a space.
    package var text: String {
        lines.map { line in
            "\(line.mark.sign) \(String(repeating: "  ", count: line.depth))\(line.text.printable)\n"
        }.joined()
    }

    /// Writes an array of objects: what was added, removed or reordered, and the parts that it is in.
    package func write(to writer: inout JSONText) {
        var path: [String] = []
        let marked = lines.compactMap { line -> (line: Line, within: [String])? in
            path.removeLast(max(0, path.count - line.depth))
            defer { path.append(line.text) }
            return line.mark == .kept ? nil : (line, path)
        }
        writer.array(marked) { each, writer in
            writer.object {
                $0.field("change", each.line.mark.rawValue)
                $0.field("within", of: each.within) { $1.array($0) { $1.string($0.printable) } }
                $0.field("line", each.line.text.printable)
            }
        }
    }
}

// MARK: comparing

extension RouteDifference {
    private static func lines(_ old: [RouteNode], _ new: [RouteNode], depth: Int) -> [Line] {
        let partners = partners(old, new)
        let matched = Set(partners.compactMap(\.self))
        var lines = old.indices.filter { !matched.contains($0) }.flatMap { whole(old[$0], .removed, depth) }
        for (node, partner) in zip(new, partners) {
            guard let partner else {
                lines += whole(node, .added, depth)
                continue
            }
            let below = self.lines(old[partner].children, node.children, depth: depth + 1)
            if old[partner].comparedText != node.comparedText {
                lines.append(Line(mark: .removed, depth: depth, text: old[partner].text))
                lines.append(Line(mark: .added, depth: depth, text: node.text))
            } else if !below.isEmpty {
                lines.append(Line(mark: .kept, depth: depth, text: node.text))
            }
            lines += below
        }
        return lines + reordered(new, partners, depth)
    }

    /// For each new node the place of the old one that it is the same part as; nil: it is new. No place occurs twice.
    private static func partners(_ old: [RouteNode], _ new: [RouteNode]) -> [Int?] {
        var partners: [Int?] = Array(repeating: nil, count: new.count)
        var taken = Array(repeating: false, count: old.count)
        let most = max(old.map(\.names.count).max() ?? 0, new.map(\.names.count).max() ?? 0)
        for index in 0..<most {
            var places: [String: [Int]] = [:]    // the first one last
            for place in old.indices.reversed() where !taken[place] && index < old[place].names.count {
                places[old[place].names[index], default: []].append(place)
            }
            for number in new.indices where partners[number] == nil && index < new[number].names.count {
                guard let place = places[new[number].names[index]]?.popLast() else { continue }
                partners[number] = place
                taken[place] = true
            }
        }
        return partners
    }

    private static func whole(_ node: RouteNode, _ mark: Mark, _ depth: Int) -> [Line] {
        [Line(mark: mark, depth: depth, text: node.text)] + node.children.flatMap { whole($0, mark, depth + 1) }
    }

    /// Rules that are in both, and come in another order.
    private static func reordered(_ new: [RouteNode], _ partners: [Int?], _ depth: Int) -> [Line] {
        let kept = zip(new, partners).filter { $0.0.isRule && $0.1 != nil }
        let places = kept.compactMap(\.1)
        guard zip(places, places.dropFirst()).contains(where: >) else { return [] }
        let names = kept.map(\.0.text).joined(separator: ", then ")
        return [Line(mark: .reordered, depth: depth, text: "the order of its rules is now: \(names)")]
    }
}

/// A line of the tree of routes with those below it.
private struct RouteNode {
    let text: String
    /// By which it is found in another tree, the most exact name first.
    let names: [String]
    var children: [RouteNode] = []

    var isRule: Bool { text.hasPrefix("rule ") }

    /// The text, without the place in its list by which a rule is called that has no name: a rule before it moves it.
    var comparedText: String {
        guard isRule, let slash = text.lastIndex(of: "/") else { return text }
        let rest = text[text.index(after: slash)...]
        let number = rest.prefix { $0.isNumber }
        guard !number.isEmpty, number.endIndex == rest.endIndex || rest[number.endIndex] == "," else { return text }
        return String(text[..<slash] + rest[number.endIndex...])
    }

    /// The lines of `portico routes`, each below the one that it belongs to.
    static func tree(of plan: RoutingPlan, _ endpoints: EndpointReader, withEndpoints: Bool) -> [RouteNode] {
        var open = [RouteNode(text: "", names: [])]    // the root, and below it the last node of each depth
        RouteWalk(plan, endpoints).walk { line in
            if case .endpoint = line.role, !withEndpoints { return }
            while open.count > line.depth + 1, let node = open.popLast() { open[open.count - 1].children.append(node) }
            var names = [line.text]
            if case .part(let given) = line.role { names = given }
            open.append(RouteNode(text: line.text, names: names))
        }
        while open.count > 1, let node = open.popLast() { open[open.count - 1].children.append(node) }
        return open[0].children
    }
}
