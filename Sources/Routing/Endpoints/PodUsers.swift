/// Which Services have an endpoint that names a pod, or has its address: whom a changed pod concerns.
///
/// There are two keys for each endpoint of a cluster, so nothing is kept of them but a hash, and of Services a number.
/// If two keys have the same hash, a Service is looked at in vain.
struct PodUsers: Sendable {
    /// By the hash of a key: a Service's number. If several use the key, the others are in `more`.
    private var first: [Int: Int32] = [:]
    private var more: [Int: [Int32]] = [:]
    private var numbers: [ServiceName: Int32] = [:]
    private var services: [Service] = []    // by number
    private var free: [Int32] = []

    private struct Service {
        var name: ServiceName
        var uses = 0
    }

    /// A Service has endpoints with these keys. It may use one twice.
    mutating func add(_ keys: some Sequence<PodKey>, _ service: ServiceName) {
        var number: Int32?
        for key in keys {
            let own = number ?? self.number(of: service)
            number = own
            services[Int(own)].uses += 1
            let hash = key.hashValue
            if first[hash] == nil { first[hash] = own } else { more[hash, default: []].append(own) }
        }
    }

    /// A Service has these endpoints no more.
    mutating func remove(_ keys: some Sequence<PodKey>, _ service: ServiceName) {
        guard let number = numbers[service] else { return }
        for key in keys where remove(key.hashValue, number) { services[Int(number)].uses -= 1 }
        guard services[Int(number)].uses == 0 else { return }
        numbers[service] = nil
        free.append(number)
    }

    /// The Services that use a key, and perhaps one that does not.
    func services(of key: PodKey) -> [ServiceName] {
        let hash = key.hashValue
        guard let one = first[hash] else { return [] }
        return ([one] + (more[hash] ?? [])).map { services[Int($0)].name }
    }

    /// How many numbers Services have, or have had.
    var numbersInUse: Int { services.count }

    /// Has memory of its own from now on, so that the next change copies nothing.
    mutating func separate() {
        first.reserveCapacity(first.count)
        numbers.reserveCapacity(numbers.count)
        services.reserveCapacity(services.count)
    }

    private mutating func number(of service: ServiceName) -> Int32 {
        if let known = numbers[service] { return known }
        let number: Int32
        if let last = free.popLast() {
            number = last
            services[Int(last)] = Service(name: service)
        } else {
            number = Int32(clamping: services.count)
            services.append(Service(name: service))
        }
        numbers[service] = number
        return number
    }

    private mutating func remove(_ hash: Int, _ number: Int32) -> Bool {
        if first[hash] == number {
            first[hash] = more[hash]?.popLast()
        } else if let place = more[hash]?.firstIndex(of: number) {
            more[hash]?.remove(at: place)
        } else {
            return false
        }
        if more[hash]?.isEmpty ?? false { more[hash] = nil }
        return true
    }
}
