internal import Admin
internal import Manifests
internal import Octets
internal import Reactor
internal import Telemetry

/// The admin page of what listeners tell of the load balancer in front: what was seen, what it means, what to change.
struct DoctorPage {
    private let entries: [FrontLedger.Entry]

    init(_ entries: [FrontLedger.Entry]) { self.entries = entries }

    /// The page as the caller of the admin interface wants it: JSON, or text for people.
    func render(_ format: AdminFormat) -> String { format == .json ? json : text }

    /// The first line of the text when nothing is wrong.
    static let healthy = "nothing is wrong in front of the gateway, as far as its listeners can see"

    /// Whether a text is such a page, of either form.
    static func isPage(_ text: String) -> Bool {
        text.hasPrefix(healthy) || text.hasPrefix("[") || text.hasPrefix(harm)
    }

    private static let harm = "findings that harm requests: "

    private var text: String {
        let harmful = entries.count { $0.finding.isHarmful }
        let summary =
            harmful == 0
            ? Self.healthy : "\(Self.harm)\(harmful); findings that may be harmless: \(entries.count - harmful)"
        return entries.reduce("\(summary)\n") { $0 + "\n" + Self.text($1) }
    }

    private static func text(_ entry: FrontLedger.Entry) -> String {
        let finding = entry.finding
        var lines = ["\(finding.isHarmful ? "harmful" : "note") \(finding.name): \(finding.sentence)"]
        lines.append("  listener  \(entry.listener)")
        lines.append("  count     \(entry.count), from \(time(entry.first)) to \(time(entry.last))")
        let detail = entry.detail.isEmpty ? "" : " (\(entry.detail))"
        lines.append("  example   \(entry.peer)\(detail)")
        if let silence = silence(entry) { lines.append("  silence   \(silence)") }
        lines.append("  means     \(finding.effect)")
        lines += finding.fixes.map { "  change    \($0.balancer): \($0.text)" }
        return lines.map { $0.printable + "\n" }.joined()
    }

    private static func silence(_ entry: FrontLedger.Entry) -> String? {
        guard entry.finding.hasSilence else { return nil }
        guard let typical = entry.silences.typical else { return "of different lengths: no idle timeout is to be seen" }
        return "mostly \(typical) s before the end, as an idle timeout makes it"
    }

    private static func time(_ time: WallTime) -> String {
        let buffer = OctetBuffer(capacity: 32)
        TimeFormat.write("%FT%TZ", seconds: time.seconds, nanoseconds: 0, to: buffer)
        return buffer.octets.string
    }

    private var json: String {
        var json = JSONText()
        json.array(entries) { entry, json in
            json.object { json in
                json.field("finding", entry.finding.name)
                json.field("listener", entry.listener)
                json.field("harmful", entry.finding.isHarmful)
                json.field("count", Int(clamping: entry.count))
                json.field("first", Self.time(entry.first))
                json.field("last", Self.time(entry.last))
                json.field("peer", entry.peer)
                json.field("detail", entry.detail.isEmpty ? nil : entry.detail)
                json.field("silenceSeconds", entry.silences.typical.map { Int($0) })
                json.field("seen", entry.finding.sentence)
                json.field("means", entry.finding.effect)
                json.field("change", of: entry.finding.fixes) { fixes, json in
                    json.array(fixes) { fix, json in
                        json.object { json in
                            json.field("balancer", fix.balancer)
                            json.field("text", fix.text)
                        }
                    }
                }
            }
        }
        return json.text
    }
}
