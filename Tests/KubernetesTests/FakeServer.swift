import HTTP
import Octets
import Reactor
import Support
import Synchronization
import TLS

/// An API server of the tests' own, on HTTP/2 and TLS, with a thread of its own. `FakeState` says what it answers.
final class FakeServer: Sendable {
    enum Command: Sendable {
        /// Watches get what is new.
        case news
        case drop, goAway, endWatches, close, halfALine
        /// Reads and writes nothing until the next one.
        case mute(Bool)
    }

    let port: UInt16
    private let state: Lock<FakeState>
    private let mailbox: Mailbox<Command>
    private let accepted = Atomic<Int>(0)
    /// Streams that a connection may have.
    let streams: UInt32

    /// - Parameter port: 0: any that is free.
    init(port: UInt16 = 0, streams: UInt32 = 250, _ state: FakeState = FakeState()) throws {
        guard let address = SocketAddress(host: "127.0.0.1", port: port) else { throw FakeFault.address }
        let listener = try Socket.listen(address, sharing: .none)
        self.port = Socket.localAddress(listener.number)?.port ?? 0
        self.state = Lock(state)
        self.streams = streams
        mailbox = try Mailbox()
        let context = try TLSContext(pairs: [FakeCertificates.shared.server])
        let selector = TLSSelector(chains: [(["*"], context, 0)])
        let number = listener.release()
        try Thread.start("fake-api") { [self] in
            FakeLoop(self, listener: number, selector: selector).run()
            Socket.close(number)
        }
    }

    func change(_ body: @Sendable (inout FakeState) -> Void) {
        state.withLock { body(&$0) }
        mailbox.post(.news)
    }

    func send(_ command: Command) { mailbox.post(command) }
    func stop() { mailbox.post(.close) }
    var requests: [String] { state.withLock { $0.requests } }
    var accepts: [String] { state.withLock { $0.accepts } }
    /// Connections that were accepted so far.
    var connections: Int { accepted.load(ordering: .relaxed) }

    fileprivate var bell: CInt { mailbox.descriptor }
    fileprivate func commands() -> [Command] { mailbox.takeAll() }
    fileprivate func count() { accepted.wrappingAdd(1, ordering: .relaxed) }
    fileprivate func answer(_ method: String, _ path: String, _ bearer: String?, _ accept: String, _ body: String)
        -> FakeState.Answer
    { state.withLock { $0.answer(method, path, bearer: bearer, accept: accept, body: body) } }
    fileprivate func lines(for watch: FakeWatch) -> (String, FakeWatch) {
        state.withLock { state in
            var watch = watch
            return (state.lines(for: &watch), watch)
        }
    }
}

enum FakeFault: Error { case address }

/// A certificate for 127.0.0.1 and `api.test`, its authority, and one for a client.
struct FakeCertificates: Sendable {
    static let shared = FakeCertificates()
    let folder = TemporaryFolder()
    private static let script = """
        set -e
        openssl ecparam -name prime256v1 -genkey -noout -out ca.key
        openssl req -x509 -new -key ca.key -subj /CN=test-ca -days 30 -out ca.pem
        for name in server client; do
            openssl ecparam -name prime256v1 -genkey -noout -out $name.key
            openssl req -new -key $name.key -subj /CN=$name -out $name.csr
            echo subjectAltName=IP:127.0.0.1,DNS:api.test > $name.ext
            openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 \\
                -extfile $name.ext -out $name.pem
        done
        """

    init() { guard folder.run(Self.script) else { preconditionFailure("the openssl command failed") } }

    var authority: [UInt8] { folder.read("ca.pem") }
    var server: KeyPair {
        get throws {
            try KeyPair.read(.init(chain: folder.read("server.pem"), key: folder.read("server.key")))
        }
    }
}

/// The server's thread.
private final class FakeLoop {
    private let server: FakeServer
    private let listener: CInt
    private let selector: TLSSelector
    private var connections: [UInt64: FakeConnection] = [:]
    private var next: UInt64 = 2
    private var isMuted = false

    init(_ server: FakeServer, listener: CInt, selector: TLSSelector) {
        self.server = server
        self.listener = listener
        self.selector = selector
    }

    func run() {
        guard let poller = try? Poller(), (try? poller.watchReadable(server.bell, token: 0)) != nil,
            (try? poller.watchReadable(listener, token: 1)) != nil
        else { return }
        while true {
            let count = poller.wait(milliseconds: -1)
            for index in 0..<count {
                switch poller[index].token {
                case 0:
                    for command in server.commands() {
                        if case .close = command {
                            connections = [:]
                            return
                        }
                        obey(command)
                    }
                case 1: accept(poller)
                case let token: if !isMuted { connections[token]?.becameReady() }
                }
            }
            connections = connections.filter { !$0.value.isOver }
        }
    }

    private func accept(_ poller: Poller) {
        while let (descriptor, _) = try? Socket.accept(listener) {
            guard let connection = FakeConnection(server, selector, descriptor),
                (try? poller.watch(descriptor, token: next)) != nil
            else { continue }
            connections[next] = connection
            next += 1
            server.count()
        }
    }

