public import Octets

/// One field of a header section: pointers into memory that the `HeaderBlock` keeps alive.
/// Plain data on purpose: copying it costs no reference counting.
@safe @frozen @usableFromInline
package struct HeaderField {
    @usableFromInline package let name: Octets    // lower-case
    /// The field's value, without white space around it.
    @usableFromInline package let value: Octets
    /// Which of the names it has that the gateway looks at; `.other` for all others.
    @usableFromInline package let known: KnownHeader
    @usableFromInline package let isSensitive: Bool    // HPACK never-indexed; kept so on the way on

    @inlinable @inline(__always)
    init(name: Octets, value: Octets, known: KnownHeader, isSensitive: Bool) {
        self.name = name
        self.value = value
        self.known = known
        self.isSensitive = isSensitive
    }
}

/// The fields of a block, in order. There are no indices on purpose: a position that is remembered while the
/// block is edited points to another field, or behind the last one. What is to be changed goes through
/// `HeaderBlock.edit`, which looks while it changes.
@safe package struct HeaderFields: Sequence, IteratorProtocol {
    private let block: Unretained<HeaderBlock>    // held by whoever goes through it
    private var position = 0

    @inline(__always) init(_ block: HeaderBlock) { self.block = Unretained(block) }

    /// The block's own bounds count at each step, so that an edit meanwhile cannot lead outside.
    @inline(__always)
    package mutating func next() -> HeaderField? {
        block {
            guard position < $0.count else { return nil }
            defer { position += 1 }
            return $0.field(at: position)
        }
    }
}

/// What becomes of one field in `HeaderBlock.edit`.
@frozen @usableFromInline
package enum HeaderEdit {
    case keep, remove
    /// Another value; its octets live as long as the block.
    case replace(Octets)
}

