import Kubernetes
import Support
import Testing

@testable import Control

@Suite struct `The source of the access to a cluster` {
    private let text = """
        current-context: x
        contexts: [{name: x, context: {cluster: c, user: u}}]
        clusters: [{name: c, cluster: {server: "https://10.0.0.1:6443", certificate-authority: ca.pem}}]
        users: [{name: u, user: {token: abc}}]
        """

    @Test func `is a flag, or a variable, or the file in the home folder`() {
        func source(_ path: String?, _ environment: [String: String]) -> ClusterAccessSource {
            .kubeconfig(path: path, context: "x", environment: environment)
        }
        #expect(source("/a", ["KUBECONFIG": "/b"]) == .kubeconfig(["/a"], context: "x"))
        #expect(source(nil, ["KUBECONFIG": "/b:/c::"]) == .kubeconfig(["/b", "/c"], context: "x"))
        #expect(source(nil, ["HOME": "/home/a"]) == .kubeconfig(["/home/a/.kube/config"], context: "x"))
    }

    @Test func `gives what the file says`() throws {
        let folder = TemporaryFolder()
        let path = folder.write("config", text)
        let access = try ClusterAccessSource.kubeconfig([path, "/nowhere/config"], context: nil).access(environment: [:]
        )
        #expect(access.host == "10.0.0.1")
        #expect(access.port == 6443)
        #expect(access.trust == .file(folder.path + "/ca.pem"))
        guard case .token("abc") = access.credential else {
            Issue.record("another credential")
            return
        }
    }

    @Test func `says what is wrong, with its place`() {
        let folder = TemporaryFolder()
        let path = folder.write("config", text.replacing("https:", with: "ftp:"))
        func reason(_ source: ClusterAccessSource) -> String {
            do throws(AccessError) {
                _ = try source.access(environment: [:])
                return ""
            } catch {
                return error.description
            }
        }
        #expect(reason(.kubeconfig([path], context: nil)).contains("\(path):3:40: error:"))
        #expect(reason(.kubeconfig(["/nowhere/config"], context: nil)).contains("/nowhere/config"))
        #expect(reason(.pod).contains("--kubeconfig"))
    }
}
