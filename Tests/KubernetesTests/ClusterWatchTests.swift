import Reactor
import Support
import Testing

@testable import Kubernetes

/// The client as a whole, against a server of the tests' own.
@Suite struct `A watch of a cluster` {
    private func state(_ services: Int = 1) -> FakeState {
        var state = FakeState()
        for number in 0..<services { state.put("services", "shop", "s\(1000 + number)") }
        return state
    }

    @Test func `lists and watches all kinds on one connection`() throws {
        var state = state(1200)
        state.put("pods", "shop", "p")
        state.put("endpointslices", "shop", "e", #""endpoints":null"#)
        state.groups["discovery.k8s.io"] = ["v1": ["endpointslices"]]
        let server = try FakeServer(state)
        defer { server.stop() }
        let client = try Client(.fake(server.port), kinds: [.services, .pods, .endpointSlices])
        #expect(client.waits { $0.states.count == 3 && $0.states.values.allSatisfy { $0 == .current } })
        #expect(client.learned.now.objects.count == 1202)
        server.change {
            $0.put("services", "shop", "new")
            $0.delete("services", "shop", "s1000")
            $0.put("services", "shop", "s1001", #""spec":{"x":"é"}"#)
        }
        #expect(client.waits { $0.objects["services/shop/new"] != nil && $0.objects["services/shop/s1000"] == nil })
        #expect(client.learned.now.objects["services/shop/s1001"] == "1206")
        #expect(client.learned.now.lists == 3)
        #expect(server.connections == 1)
        #expect(server.requests.count { $0.contains("/services?limit=500") } == 3)
        #expect(server.accepts.contains { $0.contains("as=PartialObjectMetadataList;g=meta.k8s.io;v=v1") })
        #expect(
            client.learned.now.events.contains { event in
                guard case .page(.endpointSlices, _, let objects, _, _) = event else { return false }
                return objects.contains { String(decoding: $0, as: UTF8.self).contains(#""endpoints":null"#) }
            })
    }

    @Test func `takes a streamed list where the server offers it`() throws {
        var state = state(1200)
        state.streamsLists = true
        let server = try FakeServer(state)
        defer { server.stop() }
        let client = try Client(.fake(server.port))
        #expect(client.becomesCurrent())
        #expect(client.learned.now.objects.count == 1200)
        server.change { $0.put("services", "shop", "new") }
        #expect(client.waits { $0.objects["services/shop/new"] != nil })
        #expect(server.requests.count == 1)
    }

    @Test func `lists again when what takes the objects has room for more, and goes on watching`() throws {
        let server = try FakeServer(state(3))
        defer { server.stop() }
        let client = try Client(.fake(server.port))
        #expect(client.becomesCurrent())
        client.learned.wantList(.services)
        server.change { $0.put("services", "shop", "first") }
        #expect(client.waits { $0.lists == 2 })
        server.change { $0.put("services", "shop", "second") }
        #expect(client.waits { $0.objects.count == 5 })
        #expect(client.learned.now.lists == 2 && client.learned.now.states["services"] == .current)
    }

    @Test func `hands on what it has learned after a bounded number of reads`() throws {
        let server = try FakeServer(state())
        defer { server.stop() }
        let client = try Client(.fake(server.port), mostReads: 1)
        #expect(client.becomesCurrent())
        let rest = #""spec":{"x":"\#(String(repeating: "x", count: 1000))"}"#
        server.change { for number in 0..<3000 { $0.put("services", "shop", "n\(number)", rest) } }
        #expect(client.waits { $0.objects.count == 3001 })
        let batches = client.learned.now.batches
        #expect(batches.reduce(0, +) > 3_000_000)
        #expect(batches.allSatisfy { $0 <= APIConnection.readOctets + 2000 }, "\(batches.max() ?? 0)")
    }

    @Test func `watches each namespace by itself`() throws {
        var state = state()
        state.put("services", "other", "o")
        state.put("services", "third", "t")
        let server = try FakeServer(state)
        defer { server.stop() }
        let client = try Client(.fake(server.port), namespaces: ["shop", "third"])
        #expect(client.becomesCurrent("services/shop") && client.becomesCurrent("services/third"))
        #expect(client.learned.now.objects.keys.sorted() == ["services/shop/s1000", "services/third/t"])
    }

    @Test(arguments: [FakeServer.Command.drop, .endWatches, .halfALine, .goAway])
    func `loses nothing when the server breaks off`(command: FakeServer.Command) throws {
        let server = try FakeServer(state())
        defer { server.stop() }
        let client = try Client(.fake(server.port))
        #expect(client.becomesCurrent())
        for round in 0..<4 {
            server.send(command)
            server.change { $0.put("services", "shop", "r\(round)") }
            #expect(client.waits { $0.objects["services/shop/r\(round)"] != nil })
        }
        #expect(client.learned.now.lists == 1)    // nothing had to be listed again
        // What is asked for after a GOAWAY goes out on another connection.
        client.watch.request("GET", "/api/v1/pods", reply: client.learned.reply)
        #expect(client.waits { !$0.replies.isEmpty })
    }

    @Test func `reports that the server is away, and is current when it is back`() throws {
        let server = try FakeServer(state())
        let port = server.port
        let client = try Client(.fake(port))
        #expect(client.becomesCurrent())
        server.stop()
        #expect(client.waits { if case .unreachable? = $0.states["services"] { true } else { false } })
        #expect(client.learned.now.objects.count == 1)
        #expect(client.waits { $0.messages.contains { $0.contains("Everything goes on being served") } })
        var later = FakeState()
        for number in 0..<9 { later.put("services", "shop", "s\(number)") }
        let again = try FakeServer(port: port, later)
        defer { again.stop() }
        #expect(client.becomesCurrent())
        #expect(client.waits { $0.messages.contains { $0.contains("answers again") } })
    }

    @Test func `waits for a server that is not there yet, and says why`() throws {
        let door = try Socket.listen(try #require(SocketAddress(host: "127.0.0.1", port: 0)), sharing: .none)
        let port = try #require(Socket.localAddress(door.number)).port
        _ = consume door
        let client = try Client(.fake(port))
        #expect(
            client.waits {
                if case .unreachable(_, let reason)? = $0.states["services"] {
                    reason.contains("refused")
                } else {
                    false
                }
            })
        let server = try FakeServer(port: port, state())
        defer { server.stop() }
        #expect(client.becomesCurrent())
    }

    @Test func `lists anew when the server has lost its state`() throws {
        let server = try FakeServer(state(40))
        defer { server.stop() }
        let client = try Client(.fake(server.port))
        #expect(client.becomesCurrent())
        server.change {
            $0.wipe()
            $0.put("services", "shop", "after")
        }
        server.send(.drop)
        #expect(client.waits { $0.objects.keys.sorted() == ["services/shop/after"] })
        #expect(client.becomesCurrent())
    }

    @Test func `lists anew when its version has expired`() throws {
        let server = try FakeServer(state(3))
        defer { server.stop() }
        let client = try Client(.fake(server.port))
        #expect(client.becomesCurrent())
        server.change {
            $0.oldest = 1_000_000
            $0.faults = [FakeState.Fault(part: "watch=1", status: 410, times: 3)]
        }
        server.send(.endWatches)
        #expect(client.waits { $0.lists >= 2 })
        server.change { $0.oldest = 0 }
        #expect(client.becomesCurrent())
        server.change { $0.put("services", "shop", "new") }
        #expect(client.waits { $0.objects["services/shop/new"] != nil })
    }

    @Test func `gives up a connection that is silent and answers no PING`() throws {
        let server = try FakeServer(state())
        defer { server.stop() }
        var timing = WatchTiming.quick
        (timing.pingAfter, timing.pong, timing.connect) = (100, 200, 200)
        let client = try Client(.fake(server.port), timing: timing)
        #expect(client.becomesCurrent())
        server.send(.mute(true))
        #expect(
            client.waits {
                if case .unreachable? = $0.states["services"] { true } else { false }
            })
        #expect(client.waits { $0.limits.contains(.silence) && $0.limits.contains(.connectTime) })
        server.send(.mute(false))
        #expect(client.becomesCurrent())
        server.change { $0.put("services", "shop", "new") }
        #expect(client.waits { $0.objects["services/shop/new"] != nil })
    }

    @Test(arguments: [429, 500, 503, 504, 401, 418])
    func `goes on after errors of the server`(status: Int) throws {
        var state = state()
        state.faults = [
            FakeState.Fault(part: "limit=500", status: status, times: 3),
            FakeState.Fault(part: "watch=1", status: status),
        ]
        let server = try FakeServer(state)
        defer { server.stop() }
        let client = try Client(.fake(server.port))
        #expect(client.becomesCurrent())
        #expect(server.connections == 1)
    }

    @Test(arguments: ["", "{", "null", "[1]", "\u{0}\u{1}", #"{"metadata":{"resourceVersion":"4"},"items":{}}"#])
    func `does not take garbage for a list`(garbage: String) throws {
        var state = state()
        state.faults = [FakeState.Fault(part: "limit=500", status: 200, body: garbage, times: 2)]
        let server = try FakeServer(state)
        defer { server.stop() }
        let client = try Client(.fake(server.port))
        #expect(client.becomesCurrent())
        #expect(client.learned.now.objects.count == 1)
    }

    @Test func `finds a kind that is installed later, and ends its stand-in`() throws {
        var state = state()
        state.put("endpoints", "shop", "old")
        state.put("endpointslices", "shop", "e")
        let server = try FakeServer(state)
        defer { server.stop() }
        let client = try Client(
            .fake(server.port), kinds: [.endpointSlices, .endpoints],
            standIns: [.init(.endpoints, for: .endpointSlices)])
        #expect(client.becomesCurrent("endpoints"))
        #expect(client.learned.now.states["endpointslices"] == .absent)
        #expect(client.learned.now.objects.keys.sorted() == ["endpoints/shop/old"])
        server.change { $0.groups["discovery.k8s.io"] = ["v1": ["endpointslices"]] }
        #expect(client.becomesCurrent("endpointslices"))
        #expect(client.waits { $0.objects.keys.sorted() == ["endpointslices/shop/e"] })
    }

    @Test func `reads Secrets by name, and opens connections when streams are used up`() throws {
        var state = state()
        for number in 0..<60 { state.put("secrets", "shop", "t\(number)") }
        let server = try FakeServer(streams: 24, state)
        defer { server.stop() }
        let client = try Client(.fake(server.port))
        #expect(client.becomesCurrent())
        let names = Set((0..<60).map { SecretName(namespace: "shop", name: "t\($0)") })
        client.watch.watchSecrets(names.union([SecretName(namespace: "shop", name: "none")]))
        #expect(client.waits { $0.secrets.count { $0.value == .current } == 60 })
        #expect(client.waits { $0.secrets[SecretName(namespace: "shop", name: "none")] == .absent })
        #expect(client.waits { _ in server.connections >= 3 })
        server.change { $0.put("secrets", "shop", "none") }
        #expect(client.waits { $0.objects["secrets/shop/none"] != nil })
        #expect(!server.requests.contains { $0.contains("/secrets?limit") })
        client.watch.watchSecrets([])
        client.watch.watchSecrets([SecretName(namespace: "shop", name: "t0")])
    }

    @Test func `opens no more connections than it may, and counts that requests wait`() throws {
        var state = state()
        for number in 0..<100 { state.put("secrets", "shop", "t\(number)") }
        let server = try FakeServer(streams: 8, state)
        defer { server.stop() }
        let client = try Client(.fake(server.port))
        #expect(client.becomesCurrent() && !client.learned.now.limits.contains(.connections))
        client.watch.watchSecrets(Set((0..<100).map { SecretName(namespace: "shop", name: "t\($0)") }))
        #expect(client.waits { $0.limits.contains(.connections) && $0.limits.contains(.answersWaiting) })
        #expect(client.waits { _ in server.connections == 8 })
    }

    /// A proxy in front of the server may allow very few. Watches must find a place all the same.
    @Test(arguments: [1, 2, 5, 9] as [UInt32])
    func `watches all kinds at a server that allows few streams`(streams: UInt32) throws {
        var state = state()
        state.put("services", "shop", "web")
        state.groups["discovery.k8s.io"] = ["v1": ["endpointslices"]]
        let server = try FakeServer(streams: streams, state)
        defer { server.stop() }
        let client = try Client(.fake(server.port), kinds: [.services, .endpointSlices])
        #expect(client.becomesCurrent() && client.becomesCurrent("endpointslices"))
        server.change { $0.put("services", "shop", "later") }
        #expect(client.waits { $0.objects["services/shop/later"] != nil })
    }

    @Test func `makes requests of others on the same connection`() throws {
        let server = try FakeServer(state())
        defer { server.stop() }
        let client = try Client(.fake(server.port))
        #expect(client.becomesCurrent())
        let body = [UInt8](repeating: UInt8(ascii: "x"), count: 200_000)
        client.watch.request(
            "PATCH", "/api/v1/x", contentType: "application/merge-patch+json", body: body, reply: client.learned.reply)
        #expect(client.waits { !$0.replies.isEmpty })
        let whole = Array("PATCH /api/v1/x ".utf8) + body
        #expect(client.learned.now.replies == [.answer(status: 200, retryAfter: nil, body: whole)])
        server.change { $0.faults = [FakeState.Fault(part: "/silent", status: 0)] }
        client.watch.request("GET", "/silent", milliseconds: 100, reply: client.learned.reply)
        #expect(client.waits { $0.replies.count == 2 })
        #expect(client.learned.now.replies.last == .failed("the server did not answer in time"))
        #expect(server.connections == 1)
    }
}

@Suite struct `The access to a cluster` {
    private func state() -> FakeState {
        var state = FakeState()
        state.put("services", "shop", "s")
        return state
    }

    private func reason(_ access: ClusterAccess) throws -> String {
        let client = try Client(access)
        guard client.waits(until: { $0.states["services"] != nil }),
            case .unreachable(_, let reason)? = client.learned.now.states["services"]
        else { return "" }
        return reason
    }

    @Test func `needs a server that the authority has named`() throws {
        let server = try FakeServer(state())
        defer { server.stop() }
        var access = ClusterAccess.fake(server.port, serverName: "another.test")
        #expect(try reason(access).contains("another.test"))
        access.serverName = "api.test"
        access.trust = .system
        #expect(try reason(access).contains("TLS with the server at 127.0.0.1"))
        access.trust = .file("/nowhere/ca.crt")
        #expect(try reason(access).contains("/nowhere/ca.crt"))
        access.trust = .anything
        let client = try Client(access)
        #expect(client.becomesCurrent())
    }

    @Test func `needs a server that speaks HTTP/2`() throws {
        let door = try Socket.listen(try #require(SocketAddress(host: "127.0.0.1", port: 0)), sharing: .none)
        let port = try #require(Socket.localAddress(door.number)).port
        _ = consume door
        let folder = FakeCertificates.shared.folder
        let command = "openssl s_server -www -accept 127.0.0.1:\(port) -cert server.pem -key server.key -alpn http/1.1"
        #expect(folder.run("\(command) & echo $! > s_server.pid"))
        defer { _ = folder.run("kill $(cat s_server.pid)") }
        let client = try Client(.fake(port))
        #expect(client.waits { $0.messages.contains { $0.contains("refused") || $0.contains("HTTP/2") } })
        // The client reports one reason of an outage, so another one asks once the server is up.
        for _ in 0..<200 where try !reason(.fake(port)).contains("does not speak HTTP/2") {}
        #expect(try reason(.fake(port)).contains("does not speak HTTP/2"))
    }

    @Test func `takes a token that was replaced`() throws {
        let folder = TemporaryFolder()
        let path = folder.write("token", "one\n")
        var state = state()
        state.tokens = ["one"]
        let server = try FakeServer(state)
        defer { server.stop() }
        let client = try Client(.fake(server.port, credential: .tokenFile(path)))
        #expect(client.becomesCurrent())
        server.change { $0.tokens = ["two"] }
        folder.write("token", "two")
        server.send(.endWatches)
        server.change { $0.put("services", "shop", "new") }
        #expect(client.waits { $0.objects["services/shop/new"] != nil })
    }

    @Test func `runs a plugin, and runs it again when its token is refused`() throws {
        let folder = TemporaryFolder()
        let script = """
            #!/bin/sh
            echo run >> runs
            printf '%s' "$KUBERNETES_EXEC_INFO" > info
            version=client.authentication.k8s.io/v1
            printf '{"apiVersion":"%s","kind":"ExecCredential","status":{"token":"%s%s"}}' $version \
                "$PREFIX" "$(wc -l < runs | tr -d ' ')"
            """
        folder.write("plugin", script)
        #expect(folder.run("chmod +x plugin"))
        let plugin = ExecPlugin(
            apiVersion: "client.authentication.k8s.io/v1", command: "/bin/sh",
            arguments: ["-c", "cd \(folder.path) && ./plugin"], environment: [.init(name: "PREFIX", value: "t")],
            tellsCluster: true)
        var state = state()
        state.tokens = ["t1"]
        let server = try FakeServer(state)
        defer { server.stop() }
        let client = try Client(.fake(server.port, credential: .plugin(plugin)))
        #expect(client.becomesCurrent())
        #expect(
            String(decoding: folder.read("info"), as: UTF8.self).contains(#""interactive":false,"cluster":{"server":"#))
        server.change { $0.tokens = ["t2"] }
        server.send(.endWatches)
        server.change { $0.put("services", "shop", "new") }
        #expect(client.waits { $0.objects["services/shop/new"] != nil })
    }

    @Test(arguments: [
        ("exit 3", "it ended with status 3; install it"), ("kill -9 $$", "it was ended by signal 9"),
        ("echo nothing", "wrote no ExecCredential"), ("sleep 60 & sleep 60", "it did not end within 1 s"),
        ("head -c 3000000 /dev/zero", "it wrote more than 1024 KiB"),
        (#"echo '{"apiVersion":"client.authentication.k8s.io/v1","status":{}}'"#, "neither a token nor a certificate"),
        (#"echo '{"apiVersion":"other/v1","status":{"token":"x"}}'"#, "ExecCredential of other/v1"),
    ])
    func `says what is wrong with a plugin`(script: String, words: String) throws {
        var plugin = ExecPlugin(
            apiVersion: "client.authentication.k8s.io/v1", command: "/bin/sh", arguments: ["-c", script],
            installHint: "install it")
        plugin.timeoutSeconds = 1
        let found = #expect(throws: AccessError.self) { try plugin.run(for: .fake(1)) }
        #expect(found?.description.contains(words) == true, "\(found?.description ?? "")")
        let isLimit = words.contains("did not end") || words.contains("KiB")
        #expect((found?.limit == .plugin) == isLimit)
    }

    @Test func `says that a plugin has not ended, and goes on when it has`() throws {
        let folder = TemporaryFolder()
        let script = """
            while ! test -e \(folder.path)/go; do sleep 0.05; done
            echo '{"apiVersion":"client.authentication.k8s.io/v1","status":{"token":"t"}}'
            """
        let plugin = ExecPlugin(
            apiVersion: "client.authentication.k8s.io/v1", command: "/bin/sh", arguments: ["-c", script])
        let server = try FakeServer(state())
        defer { server.stop() }
        var timing = WatchTiming.quick
        timing.preparation = 1_000
        let client = try Client(.fake(server.port, credential: .plugin(plugin)), timing: timing)
        #expect(
            client.waits {
                guard case .unreachable(_, let reason)? = $0.states["services"] else { return false }
                return reason.hasPrefix("the credential plugin /bin/sh, or the look-up of 127.0.0.1, has not ended")
            })
        #expect(client.waits { $0.limits.contains(.preparation) })
        folder.write("go", "")
        #expect(client.becomesCurrent())
    }

    @Test func `of a pod comes from its environment and its service account`() throws {
        let folder = TemporaryFolder()
        let environment = ["KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"]
        #expect(throws: AccessError.self) { try ClusterAccess.inCluster(environment: [:], folder: folder.path) }
        #expect(throws: AccessError.self) { try ClusterAccess.inCluster(environment: environment, folder: folder.path) }
        folder.write("token", " t \n")
        folder.write("namespace", "shop\n")
        let access = try ClusterAccess.inCluster(environment: environment, folder: folder.path)
        #expect(access.authority == "[fd00::1]:443")
        #expect(access.namespace == "shop")
        #expect(try access.prepareCredential().bearer == "t")
    }

    @Test(arguments: [
        ("2026-11-26T13:01:35Z", 1_795_698_095), ("2026-11-26t15:01:35.123456+02:00", 1_795_698_095),
        ("1970-01-01T00:00:00Z", 0), ("2024-02-29T23:59:60Z", 1_709_251_200),
    ])
    func `reads times`(text: String, seconds: Int64) { #expect(Timestamp.seconds(text) == seconds) }

    @Test(arguments: [
        "", "2026-11-26", "2026-11-26T13:01:35", "2026-13-26T13:01:35Z", "2026-11-26T13:01:35Zx", "ééééééééééééé",
    ])
    func `reads no other text as a time`(text: String) { #expect(Timestamp.seconds(text) == nil) }
}
