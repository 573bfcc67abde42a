internal import Octets

/// The fields that an encoder has sent for indexing: the peer's dynamic table, entry for entry.
/// Source: RFC 7541 §2.3.2, §4. Its owner's thread only.
///
/// Entries stand in a ring, their octets one after the other in one piece of memory. An entry is found
/// through the newest of its bucket, from where each points at the one before. Its owner calls `close`; a
/// class would be counted twice for each field.
@safe struct HPACKTable {
    /// Each entry counts for so much more than its octets. Source: RFC 7541 §4.1.
    static let overhead = 32
    /// The first index behind the static table.
    private static let firstIndex = 62
    private static let bucketCount = 64    // of the hash tables over fields and over names

    private struct Entry {
        var hash: Hash
        var nameCount: UInt16
        var valueCount: UInt16
        var start: UInt32    // of its octets, counted from the first ones that were ever put in
        var before: UInt32    // number of the next older entry of the bucket; 0: none
        var nameBefore: UInt32
    }

    /// Of the whole field and of its name.
    struct Hash: Equatable {
        var field: UInt32
        var name: UInt32
    }

    /// The size that the peer knows, in octets.
    var size: Int
    private var used = 0    // octets of the entries, `overhead` for each included
    private var entries: UnsafeMutablePointer<Entry>    // owned; `capacity` of them
    private var capacity = 16    // a power of two
    /// Numbers of the newest and of the newest that is gone; the first entry is number 1.
    private var newest: UInt32 = 0
    private var gone: UInt32 = 0
    private let heads: UnsafeMutablePointer<UInt32>    // owned; twice `bucketCount`: fields, then names
    /// By `place(of:)`: the number of the entry that was the last one found or made.
    private let recent: UnsafeMutablePointer<UInt32>    // owned; `recentKinds` and `recentNames` of them
    private static let recentKinds = 32
    /// Places for names that are no exact kind. With half as many, `x-envoy-original-path` and
    /// `x-envoy-external-address`, which every rewritten request has, would take turns at one place.
    private static let recentNames = 64
    private var octets: UnsafeMutableRawPointer    // owned; `room` octets
    private var room = 512
    private var base: UInt32 = 0    // where `octets` begins
    private var end: UInt32 = 0    // octets that were ever put in: where the next entry starts

    init(size: Int) {
        self.size = size
        unsafe entries = .allocate(capacity: capacity)
        unsafe heads = .allocate(capacity: 2 * Self.bucketCount)
        unsafe heads.initialize(repeating: 0, count: 2 * Self.bucketCount)
        unsafe recent = .allocate(capacity: Self.recentKinds + Self.recentNames)
        unsafe recent.initialize(repeating: 0, count: Self.recentKinds + Self.recentNames)
        unsafe octets = .allocate(byteCount: room, alignment: 8)
    }

    /// Frees the table's memory. To be called once.
    func close() {
        unsafe entries.deallocate()
        unsafe heads.deallocate()
        unsafe recent.deallocate()
        unsafe octets.deallocate()
    }

    var count: Int { Int(newest &- gone) }

    /// Whether the field can be an entry; one that is too large would empty the table.
    @inline(__always)
    func takes(_ field: HeaderField) -> Bool { field.name.count + field.value.count + Self.overhead <= size }

    // MARK: finding

    /// From the lengths and up to sixteen octets of each: enough to tell apart what a connection has.
    @inline(__always)
    static func hash(of field: HeaderField) -> Hash {
        let name = field.known.isExact ? UInt64(field.known.rawValue) &* 0x9e37_79b9_7f4a_7c15 : mix(field.name)
        let all = name ^ mix(field.value) &* 0xff51_afd7_ed55_8ccd
        return Hash(field: UInt32(truncatingIfNeeded: all >> 32), name: UInt32(truncatingIfNeeded: name >> 32))
    }

    @inline(__always)
    private static func mix(_ octets: Octets) -> UInt64 {
        var mixed = UInt64(octets.count)
        guard let base = unsafe octets.base else { return mixed }
        if octets.count >= 8 {
            mixed ^= unsafe base.loadUnaligned(as: UInt64.self) &* 0x9e37_79b9_7f4a_7c15
            let last = unsafe base.loadUnaligned(fromByteOffset: octets.count - 8, as: UInt64.self)
            mixed = (mixed ^ mixed >> 29) &+ last &* 0xc4ce_b9fe_1a85_ec53
        } else if octets.count >= 4 {
            let first = unsafe base.loadUnaligned(as: UInt32.self)
            let last = unsafe base.loadUnaligned(fromByteOffset: octets.count - 4, as: UInt32.self)
            mixed ^= (UInt64(first) << 32 | UInt64(last)) &* 0x9e37_79b9_7f4a_7c15
        } else if octets.count > 0 {
            let first = unsafe base.load(as: UInt8.self)
            let middle = unsafe base.load(fromByteOffset: octets.count / 2, as: UInt8.self)
            let last = unsafe base.load(fromByteOffset: octets.count - 1, as: UInt8.self)
            mixed |= UInt64(first) << 24 | UInt64(middle) << 16 | UInt64(last) << 8
        }
        mixed = (mixed ^ mixed >> 32) &* 0x9e37_79b9_7f4a_7c15
        return mixed
    }

    /// Where `recent` has fields of that name. Names that are not known share the others, by their length and their
    /// last octet, in which the names of one section differ mostly.
    @inline(__always)
    private static func place(of field: HeaderField) -> Int {
        if field.known.isExact { return Int(field.known.rawValue) }
        let count = field.name.count
        return count == 0 ? recentKinds : recentKinds + (count &* 7 &+ Int(field.name[count - 1])) & (recentNames - 1)
    }

