internal import Octets

/// Reads kubeconfigs. Errors have file, line and column, and quote nothing that might be a secret.
package enum KubeconfigReader {
    /// The largest file, in octets.
    package static let mostOctets = 4 << 20

    /// Reads files as kubectl merges them: of several entries with one name the first counts, and of several
    /// `current-context` too.
    /// - Parameters:
    ///   - files: names and contents, in the order of `KUBECONFIG`.
    ///   - context: nil: the current one.
    /// - Returns: nil for the kubeconfig if there is an error among the diagnostics.
    package static func read(
        _ files: [(name: String, octets: [UInt8])], context: String? = nil
    ) -> (kubeconfig: Kubeconfig?, diagnostics: [Diagnostic]) {
        let state = DecodingState(defaultNamespace: "default")
        var parts = KubeconfigParts()
        for (name, octets) in files {
            guard let decoder = parse(name, octets, state) else { continue }
            parts.add(decoder)
        }
        let first = SourcePlace(file: files.first?.name ?? "kubeconfig", line: 1, column: 1)
        let found = parts.kubeconfig(context, state: state, at: first)
        let diagnostics = state.output.diagnostics
        return (diagnostics.contains { $0.severity == .error } ? nil : found, diagnostics)
    }

    private static func parse(_ name: String, _ octets: [UInt8], _ state: DecodingState) -> Decoder? {
        state.beginFile(nil)
        let text = octets[...]
        let report = { (code: String, message: String, line: Int, column: Int) in
            let place = SourcePlace(file: name, line: line, column: column)
            state.output.diagnostics.append(Diagnostic(.error, code, message, at: place))
        }
        guard Directives.firstExcess(in: text) == nil else {
            report("too-many-directives", "lines that begin with % have no place in a kubeconfig", 1, 1)
            return nil
        }
        guard octets.count <= mostOctets else {
            report("could-not-read", "larger than \(mostOctets >> 20) MiB", 1, 1)
            return nil
        }
        do throws(SyntaxError) {
            var builder = TreeBuilder(text)
            guard let tree = try builder.next() else { return nil }    // an empty file is none
            return Decoder(file: SourceName(name), tree: tree, state: state)
        } catch {
            report(error.code, error.message, error.line, error.column)
            return nil
        }
    }
}

/// The entries of all files.
private struct KubeconfigParts {
    private var clusters: [String: Value] = [:]
    private var users: [String: Value] = [:]
    private var contexts: [String: Value] = [:]
    private var current: (name: String, at: Value)?
    private var names: [String] = []

    /// Adds the entries of one file.
    mutating func add(_ decoder: Decoder) {
        decoder.begin(nil, at: decoder.tree.root)
        decoder.hideTexts()
        decoder.reportTreeProblems()
        let value = Value(decoder: decoder, node: decoder.tree.root)
        guard !value.isNull, var mapping = value.mapping() else { return }
        if let kind = mapping.field("kind"), kind.raw != "Config" {
            kind.error("wrong-kind", "this is no kubeconfig: its kind is not Config")
        }
        mapping.ignore("apiVersion", "preferences", "extensions")
        Self.entries(&mapping, "clusters", "cluster").forEach { if clusters[$0] == nil { clusters[$0] = $1 } }
        Self.entries(&mapping, "users", "user").forEach { if users[$0] == nil { users[$0] = $1 } }
        for (name, context) in Self.entries(&mapping, "contexts", "context") where contexts[name] == nil {
            contexts[name] = context
            names.append(name)
        }
        let field = mapping.field("current-context")    // asked for in each file: it is a known one
        if current == nil, let field, let name = field.string(), !name.isEmpty { current = (name, field) }
        mapping.finish(unknown: .harmless)
    }

    /// The entries of a list of `{name: …, cluster: {…}}`.
    private static func entries(
        _ mapping: inout Mapping, _ list: StaticString, _ content: StaticString
    ) -> [(String, Value)] {
        mapping.elements(list).compactMap { element in
            guard var entry = element.mapping(), let name = entry.require("name")?.string() else { return nil }
            return entry.field(content).map { (name, $0) }
        }
    }

