internal import Octets

/// Where in the peer's octets a connection is.
struct HTTP2Input {
    /// Whether the peer is a client whose preface is not complete yet (RFC 9113 §3.4).
    var isPrefaceExpected = false
    var prefaceOctets = 0    // of the preface seen
    var isSettingsSeen = false    // the first frame must be SETTINGS
    /// The beginning of a frame whose end did not arrive yet; from the pools.
    var carry: OctetBuffer?
    /// Input that was left for a later turn, and how much of it this turn's events point into; from the pools.
    var postponed: OctetBuffer?
    /// Octets of `postponed` that were read, and stay until the events of this turn are over.
    var postponedRead = 0
    /// The last `receive` stopped because the turn's quota of work was used up.
    var isOverQuota = false
    /// The number of frames and header sections that were complete. It tells two incomplete ones apart.
    var completed: UInt32 = 0
    // A DATA frame in hand
    var isInData = false
    var dataSlot = -1    // -1: its stream is over
    var dataStream: Int32 = 0    // its number in HTTP/2
    var dataLeft = 0    // octets of the body that did not come yet
    var padding = 0    // octets behind the body
    var endsStream = false
    var skip = 0    // octets to be ignored
}
