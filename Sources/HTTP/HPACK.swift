internal import CNghttp2
internal import Octets

/// Header compression of one connection: nghttp2's two HPACK contexts, each made when it is first needed.
/// Its owner's thread only.
@safe struct HPACK {
    /// Of the encoder at most, and of the decoder, which announces no other. Source: RFC 7541 §4.2.
    static let tableOctets = 4096

    /// Sections that are still encoded without a table of our own: the first ones of a client's connection
    /// stay idle mostly, and 3 kB of table is a third of what such a connection takes.
    private var plainSections: Int
    private var encoder: OpaquePointer?     // owned; `close` frees it
    private var decoder: OpaquePointer?     // owned
    private var wantedTable = HPACK.tableOctets
    /// The least that was wanted before there was an encoder: the peer must hear of it too.
    private var leastTable = HPACK.tableOctets

    init(isServer: Bool) { plainSections = isServer ? 4 : 0 }

    mutating func close() {
        if let encoder = unsafe encoder { unsafe nghttp2_hd_deflate_del(encoder) }
        if let decoder = unsafe decoder { unsafe nghttp2_hd_inflate_del(decoder) }
        unsafe encoder = nil
        unsafe decoder = nil
    }

    /// The peer's SETTINGS_HEADER_TABLE_SIZE.
    /// - Returns: false when there is no memory.
    mutating func limitEncoder(to octets: UInt32) -> Bool {
        wantedTable = min(Int(octets), Self.tableOctets)
        leastTable = min(leastTable, wantedTable)
        guard let encoder = unsafe encoder else { return true }
        return unsafe nghttp2_hd_deflate_change_table_size(encoder, wantedTable) == 0
    }

    /// Most octets that `encode` writes for the block.
    static func bound(_ block: HeaderBlock) -> Int { block.size + 64 }

    /// - Returns: how many octets were written; nil when the encoder cannot go on, or `room` is too small.
    mutating func encode(
        _ block: HeaderBlock, pools: MessagePools, into room: UnsafeMutableRawBufferPointer
    ) -> Int? {
        guard let encoder = unsafe usesPlain() ? pools.plainEncoder : openEncoder(pools) else { return nil }
        let (vectors, count) = unsafe pools.vectors(of: block)
        let start = unsafe room.baseAddress?.assumingMemoryBound(to: UInt8.self)
        let written = unsafe nghttp2_hd_deflate_hd(encoder, start, room.count, vectors, count)
        return written >= 0 ? written : nil
    }

    enum Decoded {
        /// The octets are used up.
        case done
        case failed
    }

    /// Decodes a part of a header section and gives each field to `take`; its octets are valid during the
    /// call only.
    /// - Parameter isFinal: the section ends with these octets.
    @inline(__always)
    mutating func decode(
        _ octets: Octets, isFinal: Bool, pools: MessagePools, take: (Octets, Octets, _ isSensitive: Bool) -> Void
    ) -> Decoded {
        guard let decoder = unsafe openDecoder(pools) else { return .failed }
        var next = unsafe octets.base?.assumingMemoryBound(to: UInt8.self)
        var left = octets.count
        while true {
            var field = unsafe nghttp2_nv()
            var flags: CInt = 0
            let used = unsafe nghttp2_hd_inflate_hd2(decoder, &field, &flags, next, left, isFinal ? 1 : 0)
            guard used >= 0, used <= left else { return .failed }
            unsafe next = next.map { unsafe $0 + used }
            left -= used
            if flags & CInt(NGHTTP2_HD_INFLATE_EMIT.rawValue) != 0 {
                unsafe take(
                    Octets(base: UnsafeRawPointer(field.name), count: field.namelen),
                    Octets(base: UnsafeRawPointer(field.value), count: field.valuelen),
                    UInt32(field.flags) & NGHTTP2_NV_FLAG_NO_INDEX.rawValue != 0)
                continue
            }
            if flags & CInt(NGHTTP2_HD_INFLATE_FINAL.rawValue) != 0 {
                unsafe nghttp2_hd_inflate_end_headers(decoder)
                return .done
            }
            if left == 0 { return .done }
        }
    }

    /// A peer that changed the table's size must first be told that we follow. Source: RFC 7541 §4.2.
    private mutating func usesPlain() -> Bool {
        guard plainSections > 0, unsafe encoder == nil, leastTable == Self.tableOctets else { return false }
        plainSections -= 1
        return true
    }

    /// An encoder without a table, which all connections can share; nil without memory.
    static func makePlainEncoder(_ memory: SessionMemory) -> OpaquePointer? {
        var made: OpaquePointer?
        guard unsafe nghttp2_hd_deflate_new2(&made, 0, memory.callbacks) == 0 else { return nil }
        // Its first section would say that the table's size is 0: nobody shall hear that.
        var room = (0 as UInt64, 0 as UInt64)
        _ = unsafe withUnsafeMutableBytes(of: &room) { octets in
            unsafe nghttp2_hd_deflate_hd(
                made, octets.baseAddress?.assumingMemoryBound(to: UInt8.self), octets.count, nil, 0)
        }
        return unsafe made
    }

    private mutating func openEncoder(_ pools: MessagePools) -> OpaquePointer? {
        if let encoder = unsafe encoder { return unsafe encoder }
        guard unsafe nghttp2_hd_deflate_new2(&encoder, Self.tableOctets, pools.memory.callbacks) == 0,
            let encoder = unsafe encoder
        else { return nil }
        guard leastTable < Self.tableOctets else { return unsafe encoder }
        guard unsafe nghttp2_hd_deflate_change_table_size(encoder, leastTable) == 0 else { return nil }
        return unsafe nghttp2_hd_deflate_change_table_size(encoder, wantedTable) == 0 ? encoder : nil
    }

    private mutating func openDecoder(_ pools: MessagePools) -> OpaquePointer? {
        if unsafe decoder == nil {
            guard unsafe nghttp2_hd_inflate_new2(&decoder, pools.memory.callbacks) == 0 else { return nil }
        }
        return unsafe decoder
    }
}