    /// Reads a context; nil, with a report, if there is no such one.
    /// - Parameter first: where the files begin, for what has no other place.
    func kubeconfig(_ wanted: String?, state: DecodingState, at first: SourcePlace) -> Kubeconfig? {
        let fail = { (message: String, place: SourcePlace, hint: String?) in
            state.output.diagnostics.append(Diagnostic(.error, "no-context", message, hint: hint, at: place))
        }
        guard let name = wanted ?? current?.name else {
            fail("no context is named", first, "give --context NAME, or set current-context")
            return nil
        }
        guard let found = contexts[name] else {
            let place = wanted == nil ? current?.at.place ?? first : first
            let nearest =
                NearestName.find(name, among: names).map { "did you mean `\($0)`?" }
                ?? (names.isEmpty ? nil : "known here: \(names.sorted().prefix(10).joined(separator: ", "))")
            fail("there is no context `\(name)`", place, nearest)
            return nil
        }
        guard var context = found.mapping(), let cluster = entry(&context, "cluster", clusters, "clusters") else {
            return nil
        }
        let namespace = context.string("namespace") ?? ""
        context.ignore("extensions")
        let user = context.field("user") == nil ? nil : entry(&context, "user", users, "users")
        context.finish(unknown: .harmless)
        guard var kubeconfig = KubeconfigCluster.read(cluster, context: name) else { return nil }
        kubeconfig.namespace = namespace
        if let user { KubeconfigUser.read(user, &kubeconfig) }
        return kubeconfig
    }

    private func entry(
        _ context: inout Mapping, _ field: StaticString, _ entries: [String: Value], _ list: String
    ) -> Value? {
        guard let value = context.require(field), let name = value.string() else { return nil }
        if let found = entries[name] { return found }
        value.error("no-entry", "`\(list)` has no entry with this name")
        return nil
    }
}

extension Value {
    /// A path in the file, which is relative to the file's folder.
    func path(_ text: String) -> String {
        guard !text.hasPrefix("/") else { return text }
        let file = decoder.file.text
        guard let slash = file.lastIndex(of: "/") else { return text }
        return file[...slash] + text
    }
}

/// Reads `cluster`.
private enum KubeconfigCluster {
    /// A kubeconfig without a user; nil, with a report, if the server is not known.
    static func read(_ value: Value, context: String) -> Kubeconfig? {
        guard var mapping = value.mapping() else { return nil }
        let server = mapping.require("server")
        let serverName = mapping.string("tls-server-name")
        let skips = mapping.bool("insecure-skip-tls-verify") ?? false
        let authority = mapping.content("certificate-authority-data", "certificate-authority")
        if let proxy = mapping.field("proxy-url"), !proxy.isEmptyText {
            proxy.error("not-supported", "a proxy to the API server is not supported", hint: "remove proxy-url")
        }
        mapping.ignore("disable-compression", "extensions")
        mapping.finish(unknown: .harmless)
        guard let server, let text = server.string() else { return nil }
        guard let place = ServerPlace(text) else {
            server.error(
                "invalid-server", "not the address of an API server", hint: "for example https://10.0.0.1:6443")
            return nil
        }
        return Kubeconfig(
            context: context, namespace: "", host: place.host, port: place.port, pathPrefix: place.path,
            serverName: serverName.flatMap { $0.isEmpty ? nil : $0 }, skipsVerification: skips, authority: authority)
    }
}

/// `https://HOST[:PORT][/PATH]`.
struct ServerPlace: Equatable {
    /// Without brackets.
    let host: String
    let port: UInt16    // 443 if there is none
    let path: String    // without a slash at its end

    /// nil if the text is something else.
    init?(_ text: String) {
        let scheme = "https://"
        guard text.lowercased().hasPrefix(scheme), text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        var rest = text.dropFirst(scheme.count)
        guard !rest.contains(where: { "?#@\\\"".contains($0) }) else { return nil }
        var path = rest.firstIndex(of: "/").map { rest[$0...] } ?? ""
        rest = rest.prefix { $0 != "/" }
        while path.last == "/" { path.removeLast() }
        var host = rest
        var portText: Substring?
        if rest.first == "[" {
            guard let end = rest.firstIndex(of: "]") else { return nil }
            host = rest[rest.index(after: rest.startIndex)..<end]
            let after = rest[rest.index(after: end)...]
            guard after.isEmpty || after.first == ":" else { return nil }
            portText = after.isEmpty ? nil : after.dropFirst()
        } else if let colon = rest.firstIndex(of: ":") {
            host = rest[..<colon]
            portText = rest[rest.index(after: colon)...]
            guard portText?.contains(":") == false else { return nil }
        }
        guard !host.isEmpty, host.utf8.count <= 253 else { return nil }
        guard let number = portText.map({ UInt16($0) }) ?? 443, number > 0 else { return nil }
        (self.host, port, self.path) = (String(host), number, String(path))
    }
}

