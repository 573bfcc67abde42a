internal import Manifests

extension Credentials {
    /// What clients of a server have to show; nil if they are not asked. The server's own credential was looked up
    /// before, so what is wrong with its name was reported.
    func clients(of tls: Gateway.TLS, gateway: ObjectReference) -> ClientDemand? {
        if tls.mode == .istioMutual {
            return ClientDemand(
                isOptional: false, authorities: .mesh, names: tls.subjectAltNames, keyPins: tls.verifyCertificateSpki,
                certificatePins: tls.verifyCertificateHash)
        }
        guard tls.mode == .mutual || tls.mode == .optionalMutual else { return nil }
        return ClientDemand(
            isOptional: tls.mode == .optionalMutual, authorities: authorities(of: tls, gateway: gateway),
            revocations: tls.caCrl?.value, names: tls.subjectAltNames, keyPins: tls.verifyCertificateSpki,
            certificatePins: tls.verifyCertificateHash, isSkipped: tls.insecureSkipVerify)
    }

    private func authorities(of tls: Gateway.TLS, gateway: ObjectReference) -> ClientDemand.Authorities {
        if let written = tls.caCertCredentialName {
            guard case .secret(let namespace, let name) = source(written, for: .authorities, gateway: gateway) else {
                return .refused(written.value)
            }
            return .secret(namespace: namespace, name: name)
        }
        guard let written = tls.credentialName ?? tls.credentialNames.first else {
            return tls.caCertificates.map { .file($0.value) } ?? .refused("`caCertificates`, which is missing,")
        }
        return authorities(beside: written, gateway: gateway)
    }

    /// The Secret `NAME-cacert` if there is one, also if it has an error; otherwise the server's own.
    private func authorities(beside written: Located<String>, gateway: ObjectReference) -> ClientDemand.Authorities {
        guard let (namespace, name) = place(of: written, gateway: gateway) else { return .refused(written.value) }
        let other = name + "-cacert"
        let found = find(other, in: namespace)
        if found.exists { return .secret(namespace: namespace, name: other) }
        if let object = found.leftOut {
            report("unknown-secret", object.hint, hint: nil, written, gateway, related: object.related)
            return .refused(other)
        }
        return .secret(namespace: namespace, name: name)
    }
}
