internal import CNghttp2
internal import Octets

/// Header compression of one connection. The encoder is ours. The decoder is nghttp2's, because it reads what the
/// network sends and has stood years of hostile traffic; it is made when the first header section comes.
/// Its owner's thread only.
@safe struct HPACK {
    var encoder: HPACKEncoder
    private var decoder: OpaquePointer?    // owned; `close` frees it
    /// Of the section being decoded: whether the next octet begins a field, and whether there were fields.
    private var isBetweenFields = true
    private var hasFields = false
    /// What stands before the decoder while a section comes in several frames.
    var strings: HPACKStrings?

    init(isServer: Bool) { encoder = HPACKEncoder(isServer: isServer) }

    /// Frees both tables. To be called once, before the session goes.
    mutating func close() {
        encoder.close()
        if let decoder = unsafe decoder { unsafe nghttp2_hd_inflate_del(decoder) }
        unsafe decoder = nil
    }

    /// What one step of decoding came to.
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
        var rest = octets
        while true {
            // Between two fields the decoder has nothing to go on with: to call it would lose `isBetweenFields`, and
            // a change of the table's size would pass behind a field (RFC 7541 §4.2).
            if rest.isEmpty, !isFinal { return .done }
            var field = unsafe nghttp2_nv()
            if let entry = unsafe indexedField(decoder, rest) {
                unsafe field = entry.pointee
                rest = rest.dropFirst(1)
                hasFields = true
            } else {
                var flags: CInt = 0
                let used = unsafe inflate(decoder, rest, isFinal: isFinal, &field, &flags)
                guard used >= 0, used <= rest.count else { return .failed }
                rest = rest.dropFirst(used)
                isBetweenFields = flags & CInt(NGHTTP2_HD_INFLATE_EMIT.rawValue) != 0
                let isEnd = flags & CInt(NGHTTP2_HD_INFLATE_FINAL.rawValue) != 0
                if !isBetweenFields, isEnd { return unsafe endSection(decoder) }
                if !isBetweenFields, rest.isEmpty { return isFinal ? .failed : .done }
                if !isBetweenFields { continue }
                hasFields = true
            }
            unsafe take(
                Octets(base: UnsafeRawPointer(field.name), count: field.namelen),
                Octets(base: UnsafeRawPointer(field.value), count: field.valuelen),
                UInt32(field.flags) & NGHTTP2_NV_FLAG_NO_INDEX.rawValue != 0)
        }
    }

    /// Most fields are one octet, the index of a field in the tables: there is nothing to decode.
    /// Source: RFC 7541 §6.1.
    @inline(__always)
    private func indexedField(_ decoder: OpaquePointer, _ rest: Octets) -> UnsafePointer<nghttp2_nv>? {
        guard isBetweenFields, let octet = rest.first, octet > 0x80, octet < 0xff else { return nil }
        return unsafe nghttp2_hd_inflate_get_table_entry(decoder, Int(octet & 0x7f))
    }

    @inline(__always)
    private func inflate(
        _ decoder: OpaquePointer, _ rest: Octets, isFinal: Bool, _ field: inout nghttp2_nv, _ flags: inout CInt
    ) -> Int {
        // The table's size may change only in front of all fields. The decoder cannot check that, because it did not
        // see the fields that `indexedField` has read. Source: RFC 7541 §4.2.
        if hasFields, isBetweenFields, let octet = rest.first, octet & 0xe0 == 0x20 { return -1 }
        let start = unsafe rest.base?.assumingMemoryBound(to: UInt8.self)
        return unsafe nghttp2_hd_inflate_hd2(decoder, &field, &flags, start, rest.count, isFinal ? 1 : 0)
    }

    private mutating func endSection(_ decoder: OpaquePointer) -> Decoded {
        unsafe nghttp2_hd_inflate_end_headers(decoder)
        isBetweenFields = true
        hasFields = false
        return .done
    }

    private mutating func openDecoder(_ pools: MessagePools) -> OpaquePointer? {
        if unsafe decoder == nil {
            guard unsafe nghttp2_hd_inflate_new2(&decoder, pools.memory.callbacks) == 0 else { return nil }
        }
        return unsafe decoder
    }
}
