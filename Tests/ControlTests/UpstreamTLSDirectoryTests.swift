import Balancing
import Manifests
import Proxy
import Reactor
import Support
import Synchronization
import Testing

@testable import Control
@testable import Routing

/// TLS of clusters over reloads, without a socket.
@Suite struct `TLS of clusters over reloads` {
    private var directory = UpstreamTLSDirectory(meshFolder: nil)
    private let folder = TemporaryFolder()
    private static let rule = ObjectReference(kind: "DestinationRule", namespace: "app", name: "d")

    private static func terms(
        trust: UpstreamTLSPlan.Trust = .system, identity: UpstreamTLSPlan.Identity = .none, names: [String] = [],
        revocations: String? = nil, mode: Manifests.UpstreamTLS.Mode = .simple
    ) -> UpstreamTLSPlan.Terms {
        UpstreamTLSPlan.Terms(
            mode: mode, serverName: .ofRequest, needsHost: true, names: names, meshNamespace: nil, trust: trust,
            revocations: revocations, identity: identity)
    }

    private static func plan(_ terms: [UpstreamTLSPlan.Terms?], refusal: String? = nil) -> RoutingPlan {
        RoutingPlan(
            clusters: terms.enumerated().map { number, terms in
                let tls = terms.map {
                    UpstreamTLSPlan(
                        terms: $0, refusal: refusal, rule: rule, place: SourcePlace(file: "d.yaml", line: 3, column: 5),
                        path: "spec.trafficPolicy.tls")
                }
                return ClusterPlan(
                    name: "c\(number)", host: "h\(number)", port: 80, subset: "", isHTTP2: false, policy: .roundRobin,
                    source: .dns([]), tls: tls)
            })
    }

    private mutating func load(
        _ terms: UpstreamTLSPlan.Terms?..., secrets: [Secret] = [], refusal: String? = nil
    ) -> [Int: ClusterTLS] {
        directory.all(of: Self.plan(terms, refusal: refusal), secrets: secrets)
    }

