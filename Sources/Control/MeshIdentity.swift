internal import Reactor

/// The files in which Istio's agent keeps the identity of a workload, and renews it.
/// Source: istio/istio pkg/config/constants/constants.go, pkg/security/security.go.
struct MeshIdentity: Sendable {
    let certificate: String
    let key: String
    let authorities: String

    private static let folders = ["/etc/certs", "/var/run/secrets/workload-spiffe-credentials"]
    private static let fileNames = [
        (certificate: "cert-chain.pem", key: "key.pem", authorities: "root-cert.pem"),
        (certificate: "certificates.pem", key: "private_key.pem", authorities: "ca_certificates.pem"),
    ]

    var paths: [String] { [certificate, key, authorities] }

    private init(_ folder: String, _ names: (certificate: String, key: String, authorities: String)) {
        certificate = "\(folder)/\(names.certificate)"
        key = "\(folder)/\(names.key)"
        authorities = "\(folder)/\(names.authorities)"
    }

    /// All sets of files that there may be, in order of preference.
    /// - Parameter folder: the only folder; nil: those that Istio uses.
    static func candidates(folder: String?) -> [MeshIdentity] {
        (folder.map { [$0] } ?? folders).flatMap { folder in fileNames.map { MeshIdentity(folder, $0) } }
    }

    /// The first set of which there is a certificate. Looks at the disk.
    static func find(folder: String?) -> MeshIdentity? {
        candidates(folder: folder).first { FileStamp($0.certificate) != nil }
    }

    /// The stamps to be watched where none was found: the agent may come later.
    static func absentStamps(folder: String?) -> [String: FileStamp?] {
        Dictionary(uniqueKeysWithValues: candidates(folder: folder).map { ($0.certificate, .none) })
    }

    /// Where it was looked for, for messages.
    static func folderNames(_ folder: String?) -> String { folder ?? folders.joined(separator: " or ") }
}
