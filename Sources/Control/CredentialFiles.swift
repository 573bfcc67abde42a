internal import Octets
internal import Reactor
internal import Routing

/// The certificate and key files that a plan names, read once by the loader's thread: on the control
/// plane's, a slow disk would keep health checks and signals waiting.
struct CredentialFiles: Sendable {
    private var files: [String: Result<SecretOctets, FileContents.Failure>] = [:]
    private var octets = 0
    /// The files as they were just before they were read; nil: there was none.
    private(set) var stamps: [String: FileStamp?] = [:]

    /// Of all files together.
    static let mostOctets = 64 << 20

    /// Reads the files of a plan's servers.
    /// - Parameter mesh: those of Istio's agent, if they were found.
    init(of plan: RoutingPlan, mesh: MeshIdentity? = nil) {
        for listener in plan.listeners {
            for chain in listener.chains { for source in chain.certificates { read(source, mesh) } }
        }
    }

    init(of paths: [String]) { read(paths) }

    private mutating func read(_ source: CertificateSource, _ mesh: MeshIdentity?) {
        switch source {
        case .files(let certificate, let key):
            read([certificate, key])
            readIfPresent(certificate + Self.stapleEnding)
        case .mesh: if let mesh { read([mesh.certificate, mesh.key]) }
        case .secret, .refused: break
        }
    }

    private mutating func read(_ paths: [String]) {
        for path in paths where files[path] == nil {
            stamps[path] = .some(FileStamp(path))
            let result = Self.read(path, limitOctets: min(1 << 20, Self.mostOctets - octets))
            if case .success(let contents) = result { octets += contents.count }
            files[path] = result
        }
    }

    /// A file that need not be there, and is watched all the same.
    private mutating func readIfPresent(_ path: String) {
        if FileStamp(path) != nil { read([path]) } else { stamps[path] = .some(nil) }
    }

    /// What is behind the path of a certificate in that of its OCSP response, as with HAProxy.
    static let stapleEnding = ".ocsp"

    /// The OCSP response of a certificate; nil: there is none. One that cannot be read is empty, which is no response.
    func staple(of certificate: String) -> SecretOctets? {
        files[certificate + Self.stapleEnding].map { (try? $0.get()) ?? SecretOctets(copying: []) }
    }

    private static func read(_ path: String, limitOctets: Int) -> Result<SecretOctets, FileContents.Failure> {
        do throws(FileContents.Failure) {
            return .success(try FileContents.readSecret(path, limitOctets: limitOctets))
        } catch {
            return .failure(error)
        }
    }

    /// A file's contents; nil when the plan does not name it.
    subscript(path: String) -> Result<SecretOctets, FileContents.Failure>? { files[path] }
}
