internal import HTTP
internal import Octets
package import Reactor

/// Watches the objects of a cluster, on a thread of its own.
///
/// Thread: any. Freed by: the command or the control plane that has started it.
package final class ClusterWatch: Sendable {
    /// Given once, before the thread begins.
    package struct Plan: Sendable {
        /// Where the API server is, and who asks.
        package var access: ClusterAccess
        package var kinds: [ResourceKind]
        /// Kinds that are watched only while the server does not offer another one, which is among `kinds`.
        package var standIns: [StandIn]
        /// The namespaces whose objects are watched; empty: all. Kinds without namespaces are watched as a whole.
        package var namespaces: [String]
        /// The times of the client; tests shorten them.
        package var timing = WatchTiming()
        /// Reads of a connection in a turn, so that what was learned is handed on now and then; tests lower it.
        package var mostReads = 16

        package init(
            access: ClusterAccess, kinds: [ResourceKind], standIns: [StandIn] = [], namespaces: [String] = []
        ) {
            self.access = access
            self.kinds = kinds
            self.standIns = standIns
            self.namespaces = namespaces
        }
    }

    /// A kind that stands in for one that the server does not offer.
    package struct StandIn: Sendable, Equatable {
        package let kind: ResourceKind
        package let missing: ResourceKind

        package init(_ kind: ResourceKind, for missing: ResourceKind) {
            self.kind = kind
            self.missing = missing
        }
    }

    /// An answer to a request that was not made by a watch.
    package enum Reply: Sendable, Equatable {
        /// - `status`: the HTTP status.
        case answer(status: Int, retryAfter: Int?, body: [UInt8])
        /// There is no answer. Whether the server did what was asked for is not known.
        case failed(String)
    }

    private let mailbox: Mailbox<ClusterMail>

    private init(_ mailbox: Mailbox<ClusterMail>) { self.mailbox = mailbox }

    /// Starts the thread, which makes a connection and begins to list and watch.
    /// - Parameters:
    ///   - sink: gets what is learned, on that thread.
    ///   - log: gets messages for people, on that thread: plain sentences without a line break.
    /// - Throws: that no descriptor is left, or no thread.
    package static func start(
        _ plan: Plan, sink: any ResourceSink, log: @escaping @Sendable (ClusterMessage) -> Void
    ) throws(SystemError) -> ClusterWatch {
        let mailbox = try Mailbox<ClusterMail>()
        try Thread.start("kubernetes", isLasting: true) {
            do throws(SystemError) {
                try ClusterLoop(plan, mailbox: mailbox, sink: sink, log: log).run()
            } catch {
                log(ClusterMessage(isWarning: true, text: "Kubernetes is not watched: \(error)"))
            }
        }
        return ClusterWatch(mailbox)
    }

    /// Says which Secrets are wanted from now on, all of them. They come as `ResourceEvent.changed` and `removed` of
    /// `ResourceKind.secrets`, and `ResourceEvent.secret` says how current each is. Any thread may call it.
    package func watchSecrets(_ names: Set<SecretName>) { mailbox.post(.secrets(names)) }

    /// Has one more kind listed and watched from now on. Any thread may call it, again too.
    package func watch(_ kind: ResourceKind) { mailbox.post(.watch(kind)) }

    /// Makes a request on the same connection, such as a patch of a status. Any thread may call it.
    /// - Parameters:
    ///   - path: with the query, escaped.
    ///   - contentType: of the body, such as `application/merge-patch+json`; empty without one.
    ///   - milliseconds: how long it may take, the wait for a connection included.
    ///   - reply: is called once, on the client's thread; not at all when the client is stopped before.
    package func request(
        _ method: String, _ path: String, contentType: String = "", body: [UInt8] = [], milliseconds: Int = 30_000,
        reply: @escaping @Sendable (Reply) -> Void
    ) {
        var request = APIRequest(path: path, form: .whole(limit: Self.mostReplyOctets), silence: milliseconds)
        request.method = method
        request.body = body
        request.contentType = contentType
        request.isTimedFromStart = true
        mailbox.post(.request(request, reply))
    }

    /// The most octets of an answer to `request`.
    private static let mostReplyOctets = 4 << 20

    /// Ends the connection and the thread. Calls of the sink may still run; a turn later there are none.
    package func stop() { mailbox.post(.stop) }
}

/// A message of the client for people.
package struct ClusterMessage: Sendable, Equatable {
    /// Whether somebody should act on it.
    package let isWarning: Bool
    /// The message: a sentence for the operator.
    package let text: String
}

/// What other threads tell the client's.
enum ClusterMail: Sendable {
    case secrets(Set<SecretName>)
    case watch(ResourceKind)
    case request(APIRequest, @Sendable (ClusterWatch.Reply) -> Void)
    case prepared(Result<PreparedAccess, AccessError>)
    case stop
}
