internal import HTTP
internal import Octets
internal import Reactor
internal import Routing

/// What is believed of the fields of a connection's requests, because a proxy of ours sends them.
struct ClientTrust: BitwiseCopyable {
    /// Proxies that have appended to `x-forwarded-for`; 0: nothing is believed.
    private(set) var hops = 0
    private(set) var certificates = GatewayTopology.CertificateMode.sanitizeSet

    /// Clients themselves, who may say anything.
    static let none = ClientTrust()

    private init() {}

    /// - Parameter peer: whose connection it is.
    init(_ topology: GatewayTopology, of peer: SocketAddress?) {
        guard topology.trustsFields(of: peer?.ipOctets ?? []) else {
            certificates = min(topology.clientCertificate, .sanitizeSet)
            return
        }
        hops = topology.trustedHops
        certificates = topology.clientCertificate
    }

    // MARK: fields

    /// The client's address in `x-forwarded-for`: as many places from the end as there are proxies. nil if the field
    /// has fewer, or no address there.
    /// Source: envoyproxy/envoy source/common/http/utility.cc (getLastAddressFromXFF).
    func client(in block: HeaderBlock) -> Octets? {
        guard hops > 0, block.first(.forwardedFor) != nil else { return nil }
        var count = 0
        for field in block.fields where field.known == .forwardedFor && !field.value.isEmpty {
            count += Self.entries(of: field.value)
        }
        var left = count - hops    // before the one that is looked for
        guard left >= 0 else { return nil }
        for field in block.fields where field.known == .forwardedFor && !field.value.isEmpty {
            let own = Self.entries(of: field.value)
            guard left >= own else { return Self.address(Self.entry(left, of: field.value)) }
            left -= own
        }
        return nil
    }

    private static func entries(of list: Octets) -> Int {
        var count = 1
        for index in 0..<list.count where list[index] == comma { count += 1 }
        return count
    }

    private static func entry(_ number: Int, of list: Octets) -> Octets {
        var rest = list
        for _ in 0..<number { rest = rest.dropFirst((rest.firstIndex(of: comma) ?? rest.count) + 1) }
        return trimmed(rest.prefix(rest.firstIndex(of: comma) ?? rest.count))
    }

    private static let comma = UInt8(ascii: ",")

    private static func address(_ text: Octets) -> Octets? {
        guard !text.isEmpty, text.count <= 45 else { return nil }
        return SocketAddress(host: text.string, port: 0) == nil ? nil : text
    }

    private static func trimmed(_ text: Octets) -> Octets {
        let isBlank: (UInt8?) -> Bool = { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        var rest = text
        while isBlank(rest.first) { rest = rest.dropFirst(1) }
        while rest.count > 0, isBlank(rest[rest.count - 1]) { rest = rest.prefix(rest.count - 1) }
        return rest
    }

    /// How the client came to the first proxy, if that is believed and said once; a text that lives as long as the
    /// process.
    func scheme(in block: HeaderBlock) -> Octets? {
        guard hops > 0, let said = block.first(.forwardedProto) else { return nil }
        var count = 0
        for field in block.fields where field.known == .forwardedProto { count += 1 }
        guard count == 1 else { return nil }
        return said == "https" ? "https" : said == "http" ? "http" : nil
    }

    /// Whether what a request says of certificates is passed on.
    /// - Parameter isVerified: whether the client's own certificate was verified.
    func forwardsCertificates(isVerified: Bool) -> Bool {
        switch certificates {
        case .sanitize, .sanitizeSet: false
        case .forwardOnly, .appendForward: isVerified
        case .alwaysForwardOnly: true
        }
    }

    /// Whether the client's own certificate is passed on.
    var tellsCertificate: Bool { certificates == .sanitizeSet || certificates == .appendForward }
}

// What an exchange's client is, by what is believed of its request.
extension ClientTrust {
    /// The client's address, as the proxies in front say it; nil: the connection's.
    private static func saidClient(of exchange: Exchange) -> Octets? {
        guard let connection = exchange.downstream?.connection, connection({ $0.trust.hops }) > 0,
            let request = exchange.request.unretained
        else { return nil }
        let trust = connection { $0.trust }
        return request { trust.client(in: $0) }
    }

    /// The client's address without port; valid as long as the request and its connection.
    static func host(of exchange: Exchange) -> Octets {
        saidClient(of: exchange) ?? exchange.downstream?.connection { $0.peerHost.octets } ?? .empty
    }

    /// The client's address with its port, which is 0 where proxies in front said the address.
    static func text(of exchange: Exchange) -> String? {
        guard let host = saidClient(of: exchange) else { return exchange.downstream?.connection { $0.peerText } }
        return host.firstIndex(of: UInt8(ascii: ":")) == nil ? "\(host.string):0" : "[\(host.string)]:0"
    }

    /// How the client came: to us, or to the first of the proxies in front. A text that lives as long as the process.
    static func scheme(of exchange: Exchange) -> Octets {
        guard let connection = exchange.downstream?.connection else { return "http" }
        let own = connection { $0.schemeText }
        guard connection({ $0.trust.hops }) > 0, let request = exchange.request.unretained else { return own }
        let trust = connection { $0.trust }
        return request { trust.scheme(in: $0) } ?? own
    }
}
