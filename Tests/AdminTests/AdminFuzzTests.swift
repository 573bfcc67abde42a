import Admin
import Testing

@Suite struct `The admin server under hostile octets` {
    private struct Dice {
        var state: UInt64 = 0x5eed
        mutating func next(_ limit: Int) -> Int {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Int(state % UInt64(limit))
        }
    }

    private static let requests = [
        "GET /metrics HTTP/1.1\r\nHost: [::1]\r\n\r\n", "HEAD /routes?format=json HTTP/1.1\r\nHost: [::1]:1\r\n\r\n",
        "POST /reload HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 5\r\n\r\nabcde",
        "POST /reload HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nabcde\r\n0\r\nT: u\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n",
        "GET http://b/help HTTP/1.1\r\nHost: [::1]\r\n\r\n",
    ]

    @Test func `answers or closes, and goes on serving`() throws {
        let house = try AdminHouse()
        var dice = Dice()
        for _ in 0..<250 {
            var octets = (0...dice.next(3)).flatMap { _ in Self.requests[dice.next(Self.requests.count)].utf8 }
            for _ in 0..<dice.next(4) where !octets.isEmpty {
                let place = dice.next(octets.count)
                switch dice.next(4) {
                case 0: octets[place] = UInt8(dice.next(256))
                case 1: octets.remove(at: place)
                case 2: octets.insert(UInt8(dice.next(256)), at: place)
                default: octets.removeSubrange(place...)
                }
            }
            let client = try house.client(dice.next(2) == 0 ? .status : .admin)
            let half = dice.next(octets.count + 1)
            client.send(octets: Array(octets[..<half]))
            try house.turn(times: 1)
            client.send(octets: Array(octets[half...]))
            client.finish()
            try house.turn(until: { client.isClosed })
            #expect(client.received.isEmpty || client.received.hasPrefix("HTTP/1.1 "))
            house.forget(client)
        }
        #expect(house.isServing())
    }
}
