/// A limit of the client that was reached. Source: docs/limits.md, The API server of Kubernetes.
package enum ClusterLimit: Sendable, Equatable, CaseIterable {
    /// All connections are in use, or one that the server wants to end had to be closed.
    case connections
    /// An address did not accept in time.
    case connectTime
    /// A connection said nothing, and did not answer PING.
    case silence
    /// The resolver, or a credential plugin, has not ended for long.
    case preparation
    /// A credential plugin took too long, or wrote too much.
    case plugin
    /// An answer, or a line of a watch, was too large.
    case answerOctets
    /// An answer did not come in time.
    case answerTime
    /// A list had too many objects, or too many pages without any.
    case endlessList
    /// A request waited because too many answers are taken as a whole.
    case answersWaiting
    /// The server wanted to be left alone for longer than the client does.
    case retryAfter
    /// The watch of a Secret did not begin with the Secret.
    case secretWatch
}
