internal import JSON
internal import Octets

/// Leases as JSON. Their times have six digits behind the second.
/// Source: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/lease-v1/.
struct LeaseText {
    private(set) var resourceVersion = ""
    private(set) var holder = ""
    private(set) var renewTime = ""
    private(set) var acquireTime = ""
    private(set) var seconds = 0
    private(set) var transitions = 0

    /// Takes from an answer of the API server what the election needs; the rest is passed over. A field that is missing
    /// or null stays empty or 0, as the API leaves them out.
    /// - Throws: where the text is no JSON, or a field has another type.
    static func read(_ octets: [UInt8]) throws(JSONError) -> LeaseText {
        try JSONReader.read(octets) { (reader) throws(JSONError) in
            var lease = LeaseText()
            try reader.fields { (name, reader) throws(JSONError) in
                if reader.equals(name, "metadata") {
                    try reader.fields { (name, reader) throws(JSONError) in
                        guard reader.equals(name, "resourceVersion") else { return }
                        lease.resourceVersion = try reader.text() ?? ""
                    }
                } else if reader.equals(name, "spec") {
                    try reader.fields { (name, reader) throws(JSONError) in try lease.take(name, &reader) }
                }
            }
            try reader.finish()
            return lease
        }
    }

    private mutating func take(_ name: JSONString, _ reader: inout JSONReader) throws(JSONError) {
        if reader.equals(name, "holderIdentity") {
            holder = try reader.text() ?? ""
        } else if reader.equals(name, "renewTime") {
            renewTime = try reader.text() ?? ""
        } else if reader.equals(name, "acquireTime") {
            acquireTime = try reader.text() ?? ""
        } else if reader.equals(name, "leaseDurationSeconds") {
            seconds = try reader.integer() ?? 0
        } else if reader.equals(name, "leaseTransitions") {
            transitions = try reader.integer() ?? 0
        }
    }

    /// Writes a Lease.
    /// - Parameter resourceVersion: empty for one that does not exist yet.
    static func lease(
        _ name: LeaseName, resourceVersion: String, holder: String, seconds: Int, acquired: String, renewed: String,
        transitions: Int
    ) -> String {
        let quoted = JSONQuotes.quoted
        let version = resourceVersion.isEmpty ? "" : #","resourceVersion":\#(quoted(resourceVersion))"#
        return
            #"{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":\#(quoted(name.name)),"#
            + #""namespace":\#(quoted(name.namespace))\#(version)},"spec":{"holderIdentity":\#(quoted(holder)),"#
            + #""leaseDurationSeconds":\#(seconds),"acquireTime":\#(quoted(acquired)),"#
            + #""renewTime":\#(quoted(renewed)),"leaseTransitions":\#(transitions)}}"#
    }

    /// For example 2026-11-27T00:20:03.250000Z.
    static func time(_ milliseconds: Int64) -> String {
        let text = OctetBuffer(capacity: 64)
        TimeFormat.write("%FT%T", seconds: Int(clamping: milliseconds / 1000), nanoseconds: 0, to: text)
        let digits = String(1000 + milliseconds % 1000).dropFirst()
        return "\(text.octets.string).\(digits)000Z"
    }
}
