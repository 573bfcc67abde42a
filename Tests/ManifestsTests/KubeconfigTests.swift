import Octets
import Testing

@testable import Manifests

@Suite struct `A kubeconfig` {
    private static let whole = """
        apiVersion: v1
        kind: Config
        current-context: main
        preferences: {}
        clusters:
        - name: c
          cluster:
            server: https://api.example.test:6443/k8s/clusters/c-1/
            certificate-authority-data: Y2E=
            certificate-authority: ignored.pem
            tls-server-name: kubernetes
        - name: other
          cluster: {server: "https://[fd00::1]", insecure-skip-tls-verify: true}
        users:
        - name: u
          user:
            client-certificate: client.pem
            client-key-data: a2V5
            tokenFile: /run/token
            token: unused
        - name: p
          user:
            exec:
              apiVersion: client.authentication.k8s.io/v1
              command: ./bin/login
              args: [get, token]
              env: [{name: A, value: b}]
              installHint: install it
              interactiveMode: IfAvailable
              provideClusterInfo: true
        contexts:
        - name: main
          context: {cluster: c, user: u, namespace: shop}
        - name: second
          context: {cluster: other, user: p}
        """

    private func read(_ text: String, context: String? = nil) -> (kubeconfig: Kubeconfig?, reports: [String]) {
        let (kubeconfig, diagnostics) = KubeconfigReader.read([("/home/config", Array(text.utf8))], context: context)
        return (kubeconfig, diagnostics.map { "\($0)" })
    }

    private func text(_ content: Kubeconfig.Content<SecretOctets>?) -> String? {
        switch content {
        case nil: nil
        case .text(let octets): octets.withOctets(\.string)
        case .file(let path): "file \(path)"
        }
    }

    @Test func `is read with its current context`() throws {
        let (found, reports) = read(Self.whole)
        #expect(reports == [])
        let kubeconfig = try #require(found)
        #expect(kubeconfig.context == "main")
        #expect(kubeconfig.namespace == "shop")
        #expect(kubeconfig.host == "api.example.test")
        #expect(kubeconfig.port == 6443)
        #expect(kubeconfig.pathPrefix == "/k8s/clusters/c-1")
        #expect(kubeconfig.serverName == "kubernetes")
        #expect(text(kubeconfig.authority) == "ca")
        #expect(text(kubeconfig.certificate) == "file /home/client.pem")
        #expect(text(kubeconfig.key) == "key")
        guard case .file("/run/token")? = kubeconfig.token else {
            Issue.record("another token")
            return
        }
    }

