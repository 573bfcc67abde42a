internal import Manifests

/// What the annotations of Gateways set for their ports. Istio has no field for it.
package struct GatewayAnnotations {
    /// The annotation for the number of streams that a client may have open at once on a connection.
    static let concurrentStreamsName = "portico.dev/max-concurrent-streams"
    /// The numbers that the annotation and the flag may have.
    package static let concurrentStreams: ClosedRange<UInt32> = 1...1_000_000

    private var streams: [String: UInt32] = [:]    // by Gateway, as namespace/name

    /// Reads the annotations. Reports a value that is not a number in range; the limit of the process is then in
    /// effect.
    init(_ gateways: [Gateway], _ problems: Problems) {
        for gateway in gateways {
            guard let text = gateway.meta.annotations[Self.concurrentStreamsName] else { continue }
            if let number = UInt32(text), Self.concurrentStreams.contains(number) {
                streams["\(gateway.meta.namespace)/\(gateway.meta.name)"] = number
            } else {
                problems.add(
                    Diagnostic(
                        .error, "invalid-annotation",
                        "`\(Self.concurrentStreamsName): \(text)` is no number from 1 to 1000000: "
                            + "--max-concurrent-streams holds for its ports",
                        hint: "write it as a text, such as \"250\"", at: gateway.meta.place,
                        object: gateway.meta.identity, path: "metadata.annotations"))
            }
        }
    }

    /// The smallest number that a Gateway of this port asks for; nil if none does.
    func concurrentStreams(of port: ServerMerger.Port) -> UInt32? {
        (port.clear + port.encrypted).compactMap { streams[$0.key] }.min()
    }
}
