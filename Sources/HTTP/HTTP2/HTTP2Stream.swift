internal import Octets

/// What a session knows of one stream, in a slot that is another stream's after its end.
struct HTTP2Stream {
    var id: Int32 = 0    // 0: it has no number, because nothing of it was framed yet
    var isOpen = false
    var areHeadersFramed = false    // our header section
    var isEnded = false    // nothing comes after `body` but `trailers`
    var areHeadersAll = false    // our header section ends our side
    var isEndFramed = false    // our END_STREAM
    var isEndReceived = false
    var areHeadersReceived = false    // the request's, or the final response's
    var interimSections: UInt8 = 0    // interim responses received
    var isHeadMethod = false    // of ours: the response has no body
    var keepsBody = false    // a retry may still want the octets sent
    var resetAfterEnd = false
    var isReady = false    // in `ReadyQueue`
    var earnsNothing = false    // its request was refused: its end does not count as useful work
    var owner = StreamOwner.nobody

    // Sending
    var sendWindow: Int64 = 0    // octets that the peer takes now; below zero after smaller SETTINGS
    var headers: HeaderBlock?    // held; a request that waits to begin
    var trailers: HeaderBlock?    // held; they wait for the body
    var body: OctetBuffer?    // from the pools; octets to send, or kept for a replay
    var waiting = 0    // octets of `body` not framed yet
    var cursor = 0    // octets of `body` framed but kept
    var headersEnd: UInt64 = 0    // octets of this connection up to the end of our header section

    // Receiving
    var received: Int64 = 0    // octets of our window that the peer has used
    var consumed: Int64 = 0    // of these: taken by the other side, and not given back to the peer yet
    var consumedSinceGrowth: Int64 = 0    // taken by the other side since `window` grew
    var held: Int32 = 0    // of a client's DATA: not taken by the other side
    var window: Int32 = 0    // our window's size; 0 is the first one's
    var expected: Int64 = -1    // the peer's content-length
    var bodyOctets: Int64 = 0    // of DATA received
}

/// Slots of streams that have something to send and a window for it, each once, served one after the other.
struct ReadyQueue {
    private var slots: [Int32] = []
    private var first = 0

    var isEmpty: Bool { first == slots.count }
    var count: Int { slots.count - first }

    /// Puts the stream behind the others; it must not be in the queue.
    mutating func append(_ slot: Int) { slots.append(Int32(truncatingIfNeeded: slot)) }

    /// Takes the stream out that has waited longest; nil when none waits.
    mutating func popFirst() -> Int? {
        guard first < slots.count else { return nil }
        defer {
            first += 1
            if first == slots.count {
                slots.removeAll(keepingCapacity: slots.capacity <= 64)
                first = 0
            } else if first >= 256, first * 2 > slots.count {
                slots.removeFirst(first)
                first = 0
            }
        }
        return Int(slots[first])
    }
}

/// The newest frame of `out`, when it is a stream's DATA: it can still be given END_STREAM.
struct LastFrame {
    var slot = -1
    var offset = 0    // of the frame in `out`
    var end = 0    // `out.count` behind it: nothing was framed since
}
