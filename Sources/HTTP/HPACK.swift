internal import CNghttp2
internal import Octets

/// Header compression of one connection: an encoder of our own, and nghttp2's decoder, made when it is first
/// needed: what the network says is read by a library that years of hostile traffic have tried.
/// Its owner's thread only.
@safe struct HPACK {
    var encoder: HPACKEncoder
    private var decoder: OpaquePointer?     // owned; `close` frees it

    init(isServer: Bool) { encoder = HPACKEncoder(isServer: isServer) }

    mutating func close() {
        encoder.close()
        if let decoder = unsafe decoder { unsafe nghttp2_hd_inflate_del(decoder) }
        unsafe decoder = nil
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

    private mutating func openDecoder(_ pools: MessagePools) -> OpaquePointer? {
        if unsafe decoder == nil {
            guard unsafe nghttp2_hd_inflate_new2(&decoder, pools.memory.callbacks) == 0 else { return nil }
        }
        return unsafe decoder
    }
}