/// One header section (request, response or trailers), of HTTP/1.1 or HTTP/2 alike: HTTP/1.1's start line is stored as
/// the pseudo-header fields of HTTP/2, so the rest of the gateway sees one form. Its octets stay valid until `clear` or
/// `deinit`.
///
/// The fields stand in memory of our own instead of an array: the profile showed a tenth of a request's
/// time in the array's uniqueness and exclusivity checks.
///
/// Thread: its owner's. Freed by: `MessagePools`, which keeps it when the last `hold` is let go.
@safe @usableFromInline
package final class HeaderBlock {
    @usableFromInline var store: UnsafeMutablePointer<HeaderField>    // owned; `capacity` fields, plain data
    private var capacity = 24
    /// By `KnownHeader`, where it is `present`: where the first field of that kind stands. `none` is beyond counting.
    @usableFromInline let places: UnsafeMutablePointer<UInt16>    // owned; `kindCount` of them
    private static let kindCount = 32
    @inlinable static var none: UInt16 { .max }
    /// The kinds that have a place, and so those of all fields.
    @usableFromInline var present = KnownHeaders.none
    @usableFromInline package internal(set) var count = 0
    /// Octets of all names and values and 32 more for each field, as RFC 9113 §6.5.2 counts them.
    @usableFromInline package internal(set) var size = 0
    /// How many users the block has; `MessagePools` keeps it for later at 0.
    var holds = 1
    /// The block whose octets the fields of this one point to; held, and let go with the last hold on this one.
    var base: HeaderBlock?
    /// Octets that are counted against a connection, and which holder that is.
    package internal(set) var charged = 0
    var holder: Int32 = 0    // its number in `HeaderMemory`
    private var pages: [UnsafeMutableRawPointer] = unsafe []    // owned; each `pageOctets` or larger
    @usableFromInline var page: UnsafeMutableRawPointer?    // the newest of them
    @usableFromInline var pageUsed = 0    // octets of `page`; as the next
    @usableFromInline var pageCapacity = 0
    private static let pageOctets = 1024

    package init() {
        unsafe store = .allocate(capacity: capacity)
        unsafe places = .allocate(capacity: Self.kindCount)
        unsafe places.initialize(repeating: Self.none, count: Self.kindCount)
    }

    deinit {
        releaseOctets(keepingPage: false)
        unsafe store.deallocate()
        unsafe places.deallocate()
    }

    /// Adds a user; each one ends with `MessagePools.letGo`.
    package func hold() { holds += 1 }

    /// The fields, in order.
    @inline(__always)
    package var fields: HeaderFields { HeaderFields(self) }
    package var isEmpty: Bool { count == 0 }

    /// For loops of this module that change nothing.
    @inline(__always)
    func field(at index: Int) -> HeaderField {
        precondition(index >= 0 && index < count)
        return unsafe store[index]
    }

    /// Makes this empty block a section of its own with the fields of `other`, which it holds: their octets are not
    /// copied, and what is edited here stays as it is there.
    package func derive(from other: HeaderBlock) {
        precondition(count == 0 && base == nil)
        while capacity < other.count { grow() }
        unsafe store.update(from: other.store, count: other.count)
        unsafe places.update(from: other.places, count: Self.kindCount)
        present = other.present
        count = other.count
        size = other.size
        other.hold()
        base = other
    }

    /// Adds a field whose octets live as long as the process.
    package func append(_ name: StaticString, _ value: StaticString) {
        append(stable: Octets(name), Octets(value))
    }

    /// Adds a field; the value is copied into the block.
    package func append(_ name: StaticString, _ value: Octets) {
        append(stable: Octets(name), copy(value))
    }

    /// Adds a field of a kind that is one name; the value is copied into the block.
    @inlinable @inline(__always)
    package func append(_ known: KnownHeader, _ value: Octets) {
        append(stable: known.name, known, copy(value))
    }

    /// Adds a field of a kind that is one name; the caller keeps the value's octets valid as long as the block has
    /// them.
    @inlinable @inline(__always)
    package func append(_ known: KnownHeader, stable value: Octets) {
        append(stable: known.name, known, value)
    }

    /// Adds a field; name and value are copied into the block.
    package func append(copying name: Octets, _ value: Octets) {
        append(stable: copy(name), copy(value))
    }

    /// Adds a field whose octets the caller keeps valid as long as the block has them.
    package func append(stable name: Octets, _ value: Octets, isSensitive: Bool = false) {
        add(
            HeaderField(name: name, value: value, known: KnownHeader(name: name), isSensitive: isSensitive))
    }

    /// The same with a name that was looked up already.
    @usableFromInline
    func append(stable name: Octets, _ known: KnownHeader, _ value: Octets) {
        add(HeaderField(name: name, value: value, known: known, isSensitive: false))
    }

    /// Adds a field of a name that was looked up already; known names need no copy.
    func append(decoded name: Octets, _ known: KnownHeader, _ value: Octets, isSensitive: Bool) {
        let octets = known.isExact ? known.name : copy(name)
        add(HeaderField(name: octets, value: copy(value), known: known, isSensitive: isSensitive))
    }

    @inline(__always)
    private func add(_ field: HeaderField) {
        if count == capacity { grow() }
        unsafe (store + count).initialize(to: field)
        note(field.known, at: count)
        count += 1
        size += field.name.count + field.value.count + 32
    }

    private func grow() {
        let larger = UnsafeMutablePointer<HeaderField>.allocate(capacity: capacity * 2)
        unsafe larger.moveInitialize(from: store, count: count)
        unsafe store.deallocate()
        unsafe store = larger
        capacity *= 2
    }

    /// The value of the first field of that kind.
    @inlinable @inline(__always)
    package func first(_ known: KnownHeader) -> Octets? {
        guard let place = place(of: known) else { return nil }
        return unsafe store[place].value
    }

    /// Where the first field of that kind stands.
    @inlinable @inline(__always)
    func place(of known: KnownHeader) -> Int? {
        guard present.contains(known) else { return nil }
        let place = unsafe places[Int(known.rawValue)]
        return place == Self.none ? nil : Int(place)
    }

    @inline(__always)
    private func note(_ known: KnownHeader, at index: Int) {
        guard !present.contains(known) else { return }
        present = present | known
        unsafe places[Int(known.rawValue)] = UInt16(truncatingIfNeeded: min(index, Int(Self.none)))
    }

    @usableFromInline func noteAll() {
        present = .none
        for index in 0..<count { unsafe note(store[index].known, at: index) }
    }

    /// The value of the first field of that (lower-case) name.
    package func first(named name: Octets) -> Octets? {
        for index in 0..<count where unsafe store[index].name == name {
            return unsafe store[index].value
        }
        return nil
    }

    /// The same for a name that only the gateway and endpoints say, such as `x-envoy-ratelimited`. It costs next to
    /// nothing where there is none of them.
    package func first(reserved name: Octets) -> Octets? { present.contains(.reserved) ? first(named: name) : nil }

    @inlinable @inline(__always)
    package var names: NameSet {
        var names = NameSet()
        for index in 0..<count { unsafe names.insert(store[index].name) }
        return names
    }

    /// Goes through all fields, in order, and does with each what `decide` says; the others keep their order and
    /// their octets. The one way to change fields that are there: no position leaves it.
    @inlinable @inline(__always)
    package func edit(_ decide: (HeaderField) -> HeaderEdit) {
        var kept = 0
        var index = 0
        while index < count {
            let field = unsafe store[index]
            switch decide(field) {
            case .keep:
                if kept != index { unsafe store[kept] = field }
                kept += 1
            case .replace(let value):
                size += value.count - field.value.count
                unsafe store[kept] = HeaderField(
                    name: field.name, value: value, known: field.known, isSensitive: field.isSensitive)
                kept += 1
            case .remove: size -= field.name.count + field.value.count + 32
            }
            index += 1
        }
        guard kept < count else { return }
        count = kept
        noteAll()
    }

    /// Takes out all fields of those kinds. It costs next to nothing where there are none.
    @inlinable @inline(__always)
    package func remove(_ kinds: KnownHeaders) {
        if present.meets(kinds) { removeAll(of: kinds) }
    }

    /// The same where there is one.
    @usableFromInline func removeAll(of kinds: KnownHeaders) {
        edit { kinds.contains($0.known) ? .remove : .keep }
    }

    /// Puts another value in the place of the first field of that kind, if there is one; its octets live as long
    /// as the block.
    package func replaceFirst(_ known: KnownHeader, with value: Octets) {
        guard let place = place(of: known), place < count else { return }
        let field = unsafe store[place]
        size += value.count - field.value.count
        unsafe store[place] = HeaderField(
            name: field.name, value: value, known: known, isSensitive: field.isSensitive)
    }

    /// Makes the section have exactly one field of that kind, with that value; its octets live as long as the block.
    /// A section without one gets it as its last field.
    package func setOnly(_ known: KnownHeader, to value: Octets) {
        guard let place = place(of: known) else { return append(stable: known.name, known, value) }
        replaceFirst(known, with: value)
        for index in (place + 1)..<max(count, place + 1) where unsafe store[index].known == known {
            return removeBehindFirst(known)
        }
    }

    /// Makes the section have exactly one field of that (lower-case) name, with that value; its octets live as long as
    /// the block. The name of a field that is new is copied.
    package func set(copying name: Octets, _ value: Octets) {
        var isFound = false
        edit { field in
            guard field.name == name else { return .keep }
            defer { isFound = true }
            return isFound ? .remove : .replace(value)
        }
        if !isFound { append(stable: copy(name), value) }
    }

    /// Adds a field whose name only the gateway says, and which the section does not have. Name and value live as long
    /// as the block.
    package func append(reserved name: Octets, _ value: Octets) { append(stable: name, .reserved, value) }

    /// The same as `set` for a name that only the gateway says. Name and value live as long as the block.
    package func setReserved(stable name: Octets, _ value: Octets) {
        guard hasReserved(name) else { return append(reserved: name, value) }
        set(copying: name, value)
    }

    /// Only fields of that kind are compared: a try's section has two or three of them, at its end.
    private func hasReserved(_ name: Octets) -> Bool {
        guard present.contains(.reserved) else { return false }
        let first = place(of: .reserved) ?? 0
        for index in first..<max(count, first) where unsafe store[index].known == .reserved {
            if unsafe store[index].name == name { return true }
        }
        return false
    }

    private func removeBehindFirst(_ known: KnownHeader) {
        var isFirst = true
        edit { field in
            guard field.known == known else { return .keep }
            defer { isFirst = false }
            return isFirst ? .keep : .remove
        }
    }

    /// Puts a pseudo-header field in front of all others; its octets live as long as the block.
    package func prepend(stable name: Octets, _ value: Octets) {
        append(stable: name, value)
        let added = unsafe store[count - 1]
        var index = count - 1
        while index > 0 {
            unsafe store[index] = store[index - 1]
            index -= 1
        }
        unsafe store[0] = added
        noteAll()
    }

    /// Memory in the block for `length` octets, valid as long as the block's.
    @inlinable @inline(__always)
    package func copy(_ octets: Octets) -> Octets {
        guard octets.count > 0, let source = unsafe octets.base else { return .empty }
        let room = unsafe allocate(octets.count)
        unsafe Octets.copy(source, to: room, octets.count)
        return unsafe Octets(base: UnsafeRawPointer(room), count: octets.count)
    }

    /// Empties the block for its next use.
    package func clear() {
        releaseOctets(keepingPage: true)
        present = .none
        count = 0
        size = 0
    }

    /// Memory for `length` octets, in the newest page or in one of its own.
    @inlinable @inline(__always)
    func allocate(_ length: Int) -> UnsafeMutableRawPointer {
        if pageCapacity - pageUsed < length { addPage(length) }
        defer { pageUsed += length }
        return unsafe page.unsafelyUnwrapped + pageUsed
    }

    @usableFromInline
    func addPage(_ length: Int) {
        pageCapacity = max(Self.pageOctets, length)
        pageUsed = 0
        let fresh = UnsafeMutableRawPointer.allocate(byteCount: pageCapacity, alignment: 16)
        unsafe page = fresh
        unsafe pages.append(fresh)
    }

    private func releaseOctets(keepingPage: Bool) {
        let isKept = unsafe keepingPage && pages.count == 1 && pageCapacity == Self.pageOctets
        if !isKept, unsafe !pages.isEmpty {
            for index in unsafe pages.indices { unsafe pages[index].deallocate() }
            unsafe pages.removeAll(keepingCapacity: true)
            unsafe page = nil
            pageCapacity = 0
        }
        pageUsed = 0
    }
}
