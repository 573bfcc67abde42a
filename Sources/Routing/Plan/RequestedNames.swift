package import Octets

/// The names that requests and connections may have a destination for: those under the wildcard host of a ServiceEntry
/// with the resolution DYNAMIC_DNS. Source: docs/istio.md, ServiceEntry endpoints.
package struct RequestedNames: Sendable, Hashable {
    /// What each name ends with, in lower case: `.example.com` for `*.example.com`.
    package let suffix: String
    /// The port of the addresses, whatever port a request names.
    package let port: UInt16

    /// - Parameter host: the wildcard, in lower case.
    /// - Returns: nil if the host is no wildcard.
    package init?(host: String, port: UInt16) {
        guard host.hasPrefix("*"), host.utf8.count > 1 else { return nil }
        suffix = String(host.dropFirst())
        self.port = port
    }

    /// The most octets of a name, without a dot at its end. Source: RFC 1035 §2.3.4.
    private static let longestName = 253
    private static let longestLabel = 63

    /// The name in lower case and without a dot at its end, if it may be looked up: if it is a host name (RFC 1123
    /// §2.1, and `_`, which names in use have) under the wildcard. nil otherwise, so also for every IP address.
    package func name(of host: Octets) -> String? {
        var count = host.count
        if count > 0, host[count - 1] == UInt8(ascii: ".") { count -= 1 }
        guard count > suffix.utf8.count, count <= Self.longestName else { return nil }
        var name: [UInt8] = []
        name.reserveCapacity(count)
        var label = 0
        for index in 0..<count {
            let octet = host[index]
            switch octet {
            case UInt8(ascii: "."):
                guard label > 0 else { return nil }
                label = 0
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                label += 1
            default: return nil
            }
            guard label <= Self.longestLabel else { return nil }
            name.append(octet >= UInt8(ascii: "A") && octet <= UInt8(ascii: "Z") ? octet | 0x20 : octet)
        }
        guard label > 0, name.suffix(suffix.utf8.count).elementsEqual(suffix.utf8) else { return nil }
        return String(decoding: name, as: UTF8.self)
    }
}

extension RequestedNames: CustomStringConvertible {
    package var description: String { "*\(suffix)" }
}
