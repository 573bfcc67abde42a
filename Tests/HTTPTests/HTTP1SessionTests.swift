import Octets
import Testing

@testable import HTTP

@Suite struct `An HTTP/1.1 session towards an upstream` {
    private let pools = MessagePools()

    private func session() -> HTTP1Session { HTTP1Session(isServer: false, scheme: .http, pools: pools) }

    private func request(_ session: HTTP1Session) -> Int? {
        let block = pools.takeBlock()
        defer { pools.letGo(block) }
        block.append(copying: Octets(":method"), Octets("GET"))
        block.append(copying: Octets(":path"), Octets("/"))
        block.append(copying: Octets(":authority"), Octets("a"))
        return session.submitRequest(block, isEnd: true, owner: .exchange(7), keepsBody: false)
    }

    @Test func `keeps the headers of a response that came in one piece until the turn's end`() throws {
        let session = session()
        let slot = try #require(request(session))
        #expect(session.receive(Octets("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")))
        #expect(session.events.map(\.kind) == [.headers, .data, .end, .closed])
        let headers = try #require(session.takeHeaders(slot))
        #expect(headers.first(.status) == Octets("200"))
        #expect(session.takeHeaders(slot) == nil)
        pools.letGo(headers)
        session.endTurn()
        #expect(session.takesRequests)
    }

    @Test func `forgets headers that nobody took`() throws {
        let session = session()
        let slot = try #require(request(session))
        #expect(session.receive(Octets("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")))
        session.endTurn()
        #expect(session.takeHeaders(slot) == nil)
        #expect(request(session) == slot + 1)
        #expect(session.takeHeaders(slot + 1) == nil)
    }

    /// The kernel may refuse the rest of a request as well; what it refused first never left for all that.
    @Test(arguments: [([10], true), ([3], false), ([10, 4], true), ([4, 10], true)])
    func `a request of which the kernel took nothing has not arrived`(refused: [Int], hasNeverLeft: Bool) {
        var stream = HTTP1Stream()
        stream.flushed(10)
        for count in refused { stream.neverLeft(count) }
        #expect(stream.mayHaveArrived == !hasNeverLeft)
    }
}
