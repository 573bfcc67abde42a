import HTTP
import Octets
import Testing

@testable import Proxy

@Suite struct `A request as rules see it` {
    private let block = HeaderBlock()
    private let joined = JoinedHeaders()

    private func joinedValue(_ name: StaticString) -> String {
        let view = RequestView(
            path: .empty, authority: .empty, method: .empty, scheme: .empty, block: block, joined: joined)
        var found = ""
        _ = view.joinedHeader(Octets(name)) {
            found = $0.string
            return true
        }
        return found
    }

    private func add(_ name: StaticString, _ value: StaticString) {
        block.append(name, Octets(value))
    }

    @Test func `has several values of a header joined once, however many rules ask`() {
        add("x-a", "1")
        add("x-a", "2")
        #expect(joinedValue("x-a") == "1,2")
        add("x-a", "3")    // had it been joined again, this would show
        #expect(joinedValue("x-a") == "1,2")
        joined.clear()
        #expect(joinedValue("x-a") == "1,2,3")
    }

    @Test func `has the scheme of its connection, whatever the client says of it`() {
        add(":scheme", "https")
        add("x-a", "https")
        let view = RequestView(
            path: .empty, authority: .empty, method: .empty, scheme: "http", block: block, joined: joined)
        #expect(view.firstHeader(":scheme")?.string == "http")
        #expect(view.firstHeader("x-a")?.string == "https")
        #expect(view.firstHeader("absent") == nil)
    }

    @Test func `has the right values of more headers than it remembers`() {
        let names: [StaticString] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
        for name in names {
            add(name, "1")
            add(name, "2")
        }
        for name in names + names { #expect(joinedValue(name) == "1,2") }
    }
}
