internal import Octets

/// Writes the header sections of one connection. Source: RFC 7541.
///
/// nghttp2's encoder took a quarter of a request's instructions: it hashes every name and codes every
/// string twice over. Strings are written plain here: Huffman's code would save a fifth of the few octets
/// that the table does not know, and costs both sides more than all the rest of a section.
/// Its owner's thread only.
@safe struct HPACKEncoder {
    /// The table's size at most. Source: RFC 7541 §4.2.
    static let tableOctets = 4096

    /// Sections that are still written without a table: the first ones of a client's connection stay idle
    /// mostly, and the table is most of what such a connection takes.
    private var plainSections: Int
    var table: HPACKTable?
    /// What the peer knows of the table's size, and what it is to hear with the next section: the least
    /// that was wanted, then what is wanted.
    private var knownSize = Self.tableOctets
    private var leastSize = Self.tableOctets
    private var wantedSize = Self.tableOctets

    init(isServer: Bool) { plainSections = isServer ? 4 : 0 }

    /// Frees the encoder's table. To be called once.
    mutating func close() {
        table?.close()
        table = nil
    }

    /// The peer's SETTINGS_HEADER_TABLE_SIZE.
    mutating func limitTable(to octets: UInt32) {
        wantedSize = min(Int(octets), Self.tableOctets)
        leastSize = min(leastSize, wantedSize)
    }

    /// Most octets that `encode` writes for the block: each of its fields counts for 32 more than it has,
    /// and needs at most 11.
    static func bound(_ block: HeaderBlock) -> Int { block.size + 64 }

    /// - Returns: how many octets were written; nil when `room` is too small: the peer's table is not
    ///   ours any more, and the connection cannot go on.
    mutating func encode(_ block: HeaderBlock, into room: UnsafeMutableRawBufferPointer) -> Int? {
        guard room.count >= Self.bound(block), let base = room.baseAddress else { return nil }
        var out = unsafe HPACKWriter(base)
        if leastSize != knownSize || wantedSize != knownSize { announceSize(to: &out) }
        if table == nil { openTable() }
        for index in 0..<block.count { write(block.field(at: index), to: &out) }
        return out.count
    }

    /// Source: RFC 7541 §4.2, §6.3.
    private mutating func announceSize(to out: inout HPACKWriter) {
        if leastSize < wantedSize { out.integer(leastSize, prefix: 5, pattern: 0x20) }
        out.integer(wantedSize, prefix: 5, pattern: 0x20)
        table?.shrink(to: leastSize)
        table?.size = wantedSize
        knownSize = wantedSize
        leastSize = wantedSize
    }

    private mutating func openTable() {
        guard plainSections == 0 else {
            plainSections -= 1
            return
        }
        table = HPACKTable(size: knownSize)
    }

    @inline(__always)
    private mutating func write(_ field: HeaderField, to out: inout HPACKWriter) {
        if let index = HPACKStatic.index(of: field) ?? table?.findRecent(field), !field.isSensitive {
            return out.integer(index, prefix: 7, pattern: 0x80)
        }
        let name = HPACKStatic.name(of: field)
        if Self.isSecret(field, name) { return literal(field, name, prefix: 4, pattern: 0x10, to: &out) }
        guard table?.takes(field) == true, !HPACKStatic.isPassing(field, name) else {
            return literal(field, name, prefix: 4, pattern: 0, to: &out)
        }
        let hash = HPACKTable.hash(of: field)
        if let index = table?.find(field, hash) { return out.integer(index, prefix: 7, pattern: 0x80) }
        let place = name != 0 ? name : table?.findName(of: field, hash) ?? 0
        literal(field, place, prefix: 6, pattern: 0x40, to: &out)
        table?.insert(field, hash)
    }

    /// Never in a table, here and further on: an attacker could guess them from the sections' sizes.
    /// Short cookies are easier to guess. Source: RFC 7541 §7.1.3.
    @inline(__always)
    private static func isSecret(_ field: HeaderField, _ name: Int) -> Bool {
        field.isSensitive || name == HPACKStatic.authorization || name == HPACKStatic.proxyAuthorization
            || name == HPACKStatic.cookie && field.value.count < 20
    }

    @inline(__always)
    private func literal(
        _ field: HeaderField, _ name: Int, prefix: UInt8, pattern: UInt8, to out: inout HPACKWriter
    ) {
        out.integer(name, prefix: prefix, pattern: pattern)
        if name == 0 { out.string(field.name) }
        out.string(field.value)
    }
}

/// Writes HPACK's integers and strings. It does not check bounds: the caller has reserved `HPACKEncoder.bound`
/// octets.
@safe struct HPACKWriter {
    private let base: UnsafeMutableRawPointer    // the output's, for the time of one header section
    private(set) var count = 0

    init(_ base: UnsafeMutableRawPointer) { unsafe self.base = base }

    /// Source: RFC 7541 §5.1.
    @inline(__always)
    mutating func integer(_ value: Int, prefix: UInt8, pattern: UInt8) {
        let most = 1 << Int(prefix) - 1
        guard value >= most else { return put(pattern | UInt8(truncatingIfNeeded: value)) }
        put(pattern | UInt8(truncatingIfNeeded: most))
        var rest = value - most
        while rest >= 0x80 {
            put(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        put(UInt8(truncatingIfNeeded: rest))
    }

    /// Without Huffman's code. Source: RFC 7541 §5.2.
    @inline(__always)
    mutating func string(_ octets: Octets) {
        integer(octets.count, prefix: 7, pattern: 0)
        guard let source = unsafe octets.base else { return }
        unsafe (base + count).copyMemory(from: source, byteCount: octets.count)
        count += octets.count
    }

    @inline(__always)
    private mutating func put(_ octet: UInt8) {
        unsafe base.storeBytes(of: octet, toByteOffset: count, as: UInt8.self)
        count += 1
    }
}
