import Testing

@testable import TLS

private let certificates = Certificates.shared

@Suite struct `A certificate` {
    private func failure(chain: [UInt8], key: [UInt8]) -> TLSError? {
        do throws(TLSError) {
            _ = try TLSContext(certificates: [.init(chain: chain, key: key)])
            return nil
        } catch {
            return error
        }
    }

    @Test func `without PEM text is refused with the reason`() {
        let (chain, key) = (certificates["ec.pem"], certificates["ec.key"])
        #expect(failure(chain: [], key: key) == .noCertificate(found: nil))
        #expect(failure(chain: Array("hello".utf8), key: key) == .noCertificate(found: nil))
        #expect(failure(chain: key, key: chain) == .noCertificate(found: "EC PRIVATE KEY"))
        #expect(failure(chain: chain, key: chain) == .noKey(found: "CERTIFICATE"))
        #expect(failure(chain: chain, key: []) == .noKey(found: nil))
        #expect(
            failure(chain: [UInt8](repeating: 10, count: PEM.octetLimit + 1), key: key)
                == .tooLarge(
                    what: "the length of the certificate chain in octets", limit: PEM.octetLimit))
    }

    @Test func `has a chain of 32 certificates at most`() {
        let (chain, key) = (certificates["ec.pem"], certificates["ec.key"])
        let long = Array(repeatElement(chain, count: PEM.chainLimit + 1).joined())
        #expect(
            failure(chain: long, key: key)
                == .tooLarge(what: "the number of certificates in a chain", limit: PEM.chainLimit))
    }

    @Test func `may stand among other blocks and words, as openssl writes them`() {
        let parameters = Array(
            "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n".utf8)
        let words = Array("subject=CN = one\r\n".utf8)
        #expect(
            failure(
                chain: words + certificates["ec.pem"] + words,
                key: parameters + certificates["ec.key"]) == nil)
        let both = certificates["ec.key"] + certificates["ec.pem"]
        #expect(failure(chain: both, key: both) == nil)
    }

    @Test func `that is cut or damaged is refused with its position`() {
        let (chain, key) = (certificates["ec.pem"], certificates["ec.key"])
        guard case .unreadableCertificate(1, _) = failure(chain: Array(chain.prefix(200)), key: key)
        else {
            Issue.record("a cut certificate")
            return
        }
        guard case .unreadableCertificate(2, _) = failure(chain: chain + chain.prefix(300), key: key)
        else {
            Issue.record("a cut second certificate")
            return
        }
        guard case .unreadableKey = failure(chain: chain, key: Array(key.prefix(100))) else {
            Issue.record("a cut key")
            return
        }
    }

    @Test func `cut anywhere never traps`() {
        let (chain, key) = (certificates["rsa.pem"], certificates["rsa.key"])
        for length in stride(from: 0, to: chain.count - 1, by: 41) {
            #expect(failure(chain: Array(chain.prefix(length)), key: key) != nil)
            #expect(failure(chain: chain, key: Array(key.prefix(length))) != nil)
        }
    }

    @Test func `with another certificate's key is refused`() {
        #expect(
            failure(chain: certificates["ec.pem"], key: certificates["rsa.key"])
                == .keyMismatch(subject: "O=Acme,CN=one.example.test", position: nil))
        #expect(
            failure(chain: certificates["reversed.pem"], key: certificates["ec.key"])
                == .keyMismatch(subject: "CN=test-ca", position: 2))
    }

    @Test func `with an encrypted key is refused without asking for the pass phrase`() {
        #expect(
            failure(chain: certificates["ec.pem"], key: certificates["locked.key"]) == .encryptedKey)
    }

    @Test func `with a weak key is refused`() {
        #expect(
            failure(chain: certificates["weak.pem"], key: certificates["weak.key"])
                == .refusedCertificate(subject: "CN=weak", reason: "ee key too small"))
    }

    @Test func `of the same key type as another is refused`() {
        #expect(throws: TLSError.sameKeyTypeTwice(keyType: "ECDSA")) {
            try certificates.context("ec", "wild")
        }
        #expect(throws: TLSError.noCertificate(found: nil)) { try TLSContext(certificates: []) }
    }

    @Test func `that has expired is served with a warning`() throws {
        let context = try certificates.context("old")
        let report = context.reports[0]
        #expect(report.problems == [.expired(notAfter: report.notAfter)])
        #expect(report.problems[0].description.hasPrefix("the certificate expired on 20"))
        let line = try Line(
            selector((["*"], context)), client: try TLSClientContext(verifiesPeer: false))
        #expect(line.shakeHands() == (.done, .done))
    }

    @Test func `tells its names, key and days`() throws {
        let report = try CertificateReport(chain: certificates["rsa.pem"])
        #expect(report.subject == "O=Acme,CN=one.example.test")
        #expect(report.issuer == "CN=test-ca")
        #expect(report.dnsNames == ["one.example.test", "localhost"])
        #expect(report.addresses == ["127.0.0.1"])
        #expect((report.keyType, report.keyBits) == (.rsa, 2048))
        #expect(report.notAfter - report.notBefore == 30 * 86_400)
        #expect(report.problems.isEmpty)
        let other = try CertificateReport(chain: certificates["other.pem"])
        #expect(other.addresses == ["0:0:0:0:0:0:0:1"])
        #expect(
            try CertificateReport(chain: certificates["bare.pem"]).problems == [.noAlternativeNames]
        )
    }

    @Test(arguments: [
        ("one.example.test", true), ("ONE.example.test.", true), ("a.one.example.test", false),
        ("*.example.test", true), ("example.test", false), ("*.test", false), ("*", true),
        ("", false),
        (".example.test", false), ("*.one.example.test", false),
    ])
    func `covers exactly one label by its star`(host: String, isCovered: Bool) throws {
        let report = try CertificateReport(chain: certificates["wild.pem"])
        #expect(report.covers(host: host) == isCovered)
    }

    @Test func `chooses among known cipher suites only`() throws {
        func failure(_ name: String) -> TLSError? {
            do throws(TLSError) {
                _ = try TLSContext(certificates: [certificates.pair("ec")], cipherSuites: [name])
                return nil
            } catch {
                return error
            }
        }
        #expect(failure("ECDHE-ECDSA-AES128-GCM-SHA256") == nil)
        #expect(failure("TLS_AES_256_GCM_SHA384") == nil)
        #expect(
            failure("ECDHE-ECDSA-AES128-GCM-SHA265")
                == .unknownCipherSuite(
                    name: "ECDHE-ECDSA-AES128-GCM-SHA265", nearest: "ECDHE-ECDSA-AES128-GCM-SHA256")
        )
        #expect(failure("ALL") == .unknownCipherSuite(name: "ALL", nearest: nil))
        #expect(throws: TLSError.versionsReversed(lowest: .tls13, highest: .tls12)) {
            try certificates.context("ec", minVersion: .tls13, maxVersion: .tls12)
        }
    }
}

@Suite struct `A cipher suite` {
    @Test func `is supported by name, if OpenSSL has it and we know it`() {
        #expect(TLSContext.supports(cipherSuite: "ECDHE-RSA-AES128-GCM-SHA256"))
        for name in ["DES-CBC3-SHA", "ALL", "eNULL", "fake", "", "TLS_AES_128_GCM_SHA256", "-ECDHE-RSA-AES128-SHA"] {
            #expect(!TLSContext.supports(cipherSuite: name))
        }
    }
}
