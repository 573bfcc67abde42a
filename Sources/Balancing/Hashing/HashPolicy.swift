/// Requests that are alike in one thing go to the same endpoint.
/// Source: istio/api networking/v1alpha3/destination_rule.proto (ConsistentHashLB).
package struct HashPolicy: Sendable, Hashable {
    /// What distinguishes requests. A request without it is spread at random.
    package var key: Key
    /// How a hash leads to an endpoint.
    package var table: Table

    /// Hashes `key`, and finds the endpoint in `table`.
    package init(key: Key, table: Table) {
        self.key = key
        self.table = table
    }

    /// The part of a request that is hashed.
    package enum Key: Sendable, Hashable {
        /// The value of a header field; its name in lower case.
        case header(String)
        case cookie(Cookie)
        case sourceAddress
        /// The first value of a parameter of the query, as it is written there.
        case queryParameter(String)
    }

    /// A cookie, which the gateway sets where it is absent and has a time to live.
    package struct Cookie: Sendable, Hashable {
        package var name: String
        /// What follows the value in `set-cookie`; nil: the gateway sets no cookie.
        package var setting: String?

        /// Names a cookie, and says what follows its value when the gateway sets it.
        package init(name: String, setting: String?) {
            self.name = name
            self.setting = setting
        }
    }

    /// The structure that maps a hash to an endpoint.
    package enum Table: Sendable, Hashable {
        /// Each endpoint has many points on a ring; a hash belongs to the next point. The ring has at least so many.
        case ring(minimum: Int)
        /// A table of a prime number of places.
        case maglev(size: Int)

        /// Envoy's name of it.
        package var name: String { if case .ring = self { "RING_HASH" } else { "MAGLEV" } }
    }
}
