internal import Manifests
internal import Reactor
internal import Routing
internal import TLS

/// TLS contexts of the chains, kept over reloads: an unchanged chain keeps its context, a broken one its
/// last good. The control plane's thread only.
struct CertificateDirectory {
    private struct Entry {
        let certificates: [TLSContext.Certificate]
        let chain: TLSChain
        let port: UInt16
        let context: TLSContext
    }

    private var entries: [String: Entry] = [:]
    private var used: Set<String> = []          // keys of this round
    private(set) var diagnostics: [Diagnostic] = []

    /// Secrets by `namespace/name`, as `context(of:port:secrets:)` wants them.
    static func byName(_ secrets: [Secret]) -> [String: Secret] {
        Dictionary(secrets.map { ("\($0.meta.namespace)/\($0.meta.name)", $0) }) { first, _ in first }
    }

    /// Begins another round: forgets what was said in the last one, and the chains it did not have.
    mutating func begin() {
        diagnostics = []
        entries = entries.filter { used.contains($0.key) }
        used = []
    }

    /// The context of one chain; nil when it never had a usable certificate.
    mutating func context(of chain: TLSChain, port: UInt16, secrets: [String: Secret]) -> TLSContext? {
        let key = "\(chain.gateway) \(port) \(chain.serverNames.sorted().joined(separator: ","))"
        used.insert(key)
        var certificates: [TLSContext.Certificate] = []
        for source in chain.certificates {
            switch Self.load(source, secrets) {
            case .success(let certificate): certificates.append(certificate)
            case .failure(let fault): return lastGood(key, chain, port, fault.sentence)
            }
        }
        if let entry = entries[key], entry.certificates == certificates, entry.chain.hasSameTerms(as: chain) {
            warn(entry.context, chain)
            return entry.context
        }
        do throws(TLSError) {
            let context = try TLSContext(
                certificates: certificates, minVersion: chain.minVersion.map(Self.version) ?? .v1_2,
                maxVersion: chain.maxVersion.map(Self.version) ?? .v1_3, cipherSuites: chain.cipherSuites)
            entries[key] = Entry(certificates: certificates, chain: chain, port: port, context: context)
            warn(context, chain)
            return context
        } catch {
            return lastGood(key, chain, port, error.description)
        }
    }

    private mutating func lastGood(
        _ key: String, _ chain: TLSChain, _ port: UInt16, _ reason: String
    ) -> TLSContext? {
        entries[key] = entries[key] ?? relative(of: chain, port)
        let kept = entries[key]?.context
        let effect = kept == nil ? "these hosts are not served" : "the last good certificate is still served"
        diagnostics.append(Diagnostic(
            .error, "invalid-credential",
            "no usable certificate for \(chain.serverNames.joined(separator: ", ")): \(reason)",
            hint: effect, at: chain.place, object: chain.gateway))
        return kept
    }

    /// The entry of the same server before its hosts were changed: it serves one of the hosts already.
    private func relative(of chain: TLSChain, _ port: UInt16) -> Entry? {
        let names = Set(chain.serverNames)
        return entries.values.first {
            $0.port == port && $0.chain.gateway == chain.gateway && !names.isDisjoint(with: $0.chain.serverNames)
        }
    }

    /// What the certificates say of themselves: expiry, and hosts that they do not cover.
    private mutating func warn(_ context: TLSContext, _ chain: TLSChain) {
        for report in context.reports {
            for problem in report.problems {
                diagnostics.append(Diagnostic(
                    .warning, "certificate-problem",
                    "certificate of \(chain.serverNames.joined(separator: ", ")): \(problem)",
                    at: chain.place, object: chain.gateway))
            }
        }
        for host in chain.serverNames where host != "*" && !context.reports.contains(where: { $0.covers(host: host) }) {
            diagnostics.append(Diagnostic(
                .warning, "certificate-host", "no certificate of this server covers \(host)",
                hint: "clients that check names will refuse it; add the name to the certificate", at: chain.place,
                object: chain.gateway))
        }
    }

    private struct Fault: Error { let sentence: String }

    private static func load(
        _ source: CertificateSource, _ secrets: [String: Secret]
    ) -> Result<TLSContext.Certificate, Fault> {
        switch source {
        case .secret(let namespace, let name):
            guard let secret = secrets["\(namespace)/\(name)"] else {
                return .failure(Fault(sentence: "there is no Secret \(namespace)/\(name)"))
            }
            return pair(secret)
        case .files(let certificate, let key):
            do throws(SystemError) {
                return .success(.init(chain: try FileContents.read(certificate), key: try FileContents.read(key)))
            } catch {
                return .failure(Fault(sentence: error.description))
            }
        }
    }

    /// Istio's order: `cert` and `key`, then `tls.crt` and `tls.key`; both of one style. Empty is absent.
    private static func pair(_ secret: Secret) -> Result<TLSContext.Certificate, Fault> {
        for (certificate, key) in [("cert", "key"), ("tls.crt", "tls.key")] {
            if let chain = secret.data[certificate]?.value, let secretKey = secret.data[key]?.value,
                !chain.isEmpty, !secretKey.isEmpty {
                return .success(.init(chain: chain, key: secretKey))
            }
        }
        let found = secret.data.keys.sorted().joined(separator: ", ")
        return .failure(Fault(
            sentence: "\(secret.meta.identity) has neither tls.crt and tls.key nor cert and key"
                + (found.isEmpty ? "; it is empty" : "; it has \(found)")))
    }

    private static func version(_ version: Manifests.TLSVersion) -> TLS.TLSVersion {
        switch version {
        case .v1_0: .v1_0
        case .v1_1: .v1_1
        case .v1_2: .v1_2
        case .v1_3: .v1_3
        }
    }
}

extension TLSChain {
    /// Everything but the certificates is as it was.
    fileprivate func hasSameTerms(as other: TLSChain) -> Bool {
        minVersion == other.minVersion && maxVersion == other.maxVersion && cipherSuites == other.cipherSuites
    }
}
