import Glibc
import Octets
import Support
import Testing

@testable import Kubernetes

/// A real kube-apiserver with its etcd, in a folder of its own. `Tests/tools/kubernetes/build` makes the programs.
final class RealServer: Sendable {
    private let folder = TemporaryFolder()
    private static let tools = TestFiles.tests + "/tools/kubernetes"

    /// Whether the programs are there. Without them the tests are skipped, and standard error says so.
    static let isBuilt: Bool = {
        guard !folder.isEmpty, unsafe Glibc.access(folder + "/stamp", R_OK) == 0 else {
            let words =
                "\nSKIPPED: the tests against a real kube-apiserver, because there is none in \(folder).\n"
                + "Tests/tools/kubernetes/build makes it.\n\n"
            _ = unsafe words.withCString { unsafe write(STDERR_FILENO, $0, strlen($0)) }
            return false
        }
        return true
    }()

    private static let folder: String = {
        let place = TemporaryFolder()
        guard place.run("'\(tools)/folder' > path") else { return "" }
        return String(decoding: place.read("path"), as: UTF8.self).split(separator: "\n").first.map(String.init) ?? ""
    }()

    /// - Parameter flags: of the kube-apiserver.
    init(_ flags: String...) throws {
        try control("start", flags)
        try apply("endpointslices")
    }

    deinit { _ = folder.run("'\(Self.tools)/cluster' stop run") }

    enum Fault: Error { case failed(String, log: String) }

    /// Does what `Tests/tools/kubernetes/cluster` can.
    func control(_ action: String, _ arguments: [String] = []) throws {
        let quoted = arguments.map { "'\($0)'" }.joined(separator: " ")
        // The server must not hold the pipe by which the shell is waited for.
        guard folder.run("'\(Self.tools)/cluster' \(action) run \(quoted) > log 2>&1 < /dev/null") else {
            throw Fault.failed("\(action) \(arguments)", log: String(decoding: folder.read("log"), as: UTF8.self))
        }
    }

    /// Runs kubectl. - Returns: what it has written.
    @discardableResult func kubectl(_ arguments: String...) throws -> String {
        try control("kubectl", arguments)
        return String(decoding: folder.read("log"), as: UTF8.self)
    }

    /// Applies objects.
    func create(_ yaml: String) throws {
        folder.write("objects.yaml", yaml)
        try kubectl("apply", "--validate=false", "-f", "\(folder.path)/objects.yaml")
    }

    /// Applies definitions of kinds, and waits until they are served.
    func apply(_ definitions: String) throws {
        let file = "\(Self.tools)/\(definitions).yaml"
        try kubectl("apply", "--validate=false", "-f", file)
        try kubectl("wait", "--for", "condition=Established", "--timeout", "60s", "-f", file)
    }

    var port: UInt16 { UInt16(String(decoding: folder.read("run/port").prefix { $0.isDigit }, as: UTF8.self)) ?? 0 }

    /// The access of somebody.
    /// - Parameter credential: nil: the administrator's certificate.
    func access(_ credential: ClusterAccess.Credential? = nil) -> ClusterAccess {
        let path = folder.path + "/run/pki"
        return ClusterAccess(
            host: "127.0.0.1", port: port, trust: .file("\(path)/ca.crt"),
            identity: credential == nil
                ? .init(chain: .file("\(path)/admin.crt"), key: .file("\(path)/admin.key")) : nil,
            credential: credential ?? .none)
    }
}