    /// The index of an equal field, as the peer counts, if it is the last one of its place: no hash is needed then.
    @inline(__always)
    func findRecent(_ field: HeaderField) -> Int? {
        let number = unsafe recent[Self.place(of: field)]
        guard number > gone else { return nil }
        let entry = entry(number)
        guard value(of: entry) == field.value, field.known.isExact || name(of: entry) == field.name else { return nil }
        return index(of: number)
    }

    /// - Returns: the index of an equal field, as the peer counts.
    func find(_ field: HeaderField, _ hash: Hash) -> Int? {
        var number = unsafe heads[Int(hash.field) % Self.bucketCount]
        while number > gone {
            let entry = entry(number)
            if entry.hash == hash, name(of: entry) == field.name, value(of: entry) == field.value {
                unsafe recent[Self.place(of: field)] = number
                return index(of: number)
            }
            number = entry.before
        }
        return nil
    }

    /// The index of an entry with this name, whatever its value; nil when there is none.
    func findName(of field: HeaderField, _ hash: Hash) -> Int? {
        var number = unsafe heads[Self.bucketCount + Int(hash.name) % Self.bucketCount]
        while number > gone {
            let entry = entry(number)
            if entry.hash.name == hash.name, name(of: entry) == field.name { return index(of: number) }
            number = entry.nameBefore
        }
        return nil
    }

    private func index(of number: UInt32) -> Int { Self.firstIndex + Int(newest - number) }

    @inline(__always)
    private func entry(_ number: UInt32) -> Entry { unsafe entries[Int(number) & (capacity - 1)] }

    @inline(__always)
    private func name(of entry: Entry) -> Octets {
        unsafe Octets(base: octets + Int(entry.start - base), count: Int(entry.nameCount))
    }

    @inline(__always)
    private func value(of entry: Entry) -> Octets {
        unsafe Octets(
            base: octets + Int(entry.start - base) + Int(entry.nameCount), count: Int(entry.valueCount))
    }

    // MARK: changing

    /// Adds what `takes` has allowed; the oldest make place.
    mutating func insert(_ field: HeaderField, _ hash: Hash) {
        let length = field.name.count + field.value.count
        if newest > .max - 2 || end > .max / 2 { renumber() }
        shrink(to: size - length - Self.overhead)
        if count == capacity { grow() }
        makeRoom(length)
        let bucket = Int(hash.field) % Self.bucketCount
        let nameBucket = Self.bucketCount + Int(hash.name) % Self.bucketCount
        newest += 1
        unsafe entries[Int(newest) & (capacity - 1)] = Entry(
            hash: hash, nameCount: UInt16(truncatingIfNeeded: field.name.count),
            valueCount: UInt16(truncatingIfNeeded: field.value.count), start: end,    // `takes`: below 4096
            before: heads[bucket], nameBefore: heads[nameBucket])
        unsafe heads[bucket] = newest
        unsafe heads[nameBucket] = newest
        unsafe recent[Self.place(of: field)] = newest
        put(field.name)
        put(field.value)
        used += length + Self.overhead
    }

    /// Takes the oldest out until no more than `octets` are used. Source: RFC 7541 §4.3.
    mutating func shrink(to octets: Int) {
        while used > octets, gone < newest {
            gone += 1
            let entry = entry(gone)
            used -= Int(entry.nameCount) + Int(entry.valueCount) + Self.overhead
        }
    }

    private mutating func put(_ part: Octets) {
        guard let source = unsafe part.base else { return }
        unsafe (octets + Int(end - base)).copyMemory(from: source, byteCount: part.count)
        end += UInt32(part.count)
    }

    private mutating func grow() {
        let larger = UnsafeMutablePointer<Entry>.allocate(capacity: 2 * capacity)
        var number = gone
        while number < newest {
            number += 1
            unsafe larger[Int(number) & (2 * capacity - 1)] = entry(number)
        }
        unsafe entries.deallocate()
        unsafe entries = larger
        capacity *= 2
    }

    /// Makes room for `length` octets behind the others: moves those in use to the front, and if they have
    /// more than half of it, to a larger piece.
    private mutating func makeRoom(_ length: Int) {
        guard Int(end - base) + length > room else { return }
        let start = count > 0 ? entry(gone + 1).start : end
        let live = Int(end - start)
        var wanted = room
        while 2 * (live + length) > wanted { wanted *= 2 }
        let source = unsafe octets + Int(start - base)
        if wanted > room {
            let larger = UnsafeMutableRawPointer.allocate(byteCount: wanted, alignment: 8)
            unsafe larger.copyMemory(from: source, byteCount: live)
            unsafe octets.deallocate()
            unsafe octets = larger
            room = wanted
        } else {
            unsafe octets.copyMemory(from: source, byteCount: live)
        }
        base = start
    }

    /// The numbers are used up, after gigabytes: all entries are numbered again from 1.
    mutating func renumber() {
        var other = HPACKTable(size: size)
        var number = gone
        while number < newest {
            number += 1
            let old = entry(number)
            let name = name(of: old)
            other.insert(
                HeaderField(name: name, value: value(of: old), known: KnownHeader(name: name), isSensitive: false),
                old.hash)
        }
        close()
        self = other
    }
}

@available(*, unavailable)
extension HPACKTable: Sendable {}
