import Testing

@testable import Routing

@Suite struct `The Services that use a pod` {
    private static func name(_ number: Int) -> ServiceName { ServiceName(namespace: "n", name: "s\(number)") }

    @Test func `are those of all changes so far`() {
        var random = FixedRandom(state: 11)
        var users = PodUsers()
        var meant: [(service: Int, keys: [PodKey])] = []
        for round in 0..<3000 {
            if meant.count > 40 || (!meant.isEmpty && Bool.random(using: &random)) {
                let gone = meant.remove(at: Int.random(in: 0..<meant.count, using: &random))
                users.remove(gone.keys, Self.name(gone.service))
            } else {
                let keys = (0..<Int.random(in: 0...4, using: &random)).map { _ -> PodKey in
                    let number = Int.random(in: 0..<9, using: &random)
                    return number % 2 == 0 ? .pod(Self.name(number)) : .address("10.0.0.\(number)")
                }
                meant.append((Int.random(in: 0..<6, using: &random), keys))
                users.add(keys, Self.name(meant[meant.count - 1].service))
            }
            if round % 100 == 0 { users.separate() }
            for number in 0..<9 {
                let key: PodKey = number % 2 == 0 ? .pod(Self.name(number)) : .address("10.0.0.\(number)")
                let wanted = meant.filter { $0.keys.contains(key) }.map { Self.name($0.service) }
                #expect(Set(users.services(of: key)) == Set(wanted))
            }
        }
    }

    @Test func `leave nothing behind when they are gone`() {
        var users = PodUsers()
        for number in 0..<10_000 {
            let keys: [PodKey] = [.address("10.0.0.1"), .pod(Self.name(number)), .pod(Self.name(number))]
            users.add(keys, Self.name(number))
            #expect(users.services(of: keys[1]) == [Self.name(number), Self.name(number)])
            users.remove(keys, Self.name(number))
        }
        #expect(users.services(of: .address("10.0.0.1")).isEmpty)
        #expect(users.numbersInUse == 1, "a number that is free is given again")
    }
}
