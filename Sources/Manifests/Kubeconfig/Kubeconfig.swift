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
        /// `client.authentication.k8s.io/v1` or `…/v1beta1`.
        package var apiVersion: String
        /// A name, or a whole path.
        package var command: String
        /// `args`.
        package var arguments: [String]
        /// `env`.
        package var environment: [Variable]
        /// What to do when the program is not there; may be empty.
        package var installHint: String
        /// `provideClusterInfo`.
        package var tellsCluster: Bool
    }

    /// A variable of a plugin.
    package struct Variable: Sendable, Equatable {
        /// Not empty, and without `=`.
        package let name: String
        /// Without NUL.
        package let value: String
    }

    package var context: String
    /// Empty: `default`.
    package var namespace: String
    /// A name or an address, without brackets; 1 to 253 octets.
    package var host: String
    /// 1 to 65535; 443 if `server` has none.
    package var port: UInt16
    /// The path of `server` without a slash at its end.
    package var pathPrefix: String
    /// `tls-server-name`; nil: the host.
    package var serverName: String?
    /// `insecure-skip-tls-verify`.
    package var skipsVerification: Bool
    /// nil: the authorities of the system.
    package var authority: Content<SecretOctets>?
    /// PEM; nil: the client shows none.
    package var certificate: Content<SecretOctets>?
    /// PEM; there is one if there is a certificate.
    package var key: Content<SecretOctets>?
    /// nil: none.
    package var token: Content<String>?
    /// nil: none.
    package var plugin: Plugin?
}
