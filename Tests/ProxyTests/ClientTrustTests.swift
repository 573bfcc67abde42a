import HTTP
import Octets
import Reactor
import Routing
import Testing

@testable import Proxy

/// Source: envoyproxy/envoy source/common/http/utility.cc (getLastAddressFromXFF).
@Suite struct `What is believed of a request` {
    private func trust(
        _ hops: Int, from networks: [String]? = nil, _ mode: GatewayTopology.CertificateMode = .sanitizeSet
    ) -> ClientTrust {
        var topology = GatewayTopology()
        topology.trustedHops = hops
        topology.clientCertificate = mode
        topology.trustedHopsFrom = networks.flatMap { TopologyTerms.networks($0).networks }
        return ClientTrust(topology, of: SocketAddress(host: "10.0.0.9", port: 5))
    }

    private func block(_ fields: [(String, String)]) -> HeaderBlock {
        let block = HeaderBlock()
        for (name, value) in fields {
            unsafe Array(name.utf8).withUnsafeBytes { name in
                unsafe Array(value.utf8).withUnsafeBytes { unsafe block.append(copying: Octets(name), Octets($0)) }
            }
        }
        return block
    }

    private func addresses(_ values: String...) -> HeaderBlock { block(values.map { ("x-forwarded-for", $0) }) }

    @Test(
        arguments: [
            (0, "1.1.1.1", nil), (1, "1.1.1.1", "1.1.1.1"), (2, "1.1.1.1", nil), (1, "", nil), (1, ",", nil),
            (2, "1.1.1.1, 2.2.2.2, 3.3.3.3", "2.2.2.2"), (3, "1.1.1.1, 2.2.2.2, 3.3.3.3", "1.1.1.1"),
            (4, "1.1.1.1, 2.2.2.2, 3.3.3.3", nil), (1, "x", nil), (1, "1.1.1.1:80", nil),
            (2, "2001:db8::1 ,x", "2001:db8::1"),
            (100, "1.1.1.1", nil), (1, "1.1.1.1,", nil), (2, "1.1.1.1,", "1.1.1.1"), (1, "1.1.1.1\u{0}", nil),
        ] as [(Int, String, String?)])
    func `is the address as many places from the end as there are proxies`(hops: Int, value: String, found: String?) {
        let fields = addresses(value)
        withExtendedLifetime(fields) { #expect(trust(hops).client(in: fields)?.string == found) }
    }

    @Test func `is counted over all fields`() {
        let several = addresses("1.1.1.1,2.2.2.2", "", "3.3.3.3", "4.4.4.4 , 5.5.5.5")
        let all = ["5.5.5.5", "4.4.4.4", "3.3.3.3", "2.2.2.2", "1.1.1.1", nil]
        for (index, address) in all.enumerated() {
            withExtendedLifetime(several) { #expect(trust(index + 1).client(in: several)?.string == address) }
        }
    }

    @Test func `is nothing of a peer that is no proxy`() {
        let fields = block([("x-forwarded-for", "1.1.1.1"), ("x-forwarded-proto", "https")])
        #expect(trust(1, from: ["10.0.0.0/24"]).client(in: fields)?.string == "1.1.1.1")
        let stranger = trust(1, from: ["10.0.1.0/24"], .alwaysForwardOnly)
        #expect(stranger.client(in: fields) == nil && stranger.scheme(in: fields) == nil)
        #expect(!stranger.forwardsCertificates(isVerified: true) && stranger.tellsCertificate)
        #expect(!trust(0, from: ["10.0.1.0/24"], .sanitize).tellsCertificate)
    }

    @Test(
        arguments: [
            (["https"], "https"), (["http"], "http"), (["HTTPS"], nil), (["ws"], nil), (["https", "https"], nil),
            ([""], nil),
            ([], nil), (["https,http"], nil),
        ] as [([String], String?)])
    func `is one scheme`(values: [String], scheme: String?) {
        let fields = block(values.map { ("x-forwarded-proto", $0) })
        #expect(trust(1).scheme(in: fields)?.string == scheme)
        #expect(trust(0).scheme(in: fields) == nil)
    }

    @Test(
        arguments: [
            (.sanitize, false, nil), (.sanitize, true, nil), (.sanitizeSet, false, nil),
            (.sanitizeSet, true, "Hash=own"),
            (.forwardOnly, false, nil), (.forwardOnly, true, "Hash=a,Hash=b"), (.appendForward, false, nil),
            (.appendForward, true, "Hash=a,Hash=b,Hash=own"), (.alwaysForwardOnly, false, "Hash=a,Hash=b"),
            (.alwaysForwardOnly, true, "Hash=a,Hash=b"),
        ] as [(GatewayTopology.CertificateMode, Bool, String?)])
    func `is a certificate in some modes`(mode: GatewayTopology.CertificateMode, isVerified: Bool, value: String?) {
        let fields = block([
            ("x-forwarded-client-cert", "Hash=a"), ("a", "b"), ("x-forwarded-client-cert", "Hash=b"),
        ])
        ForwardedFields(
            peer: "10.0.0.9", scheme: "http", requestID: "i", isGRPC: false, timeLeft: nil,
            certificate: isVerified ? "Hash=own" : nil, client: "1.1.1.1", trust: trust(0, mode)
        ).write(to: fields, pools: MessagePools())
        #expect(fields.first(.forwardedClientCert)?.string == value)
        #expect(fields.first(named: "x-envoy-external-address") == "1.1.1.1")
        #expect(fields.fields.count { $0.known == .forwardedClientCert } == (value == nil ? 0 : 1))
    }
}
