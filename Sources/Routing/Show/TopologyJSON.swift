internal import Manifests
internal import Octets

extension GatewayTopology {
    /// Writes the fields of `topology` of a listener.
    func write(to writer: inout JSONText) {
        writer.field("proxyProtocol", proxyProtocol.rawValue)
        writer.field("proxyProtocolFrom", of: proxyProtocolFrom) { ranges, writer in
            writer.array(ranges) { $1.string($0.description) }
        }
    }
}
