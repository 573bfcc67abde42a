/// The header section in hand: HPACK forbids that two are mixed.
struct HeaderReception {
    var stream: Int32 = 0    // 0: none
    var slot = -1    // -1: no stream wants it, but it changes HPACK's tables and must be decoded
    var block: HeaderBlock?    // held
    var endsStream = false
    var continuations = 0    // frames
    var size = 0    // of its fields, decoded
    var octets = 0    // of its frames
    var count = 0
    var violation: HTTP2Violation?    // the first one
    var rules = HeaderRules(.request)
    /// What the connection ends for when too many sections are decoded in vain, as this one may be.
    var reason = HTTP2Violation.lateFrameFlood

    /// Octets that decoding has to do with: the larger of the section's forms.
    var work: Int { max(size, octets) }
}