    private func obey(_ command: FakeServer.Command) {
        switch command {
        case .drop: connections = [:]
        case .mute(let isMuted):
            self.isMuted = isMuted
            if !isMuted { for connection in connections.values { connection.becameReady() } }
        case .news, .goAway, .endWatches, .halfALine: for connection in connections.values { connection.obey(command) }
        case .close: break
        }
    }
}

private final class FakeConnection {
    private let server: FakeServer
    private let descriptor: CInt
    private let tls: TLSSession
    private let pools = MessagePools()
    private let session: HTTP2Session
    private let buffer = OctetBuffer(capacity: 65_536)
    private let outbox = OctetBuffer(capacity: 4096)
    private var watches: [Int: FakeWatch] = [:]
    private var bodies: [Int: (block: HeaderBlock, octets: [UInt8])] = [:]
    private(set) var isOver = false

    init?(_ server: FakeServer, _ selector: TLSSelector, _ descriptor: CInt) {
        self.server = server
        self.descriptor = descriptor
        guard let tls = try? TLSSession(selector: selector, descriptor: descriptor) else { return nil }
        self.tls = tls
        var limits = HTTP2Limits()
        limits.concurrentStreams = server.streams
        session = HTTP2Session(isServer: true, limits: limits, pools: pools)
    }

    deinit {
        Socket.abort(descriptor)
        Socket.close(descriptor)
    }

    func becameReady() {
        guard !isOver else { return }
        switch tls.handshake() {
        case .done: break
        case .wantsRead, .wantsWrite: return
        default: return isOver = true
        }
        flush()
        while !isOver {
            buffer.clear()
            switch unsafe tls.read(into: buffer.room(65_536)) {
            case .octets(let count):
                buffer.commit(count)
                var rest = buffer.octets
                while !rest.isEmpty {
                    guard session.receive(&rest) else { return isOver = true }
                    act()
                }
                flush()
            case .wantsRead, .wantsWrite: return
            default: isOver = true
            }
        }
    }

    private func act() {
        for index in session.events.indices {
            let event = session.events[index]
            switch event.kind {
            case .headers:
                guard let block = session.takeHeaders(event.slot) else { continue }
                bodies[event.slot] = (block, [])
            case .data:
                bodies[event.slot]?.octets += event.data.array
                session.consume(event.slot, event.data.count)
            case .end: answer(event.slot)
            case .closed: watches[event.slot] = nil
            default: break
            }
        }
        session.endTurn()
    }

    private func answer(_ slot: Int) {
        guard let (block, body) = bodies.removeValue(forKey: slot) else { return }
        let path = block.first(.path)?.string ?? ""
        let bearer = block.first(named: "authorization").map { String($0.string.dropFirst("Bearer ".count)) }
        let accept = block.first(named: "accept")?.string ?? ""
        let method = block.first(.method)?.string ?? ""
        pools.letGo(block)
        switch server.answer(method, path, bearer, accept, String(decoding: body, as: UTF8.self)) {
        case .silence: break
        case .whole(let status, let body, let retryAfter):
            begin(slot, status, retryAfter)
            send(slot, body)
            session.finish(slot)
        case .watch(let watch, let lines):
            begin(slot, 200, nil)
            send(slot, lines)
            if watch.isOver { session.finish(slot) } else { watches[slot] = watch }
        }
    }

    private func begin(_ slot: Int, _ status: Int, _ retryAfter: Int?) {
        let block = pools.takeBlock()
        append(":status", "\(status)", to: block)
        append("content-type", "application/json", to: block)
        if let retryAfter { append("retry-after", "\(retryAfter)", to: block) }
        session.submitResponse(slot, block, isEnd: false)
        pools.letGo(block)
    }

    private func append(_ name: StaticString, _ value: String, to block: HeaderBlock) {
        var value = value
        value.withUTF8 { block.append(stable: Octets(name), unsafe block.copy(Octets(UnsafeRawBufferPointer($0)))) }
    }

    private func send(_ slot: Int, _ text: String) {
        var text = text
        text.withUTF8 { session.send(slot, unsafe Octets(UnsafeRawBufferPointer($0))) }
    }

    func obey(_ command: FakeServer.Command) {
        switch command {
        case .news:
            for (slot, watch) in watches {
                let (lines, next) = server.lines(for: watch)
                watches[slot] = next
                send(slot, lines)
            }
        case .goAway: session.refuseNewStreams()
        case .endWatches, .halfALine:
            for slot in watches.keys {
                if case .halfALine = command { send(slot, "{\"type\":\"ADDED\",\"obj") }
                session.finish(slot)
            }
            watches = [:]
        case .drop, .mute, .close: break
        }
        flush()
    }

    private func flush() {
        while !isOver {
            if outbox.isEmpty {
                session.flush(into: outbox, limit: 65_536)
                session.endTurn()
                if outbox.isEmpty { return }
            }
            switch unsafe tls.write(outbox.octets.buffer) {
            case .octets(let count): outbox.take(count)
            case .wantsRead, .wantsWrite: return
            default: isOver = true
            }
        }
    }
}
