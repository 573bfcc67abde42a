package import Octets

/// A complete answer of the server, but for the lines of a watch.
package struct APIAnswer: Sendable, Equatable {
    /// The HTTP status.
    package let status: Int
    /// Seconds of `Retry-After`.
    package let retryAfter: Int?
    package let body: [UInt8]

    package init(status: Int, retryAfter: Int? = nil, body: [UInt8] = []) {
        self.status = status
        self.retryAfter = retryAfter
        self.body = body
    }
}

/// Why a request has no complete answer.
package enum CallFailure: Error, Sendable, Equatable {
    /// The connection ended. The next request waits until there is another one.
    case connectionLost(String)
    /// The server, or this side, ended the stream alone.
    case streamEnded(String)
    /// The answer did not come in time.
    case timedOut
    /// The answer, or a line of it, is above a limit.
    case tooLarge
}

/// What may happen to a watch, which answers each with actions.
package enum WatchInput: Sendable {
    case begin
    /// To `get`; or to `watch` when the status is not 200.
    case answer(APIAnswer)
    /// The answer to `watch` has begun, with status 200.
    case opened
    /// A line of a watch, without its end.
    case line([UInt8])
    /// In the place of the last two where the request is confidential; an answer has status 200.
    case secretAnswer(SecretOctets)
    case secretLine(SecretOctets)
    /// The watch has come to its end as HTTP has it, behind a complete line.
    case ended
    case failed(CallFailure)
    /// The wait is over.
    case timer
    /// No connection can be made; requests wait for one.
    case unreachable(reason: String)
    /// What the sink has is not all that there is, though the watch goes on.
    case listAgain
}

/// What a watch wants to be done. It has one request or one wait in hand at a time.
package enum WatchAction: Sendable, Equatable {
    /// - `isSecret`: no copy of the answer is left behind.
    case get(path: String, accept: String, isSecret: Bool = false)
    /// - `silence`: milliseconds without an octet after which it fails with `timedOut`.
    case watch(path: String, accept: String, silence: Int, isSecret: Bool = false)
    /// Changes the `silence` of the watch in hand.
    case allow(silence: Int)
    /// Drops the request in hand: nothing more comes of it.
    case abandon
    /// `timer` comes after so many milliseconds.
    case wait(milliseconds: Int)
    case deliver(ResourceEvent)
    /// The server does not take the credentials: read or make them anew before the next request.
    case renewCredentials
    /// A message for people.
    case note(String)
    case reached(ClusterLimit)
}

/// Paths of the API. Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#standard-api-terminology.
enum ResourcePath {
    /// The path under which a group says its versions.
    static func group(_ group: String) -> String { "/apis/\(group)" }

    /// The path under which a version of a group says its kinds.
    static func version(_ kind: ResourceKind, _ version: String) -> String {
        kind.group.isEmpty ? "/api/\(version)" : "/apis/\(kind.group)/\(version)"
    }

    /// - Parameter query: names and values, which are escaped here.
    static func objects(
        _ kind: ResourceKind, _ version: String, namespace: String?, name: String? = nil,
        query: [(String, String)] = []
    ) -> String {
        var path = self.version(kind, version)
        if let namespace, !kind.isClusterWide { path += "/namespaces/\(escaped(namespace))" }
        path += "/\(kind.plural)"
        if let name { path += "/\(escaped(name))" }
        let pairs = query.map { "\($0.0)=\(escaped($0.1))" }
        return pairs.isEmpty ? path : path + "?" + pairs.joined(separator: "&")
    }

    /// Escapes what is not unreserved. Source: RFC 3986 §2.3.
    static func escaped(_ text: String) -> String {
        var octets: [UInt8] = []
        for octet in text.utf8 {
            switch octet {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                octets.append(octet)
            default:
                let digits = Array("0123456789ABCDEF".utf8)
                octets += [UInt8(ascii: "%"), digits[Int(octet >> 4)], digits[Int(octet & 15)]]
            }
        }
        return String(decoding: octets, as: UTF8.self)
    }
}

/// The forms in which objects are asked for.
/// Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources.
enum AcceptedForm {
    /// Whole objects, one document.
    static let json = "application/json"

    /// The `accept` field of a list.
    static func list(_ kind: ResourceKind) -> String {
        kind.isMetadataOnly ? metadata("PartialObjectMetadataList") : json
    }

    /// The `accept` field of a watch or of one object.
    static func object(_ kind: ResourceKind) -> String {
        kind.isMetadataOnly ? metadata("PartialObjectMetadata") : json
    }

    /// A server that has no such form sends whole objects, which can be read as well.
    private static func metadata(_ form: String) -> String { "\(json);as=\(form);g=meta.k8s.io;v=v1,\(json)" }
}