/// Reads `user`.
private enum KubeconfigUser {
    /// Adds what the user has.
    static func read(_ value: Value, _ kubeconfig: inout Kubeconfig) {
        guard var mapping = value.mapping() else { return }
        kubeconfig.certificate = mapping.content("client-certificate-data", "client-certificate")
        kubeconfig.key = mapping.content("client-key-data", "client-key")
        if (kubeconfig.certificate == nil) != (kubeconfig.key == nil) {
            value.error("half-a-pair", "a client's certificate needs its key, and a key its certificate")
        }
        readToken(&mapping, &kubeconfig)
        refuseOthers(&mapping)
        if let exec = mapping.field("exec") {
            kubeconfig.plugin = plugin(exec)
            if kubeconfig.token != nil { exec.error("two-credentials", "a token and a plugin: keep one of the two") }
        }
        mapping.ignore("extensions")
        mapping.finish(unknown: .harmless)
    }

    /// The file's token counts where there are both.
    private static func readToken(_ mapping: inout Mapping, _ kubeconfig: inout Kubeconfig) {
        let (token, file) = (mapping.field("token"), mapping.field("tokenFile"))
        if let file, let path = file.string(), !path.isEmpty {
            kubeconfig.token = .file(file.path(path))
        } else if let token, let text = token.string(), !text.isEmpty {
            kubeconfig.token = .text(text)
        }
    }

    private static func refuseOthers(_ mapping: inout Mapping) {
        if let provider = mapping.field("auth-provider") {
            provider.error(
                "not-supported", "auth-provider is not supported; Kubernetes has removed it",
                hint: "use the cloud's exec plugin")
        }
        for name in ["username", "password"] as [StaticString] {
            guard let field = mapping.field(name), !field.isEmptyText else { continue }
            field.error("not-supported", "passwords are not supported; Kubernetes has removed them")
        }
        for name in ["as", "as-uid", "as-groups", "as-user-extra"] as [StaticString] {
            guard let field = mapping.field(name), !field.isEmptyText, !field.isEmptyList else { continue }
            field.error("not-supported", "acting as somebody else is not supported", hint: "remove it")
        }
    }

    private static func plugin(_ value: Value) -> Kubeconfig.Plugin? {
        guard var mapping = value.mapping() else { return nil }
        let command = mapping.require("command").flatMap { field in
            field.string().map { $0.contains("/") ? field.path($0) : $0 }
        }
        let version = mapping.require("apiVersion").flatMap(version)
        let arguments = mapping.strings("args")
        let environment = mapping.elements("env").compactMap(variable)
        let hint = mapping.string("installHint") ?? ""
        let tellsCluster = mapping.bool("provideClusterInfo") ?? false
        if let mode = mapping.field("interactiveMode"), mode.raw == "Always" {
            mode.error("not-supported", "a plugin that needs a terminal cannot be run here")
        }
        mapping.finish(unknown: .harmless)
        guard let command, let version else { return nil }
        return Kubeconfig.Plugin(
            apiVersion: version, command: command, arguments: arguments, environment: environment, installHint: hint,
            tellsCluster: tellsCluster)
    }

    private static let versions = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"]

    private static func version(_ value: Value) -> String? {
        guard let text = value.string() else { return nil }
        if versions.contains(text) { return text }
        value.error("not-supported", "this version of plugins is not supported", hint: "use \(versions[0])")
        return nil
    }

    private static func variable(_ value: Value) -> Kubeconfig.Variable? {
        guard var mapping = value.mapping(), let field = mapping.require("name"), let name = field.string() else {
            return nil
        }
        let text = mapping.string("value") ?? ""
        mapping.finish(unknown: .harmless)
        guard !name.isEmpty, !name.utf8.contains(where: { $0 == UInt8(ascii: "=") || $0 == 0 }),
            !text.utf8.contains(0)
        else {
            field.error("invalid-name", "not the name of a variable")
            return nil
        }
        return Kubeconfig.Variable(name: name, value: text)
    }
}

extension Mapping {
    /// A content that is in the file, in Base64, or in another file; the one in the file counts.
    fileprivate mutating func content(
        _ data: StaticString, _ file: StaticString
    ) -> Kubeconfig.Content<SecretOctets>? {
        let (data, file) = (field(data), field(file))
        if let data, !data.isEmptyText { return data.base64().map { .text($0) } }
        guard let file, let path = file.string(), !path.isEmpty else { return nil }
        return .file(file.path(path))
    }
}
