internal import COpenSSL
internal import Octets
internal import Synchronization

/// The keys that session tickets are sealed with; one ring per process, shared by all workers.
///
/// Who has a ticket's key can read recorded TLS 1.2 sessions that were resumed with it, so keys do
/// not live as long as the process: each seals for four hours, opens for two more (a ticket's
/// life), and is wiped. Keys that replicas share come from a file (`TicketKeyFile`): whoever writes it
/// decides how long they live, and a key that is gone from it opens nothing any more.
struct TicketKeys {
    static let sealing = Duration.seconds(4 * 3600)
    static let opening = sealing + .seconds(ticketSeconds)
    /// The lifetime of a ticket, which the client is given too.
    static let ticketSeconds = 7200

    /// The newest first; at most two.
    private(set) var keys: [TicketKey] = []
    /// Those of the file: the first one seals, all of them open. Empty without a file.
    private(set) var shared: [TicketKey] = []

    /// The key to seal with.
    /// - Returns: nil when OpenSSL has no random octets; then no ticket is sent.
    mutating func sealingKey(at now: ContinuousClock.Instant) -> TicketKey? {
        forgetOld(at: now)
        if let first = shared.first { return first }
        if let newest = keys.first, newest.made.duration(to: now) < Self.sealing { return newest }
        guard let fresh = TicketKey(made: now) else { return nil }
        keys.insert(fresh, at: 0)
        return fresh
    }

    /// The key of this name, while it may still open tickets.
    mutating func openingKey(
        named name: UnsafeRawBufferPointer, at now: ContinuousClock.Instant
    ) -> TicketKey? {
        forgetOld(at: now)
        return (shared + keys).first { unsafe $0.name.elementsEqual(name) }
    }

    /// Takes the keys of the file in the place of those that it had before; without any, keys of its own seal again.
    mutating func replaceShared(with keys: [TicketKey]) { shared = keys }

    /// Whether tickets of this key need no newer one.
    func isSealing(_ key: TicketKey) -> Bool { key === (shared.first ?? keys.first) }

    private mutating func forgetOld(at now: ContinuousClock.Instant) {
        keys.removeAll { $0.made.duration(to: now) >= Self.opening }
    }
}

/// A name of 16 octets, then 32 for AES-256 and 32 for HMAC-SHA256.
///
/// Thread: any. Freed by: the last of the process's keys and a session that seals or opens by it.
@safe final class TicketKey: Sendable {
    /// Owned; not changed after `init`; wiped and freed in `deinit`.
    private nonisolated(unsafe) let octets: UnsafeMutableRawBufferPointer
    let made: ContinuousClock.Instant
    static let octetCount = 80

    init?(made: ContinuousClock.Instant) {
        let octets = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.octetCount, alignment: 16)
        self.made = made
        unsafe self.octets = octets
        let isFilled = unsafe RAND_priv_bytes(octets.baseAddress, CInt(clamping: octets.count)) == 1
        guard isFilled else { return nil }
    }

    /// A key with octets of a file.
    /// - Parameter fill: writes 80 octets; false makes no key.
    init?(made: ContinuousClock.Instant, fill: (UnsafeMutableRawBufferPointer) -> Bool) {
        let octets = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.octetCount, alignment: 16)
        self.made = made
        unsafe self.octets = octets
        guard unsafe fill(octets) else { return nil }
    }

    deinit {
        unsafe OPENSSL_cleanse(octets.baseAddress, octets.count)
        unsafe octets.deallocate()
    }

    var name: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(rebasing: octets[..<16]) }
    /// The octets behind the name.
    var secrets: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(rebasing: octets[16...]) }

    /// Prepares OpenSSL to seal or open one ticket with this key.
    func prepare(
        _ cipher: OpaquePointer?, _ mac: OpaquePointer?, iv: UnsafeMutablePointer<UInt8>?,
        isSealing: Bool
    ) -> Bool {
        guard let base = unsafe octets.baseAddress?.assumingMemoryBound(to: UInt8.self) else {
            return false
        }
        let aes = unsafe base + 16
        let isReady =
            unsafe isSealing
            ? EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nil, aes, iv)
            : EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nil, aes, iv)
        return unsafe isReady == 1 && portico_ticket_mac(mac, base + 48, 32) == 1
    }
}

// MARK: What OpenSSL asks

extension TicketKeys {
    private static let ring = Lock(TicketKeys())

    /// Takes the keys of a file for all servers of the process.
    static func replaceShared(with keys: [TicketKey]) { ring.withLock { $0.replaceShared(with: keys) } }

    /// Answers as OpenSSL wants it: 1 go on; 2 the ticket is good, send a newer one; 0 no ticket is
    /// sent, or the one that came is ignored.
    static let callback:
        @convention(c) (
            OpaquePointer?, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<UInt8>?,
            OpaquePointer?, OpaquePointer?, CInt
        ) -> CInt = { _, name, iv, cipher, mac, isSealing in
            guard let name = unsafe name, let iv = unsafe iv else { return 0 }
            let room = unsafe UnsafeMutableRawBufferPointer(start: name, count: 16)
            let now = ContinuousClock.now
            if isSealing == 1 {
                guard let key = ring.withLock({ $0.sealingKey(at: now) }),
                    unsafe RAND_bytes(iv, 16) == 1
                else { return 0 }
                unsafe room.copyMemory(from: key.name)
                return unsafe key.prepare(cipher, mac, iv: iv, isSealing: true) ? 1 : 0
            }
            let wanted = UnsafeRawBufferPointer(room)
            let found = ring.withLock { keys in
                let key = unsafe keys.openingKey(named: wanted, at: now)
                return (key: key, isNewest: key.map(keys.isSealing) ?? false)
            }
            guard let key = found.key, unsafe key.prepare(cipher, mac, iv: iv, isSealing: false)
            else { return 0 }
            return found.isNewest ? 1 : 2
        }
}