    private func secrets(_ data: String) -> [Secret] {
        let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: edge}\nstringData: {\(data)}\n"
        return ManifestReader.load(sources: [("s.yaml", Array(text.utf8))]).inventory.secrets
    }

    private func quoted(_ name: String) throws -> String {
        "\"" + (try Certificates.text(name)).split(separator: "\n").joined(separator: "\\n") + "\""
    }

    private var messages: [String] { directory.diagnostics.map(\.message) }

    private func sentence(_ tls: ClusterTLS?) -> String? {
        if case .unavailable(let sentence) = tls { sentence } else { nil }
    }

    @Test mutating func `stays the same object while nothing of it changes, and is shared`() {
        let first = load(nil, Self.terms(), Self.terms(), Self.terms(names: ["x"]))
        #expect(first[0] == nil && first.count == 3)
        #expect(first[1]?.security === first[2]?.security && first[1]?.security != nil)
        #expect(first[3]?.security !== first[1]?.security)
        #expect(first[3]?.security?.context === first[1]?.security?.context)
        let second = load(Self.terms(), nil, Self.terms(names: ["x"]))
        #expect(second[0]?.security === first[1]?.security && second[2]?.security === first[3]?.security)
        #expect(load(Self.terms(trust: .unverified))[0]?.security?.context !== first[1]?.security?.context)
    }

    @Test mutating func `is another one with other content, and the last good one while a file is broken`() throws {
        let ca = folder.write("ca.pem", try Certificates.text("one.pem"))
        let terms = Self.terms(trust: .file(ca))
        let first = try #require(load(terms)[0]?.security)
        #expect(directory.stamps[ca] == .some(FileStamp(ca)) && FileStamp(ca) != nil)
        folder.write("ca.pem", try Certificates.text("two.pem"))
        let second = try #require(load(terms)[0]?.security)
        #expect(second !== first && directory.diagnostics.isEmpty)
        folder.write("ca.pem", "nonsense")
        #expect(load(terms, Self.terms(trust: .file(ca), names: ["new"]))[0]?.security === second)
        #expect(messages.count == 2 && messages[0].hasSuffix("): the last good one is still used for h0"))
        #expect(messages[1].hasSuffix("): requests to h1 are answered 503"))
        folder.remove("ca.pem")
        #expect(load(terms)[0]?.security === second)
        // What no cluster wanted meanwhile is forgotten.
        _ = load(Self.terms())
        #expect(sentence(load(terms)[0])?.contains("No such file or directory") == true)
    }

    @Test mutating func `shows a pair of files, and says why it cannot`() throws {
        let (chain, key) = (
            folder.write("c.pem", try Certificates.text("one.pem")),
            folder.write("c.key", try Certificates.text("one.key"))
        )
        let terms = Self.terms(identity: .files(certificate: chain, key: key), mode: .mutual)
        let first = try #require(load(terms)[0]?.security)
        #expect(load(terms)[0]?.security === first)
        folder.write("c.key", try Certificates.text("two.key"))
        #expect(load(terms)[0]?.security === first)
        #expect(messages[0].hasPrefix("the client certificate \(chain) with the key \(key) cannot be used (the"))
        #expect(directory.diagnostics[0].place.line == 3 && directory.diagnostics[0].object == Self.rule)
    }

    @Test mutating func `takes authorities of a Secret in Istio's order, and needs its text once`() throws {
        let terms = Self.terms(trust: .secret(namespace: "edge", names: ["s"]))
        let (one, two) = (try quoted("one.pem"), try quoted("two.pem"))
        let both = secrets("cacert: \(one), ca.crt: \(two)")
        let first = try #require(load(terms, secrets: both)[0]?.security)
        #expect(load(terms, secrets: secrets("cacert: \(one)"))[0]?.security === first)
        #expect(load(terms, secrets: secrets("cacert: '', ca.crt: \(two)"))[0]?.security !== first)
        _ = load(terms, secrets: both)
        for secret in both { secret.forget() }
        #expect(load(terms, secrets: both)[0]?.security != nil)
        #expect(load(Self.terms(trust: terms.trust, names: ["x"]), secrets: both)[0]?.security != nil)
        #expect(directory.diagnostics.isEmpty)
        let unused = secrets("ca.crt: \(two)")
        for secret in unused { secret.forget() }
        let other = load(Self.terms(trust: terms.trust, names: ["y"]), secrets: unused)
        #expect(sentence(other[0])?.contains("not kept") == true)
    }

    @Test mutating func `says what a Secret lacks, and nothing of what the plan has said`() {
        let terms = Self.terms(trust: .secret(namespace: "edge", names: ["s"]))
        let lacking = "Secret edge/s has neither cacert nor ca.crt; it has x"
        #expect(sentence(load(terms, secrets: secrets("x: text"))[0]) == lacking)
        #expect(directory.diagnostics.map(\.object?.kind) == ["Secret"])
        #expect(sentence(load(terms)[0]) == "there is no Secret edge/s")
        #expect(directory.diagnostics.isEmpty)
        #expect(sentence(load(terms, refusal: "it is refused")[0]) == "it is refused")
        #expect(directory.diagnostics.isEmpty)
    }

    @Test mutating func `never serves without the revocation lists that are asked for`() throws {
        let lists = folder.write("l.pem", "nonsense")
        let authority = folder.write("ca.pem", try Certificates.text("one.pem"))
        let terms = Self.terms(trust: .file(authority), revocations: lists)
        #expect(sentence(load(terms)[0])?.hasPrefix("\(lists) cannot be used") == true, "\(messages)")
    }

    @Test mutating func `waits for Istio's agent`() throws {
        directory = UpstreamTLSDirectory(meshFolder: folder.path)
        let terms = Self.terms(trust: .mesh, identity: .mesh, mode: .istioMutual)
        #expect(sentence(load(terms)[0])?.contains(folder.path) == true)
        #expect(directory.stamps["\(folder.path)/cert-chain.pem"] == .some(nil))
        folder.write("root-cert.pem", try Certificates.text("one.pem"))
        folder.write("key.pem", try Certificates.text("one.key"))
        folder.write("cert-chain.pem", try Certificates.text("one.pem"))
        #expect(load(terms)[0]?.security != nil)
        #expect(directory.stamps.count == 3)
    }
}

@Suite struct `A watch over files` {
    @Test func `notices what is renewed, removed or appears, once`() throws {
        let folder = TemporaryFolder()
        let watch = try FileWatch(intervalMilliseconds: -1) {}
        let (one, two) = (folder.write("one", "a"), folder.path + "/two")
        watch.want([one: FileStamp(one), two: FileStamp(two)])
        #expect(!watch.look())
        folder.write("one", "bb")
        #expect(watch.look() && !watch.look())
        folder.write("two", "c")
        #expect(watch.look() && !watch.look())
        folder.remove("one")
        #expect(watch.look() && !watch.look())
        watch.want([:])
        folder.write("one", "a")
        #expect(!watch.look())
    }

    @Test func `tells of it from its own thread`() throws {
        let folder = TemporaryFolder()
        let file = folder.write("one", "a")
        let bell = try Mailbox<Void>()
        let watch = try FileWatch(intervalMilliseconds: 5) { bell.post(()) }
        watch.want([file: FileStamp(file)])
        folder.write("one", "bb")
        #expect(DescriptorWait.untilReadable(bell.descriptor, milliseconds: 20_000))
        watch.want([:])
    }
}
