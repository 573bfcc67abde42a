package import Octets

/// One context of a kubeconfig: where an API server is, and who the client is there. Paths in it are relative to the
/// file's folder and were made whole.
/// Source: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/.
package struct Kubeconfig: Sendable {
    /// A text in the file, or the path of a file that has it.
    package enum Content<Text: Sendable>: Sendable {
        case text(Text)
        case file(String)
    }

    /// `exec` of a user.
    package struct Plugin: Sendable, Equatable {
        package var apiVersion: String
        /// A name, or a whole path.
        package var command: String
        package var arguments: [String]
        package var environment: [Variable]
        package var installHint: String
        package var tellsCluster: Bool
    }

    /// A variable of a plugin.
    package struct Variable: Sendable, Equatable {
        package let name: String
        package let value: String
    }

    package var context: String
    /// Empty: `default`.
    package var namespace: String
    // The cluster
    package var host: String
    package var port: UInt16
    /// The path of `server` without a slash at its end.
    package var pathPrefix: String
    package var serverName: String?
    package var skipsVerification: Bool
    /// nil: the authorities of the system.
    package var authority: Content<SecretOctets>?
    // The user
    package var certificate: Content<SecretOctets>?
    package var key: Content<SecretOctets>?
    package var token: Content<String>?
    package var plugin: Plugin?
}