    @Test func `is read with the context that is asked for`() throws {
        let kubeconfig = try #require(read(Self.whole, context: "second").kubeconfig)
        #expect(kubeconfig.host == "fd00::1")
        #expect(kubeconfig.port == 443)
        #expect(kubeconfig.skipsVerification)
        #expect(kubeconfig.authority == nil)
        #expect(
            kubeconfig.plugin
                == Kubeconfig.Plugin(
                    apiVersion: "client.authentication.k8s.io/v1", command: "/home/./bin/login",
                    arguments: ["get", "token"], environment: [.init(name: "A", value: "b")], installHint: "install it",
                    tellsCluster: true))
        #expect(read(Self.whole, context: "secnd").reports.first?.contains("did you mean `second`?") == true)
    }

    @Test func `is merged of several files, of which the first that has an entry counts`() throws {
        let first = "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\n"
        let files = [("a", Array(first.utf8)), ("empty", []), ("/home/config", Array(Self.whole.utf8))]
        let (found, diagnostics) = KubeconfigReader.read(files)
        #expect(diagnostics.isEmpty)
        #expect(found?.context == "x")
        #expect(found?.host == "api.example.test")
    }

    @Test(arguments: [
        (
            "server: https://api.example.test:6443/k8s/clusters/c-1/", "server: http://a",
            "8:15: error: clusters[0].cluster.server: not the address"
        ),
        ("server: https://api.example.test:6443/k8s/clusters/c-1/", "server: https://a:0", "8:15"),
        ("server: https://api.example.test:6443/k8s/clusters/c-1/", "server: https://a:x@b", "8:15"),
        (
            "certificate-authority-data: Y2E=", "certificate-authority-data: '%'",
            "9:35: error: clusters[0].cluster.certificate-authority-data: not Base64"
        ),
        ("tls-server-name: kubernetes", "proxy-url: http://p", "11:18: error: clusters[0].cluster.proxy-url: a proxy"),
        (
            "tls-server-name: kubernetes", "tls-servername: kubernetes",
            "11:7: error: clusters[0].cluster.tls-servername: unknown field"
        ),
        ("client-key-data: a2V5", "username: u", "password"),
        ("client-key-data: a2V5", "as: admin", "acting as somebody else"),
        ("client-key-data: a2V5", "auth-provider: {name: gcp}", "auth-provider"),
        ("client-key-data: a2V5", "disabled: 1", "needs its key"),
        ("{cluster: c, user: u,", "{cluster: d, user: u,", "`clusters` has no entry"),
        ("{cluster: c, user: u,", "{user: u,", "`cluster` is missing"),
        ("current-context: main", "current-context: mian", "3:18: error: there is no context `mian`"),
        ("kind: Config", "kind: Secret", "its kind is not Config"),
        ("current-context: main", "current-context: [", "not YAML"),
    ])
    func `says where it is wrong`(part: String, replaced: String, words: String) {
        let (_, reports) = read(Self.whole.replacing(part, with: replaced))
        #expect(reports.contains { $0.hasPrefix("/home/config:") && $0.contains(words) }, "\(reports)")
    }

    @Test(arguments: [
        ("interactiveMode: IfAvailable", "interactiveMode: Always", "terminal"),
        (
            "apiVersion: client.authentication.k8s.io/v1", "apiVersion: client.authentication.k8s.io/v1alpha1",
            "version of plugins"
        ),
        ("command: ./bin/login", "comand: x", "`command` is missing"),
        ("{name: A, value: b}", "{name: A=B, value: b}", "not the name of a variable"),
    ])
    func `says what is wrong with its plugin`(part: String, replaced: String, words: String) {
        let (found, reports) = read(Self.whole.replacing(part, with: replaced), context: "second")
        #expect(found == nil)
        #expect(reports.contains { $0.contains(words) }, "\(reports)")
    }

    @Test func `quotes no secret in its reports`() {
        for field in [
            "token: [hunter2]", "token: 12345678", "client-key-data: hunter2!", "client-key-data: {hunter2: 1}",
        ] {
            let text = Self.whole.replacing("tokenFile: /run/token\n", with: "x: 1\n").replacing(
                "client-key-data: a2V5", with: "y: 1"
            ).replacing("token: unused", with: field)
            let reports = read(text).reports.joined()
            #expect(!reports.isEmpty)
            #expect(!reports.contains("hunter2!") && !reports.contains("12345678"), "\(reports)")
        }
    }

    @Test(arguments: [
        "", "null", "[]", "x", "- a", "contexts: x", "contexts: [{}]", "clusters: {a: b}", "--- \n...\n", "\u{0}",
        "%YAML 1.1\n---\n", "? [a]\n: b", "&a [*a]", "contexts: [null, 1]",
    ])
    func `of any other form is an error`(text: String) {
        let (found, reports) = read(text)
        #expect(found == nil)
        #expect(!reports.isEmpty)
    }

    @Test func `is no larger than the limit`() {
        let comment = [UInt8](repeating: UInt8(ascii: "#"), count: KubeconfigReader.mostOctets)
        let (found, diagnostics) = KubeconfigReader.read([("f", comment + Array(Self.whole.utf8))])
        #expect(found == nil)
        #expect(diagnostics.contains { $0.message == "larger than 4 MiB" })
    }

    @Test func `that is damaged anywhere never traps`() {
        let octets = Array(Self.whole.utf8)
        var random: UInt64 = 7
        func draw(_ limit: Int) -> Int {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(random >> 33) % limit
        }
        for round in 0..<1500 {
            var damaged = octets
            for _ in 0...draw(4) {
                switch draw(3) {
                case 0: damaged[draw(damaged.count)] = UInt8(draw(256))
                case 1: damaged.removeSubrange(draw(damaged.count / 2)..<(damaged.count / 2 + draw(damaged.count / 2)))
                default: damaged.insert(contentsOf: "{[:-\n &*!|".utf8.shuffled().prefix(3), at: draw(damaged.count))
                }
            }
            _ = KubeconfigReader.read([("f", damaged)], context: round % 2 == 0 ? nil : "second")
        }
    }
}

@Suite struct `The place of a server` {
    @Test(arguments: [
        ("https://a", "a", 443, ""), ("HTTPS://a:1/", "a", 1, ""), ("https://[::1]:65535/x/y//", "::1", 65535, "/x/y"),
        ("https://10.0.0.1:6443", "10.0.0.1", 6443, ""),
    ])
    func `is read`(text: String, host: String, port: UInt16, path: String) throws {
        let place = try #require(ServerPlace(text))
        #expect(place.host == host && place.port == port && place.path == path)
    }

    @Test(arguments: [
        "", "a", "https://", "https:///x", "http://a", "https://a:", "https://a:65536", "https://a:-1", "https://[::1",
        "https://[]", "https://::1", "https://a b", "https://a?b", "https://u@a", "https://[::1]x", "https://ü",
    ])
    func `is nothing else`(text: String) { #expect(ServerPlace(text) == nil) }
}
