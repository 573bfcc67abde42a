package import Kubernetes
internal import Manifests
internal import Octets
internal import Reactor

/// Asks an API server which rights the account has that asks.
///
/// Thread: the main thread of `portico rbac`. Freed by: that command, when it has its answer.
package final class RightsReview {
    private let client: ClusterWatch

    /// A request for rights needs no objects.
    private struct NoObjects: ResourceSink {
        /// Nothing is watched.
        func receive(_ events: [ResourceEvent]) {}
        /// The command says itself what has failed.
        func reached(_ limit: ClusterLimit) {}
    }

    /// Begins to connect.
    /// - Throws: a sentence about what the system refuses.
    package init(_ access: ClusterAccess) throws(ClusterReadingError) {
        do throws(SystemError) {
            client = try ClusterWatch.start(
                ClusterWatch.Plan(access: access, kinds: []), sink: NoObjects(), log: { _ in })
        } catch {
            throw ClusterReadingError(description: "\(error)")
        }
    }

    /// Ends the connection.
    package func stop() { client.stop() }

    /// What is granted in a namespace, by roles of the namespace and of the cluster.
    /// - Throws: a sentence about a server that does not answer.
    package func granted(in namespace: String) throws(ClusterReadingError) -> GrantedRights {
        var body = JSONText()
        body.object { json in
            json.field("apiVersion", "authorization.k8s.io/v1")
            json.field("kind", "SelfSubjectRulesReview")
            json.field("spec", of: namespace) { namespace, json in
                json.object { $0.field("namespace", namespace) }
            }
        }
        let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
        switch try ask(path, body.text) {
        case .answer(201, _, let octets), .answer(200, _, let octets):
            guard let rights = try? GrantedRights(octets) else {
                throw ClusterReadingError(description: "the server's answer about rights cannot be read")
            }
            return rights
        case .answer(let status, _, _):
            throw ClusterReadingError(description: "the server answers \(status) to \(path)")
        case .failed(let reason): throw ClusterReadingError(description: reason)
        }
    }

    private func ask(_ path: String, _ body: String) throws(ClusterReadingError) -> ClusterWatch.Reply {
        let replies: Mailbox<ClusterWatch.Reply>
        do throws(SystemError) {
            replies = try Mailbox<ClusterWatch.Reply>()
        } catch {
            throw ClusterReadingError(description: "\(error)")
        }
        client.request(
            "POST", path, contentType: "application/json", body: Array(body.utf8),
            milliseconds: Self.longestMilliseconds
        ) { replies.post($0) }
        // The client answers in time, also where the server does not.
        _ = DescriptorWait.untilReadable(replies.descriptor, milliseconds: Int32(2 * Self.longestMilliseconds))
        guard let reply = replies.takeAll().first else {
            throw ClusterReadingError(description: "the Kubernetes API server does not answer")
        }
        return reply
    }

    private static let longestMilliseconds = 30_000
}
