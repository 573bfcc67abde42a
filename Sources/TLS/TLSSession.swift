internal import COpenSSL
package import Octets

/// The state of a handshake.
package enum TLSProgress: Equatable, Sendable {
    case done, wantsRead, wantsWrite
    /// The peer closed the connection.
    case closed
    case failed(TLSError)
}

/// The result of one read or write. `wantsRead` and `wantsWrite` are no errors: call again when the descriptor is
/// ready for that.
package enum TLSResult: Equatable, Sendable {
    case octets(Int)
    case wantsRead, wantsWrite
    /// The peer closed, with or without saying so.
    case closed
    case failed(TLSError)
}

/// TLS on one connected, non-blocking socket.
///
/// OpenSSL reads and writes through a `RecordBIO`, which needs fewer system calls than records.
/// The caller owns the descriptor and keeps it open until the session is gone. What it has read from it already, it
/// gives to the session.
///
/// Thread: its worker's. Freed by: its connection, at the end of the turn in which that was closed.
@safe package final class TLSSession {
    let raw: OpaquePointer    // owned; freed in `deinit`
    let bio: RecordBIO
    var buffers: Int?    // the place in the list of sessions that keep OpenSSL's buffers
    private let selector: TLSSelector?    // nil on the client's side
    private(set) var chain: TLSSelector.Chain?    // set by the ClientHello
    private(set) var verification: PeerVerification?    // how the peer's certificate is verified; nil: as OpenSSL does
    /// Why the peer's certificate was refused, once it has come.
    package private(set) var verificationError: VerificationError?
    private let expectation: TLSServerExpectation?    // on the client's side
    private var life: TLSLife
    private(set) var noted: HandshakeFailure?    // of a server whose handshake failed otherwise than by its certificate
    /// That the server refused our certificate behind the handshake, as one of TLS 1.3 does: it has read nothing of
    /// what was sent.
    package private(set) var refusedIdentity: HandshakeFailure?
    private var hasNoChain = false    // no chain fits the server name
    var isEstablished: Bool { life.isEstablished }
    private var failure: TLSError? { life.failure }
    /// Whether the ClientHello is complete: from here on the client has shown that it speaks TLS.
    package var isHelloRead: Bool { life.stage > .hello }
    /// What the peer did wrong behind the handshake; nil also for a connection that was lost.
    package var breach: TLSError? { life.breach }
    /// Why the handshake failed, when it has.
    package private(set) var handshakeReason = HandshakeReason.other
    /// The server's name as the client sent it: lower-case, nil without SNI.
    package private(set) var serverName: String?

    /// The server's side of a connection.
    /// - Parameter received: the first octets, when they were read from the descriptor before.
    package init(selector: TLSSelector, descriptor: CInt, received: Octets = .empty) throws(TLSError) {
        let common = try CommonContext.shared.get()
        Failures.clear()
        guard let made = unsafe SSL_new(common.raw) else { throw .library(Failures.takeReason()) }
        unsafe raw = made
        self.selector = selector
        life = TLSLife(isServer: true)
        expectation = nil
        bio = RecordBIO(descriptor: descriptor, received: received)
        // Unretained: `raw` dies in `deinit`, so no callback can outlive `self`.
        unsafe SSL_set_ex_data(made, 0, Unmanaged.passUnretained(self).toOpaque())
        unsafe SSL_set_accept_state(made)
        unsafe countMessages(of: made)
        guard unsafe bio.attach(to: made) else { throw .library(Failures.takeReason()) }
    }

    /// The client's side.
    /// - Parameter serverName: sent as SNI and compared with the certificate.
    /// - Parameter resuming: a ticket of an earlier session with the same server.
    package convenience init(
        client: TLSClientContext, serverName: String, descriptor: CInt, resuming: TLSTicket? = nil
    ) throws(TLSError) {
        try self.init(
            client: client, expecting: TLSServerExpectation(serverName: serverName, host: serverName),
            descriptor: descriptor, resuming: resuming)
    }

    /// The client's side, towards a server that is known by more than its name.
    /// - Parameter resuming: a ticket of an earlier session in the same context with the same expectation.
    /// - Throws: that OpenSSL has no memory, or does not take a name or a protocol.
    package init(
        client: TLSClientContext, expecting expectation: TLSServerExpectation, descriptor: CInt,
        resuming: TLSTicket? = nil
    ) throws(TLSError) {
        Failures.clear()
        guard let made = unsafe SSL_new(client.raw) else { throw .library(Failures.takeReason()) }
        unsafe raw = made
        selector = nil
        life = TLSLife(isServer: false)
        verification = client.verification
        bio = RecordBIO(descriptor: descriptor)
        self.expectation = expectation
        serverName = expectation.serverName
        unsafe SSL_set_connect_state(made)
        unsafe SSL_set_ex_data(made, 0, Unmanaged.passUnretained(self).toOpaque())
        unsafe countMessages(of: made)
        guard unsafe expectation.apply(to: made, comparesHost: verification == nil) else {
            throw .library(Failures.takeReason())
        }
        if let resuming, resuming.isCurrent { unsafe SSL_set_session(made, resuming.raw) }
        guard unsafe bio.attach(to: made) else { throw .library(Failures.takeReason()) }
    }

    deinit {
        if let buffers { bio.scratch.release(buffers) }
        // Without this SSL_free takes a missing close_notify for an attack: it locks the common
        // context and spoils the session, which a ticket may share.
        if failure == nil {
            unsafe SSL_set_shutdown(raw, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN)
        }
        unsafe SSL_free(raw)
    }

    /// Goes on with the handshake; call again as it says, until `.done`.
    package func handshake() -> TLSProgress {
        if let failure { return .failed(failure) }
        if isEstablished { return .done }
        guard bio.sendPending() else { return progress(blocked()) }
        begin()
        let code = unsafe SSL_do_handshake(raw)
        guard code != 1 else {
            // A server of TLS 1.3 has only tickets left to say, and of HTTP/2 octets to send with them at
            // once (RFC 9113 §3.4). Of others a rest goes before the first octets.
            let mayHold = unsafe selector != nil && SSL_version(raw) == TLS1_3_VERSION
            if mayHold, negotiatedHTTP2 == true { bio.hold() } else { bio.finish() }
            life.established()
            return .done
        }
        let result = outcome(code)
        bio.finish()
        if result == .wantsRead, bio.hasUnsent { return progress(blocked()) }
        return progress(result)
    }

    private func progress(_ result: TLSResult) -> TLSProgress {
        switch result {
        case .octets, .wantsRead: .wantsRead
        case .wantsWrite: .wantsWrite
        case .closed: .closed
        case .failed(let error): .failed(error)
        }
    }

    /// Fills `room` with what there is, from at most `recordsPerRead` records; never `.octets(0)` unless `room` is
    /// empty.
    /// More is read than asked for: before waiting for the descriptor, read until `.wantsRead`, or until
    /// `hasPendingOctets` is false.
    package func read(into room: UnsafeMutableRawBufferPointer) -> TLSResult {
        if !life.isOpen { return failure.map { .failed($0) } ?? .closed }
        guard let base = room.baseAddress, room.count > 0 else { return .octets(0) }
        begin()
        defer { bio.finish() }
        var total = 0
        var records = 0
        defer { recordsRead = records }
        repeat {
            var count = 0
            let code = unsafe SSL_read_ex(raw, base + total, room.count - total, &count)
            guard code == 1 else {
                let result = outcome(code)
                // What was read comes first; a close or failure is kept for the next call.
                return total > 0 ? .octets(total) : result
            }
            total += count
            records += 1
        } while total < room.count && records < Self.recordsPerRead && hasPendingOctets
        life.dataCame()
        return .octets(total)
    }

    /// How many records the last read has opened.
    package private(set) var recordsRead = 0

    /// Each record costs about a microsecond, however small it is: 66 kB in records of an octet would hold up all
    /// other connections for three milliseconds. What is left is read by the next call.
    static let recordsPerRead = 256

    /// Whether octets are waiting in here, perhaps less than a record.
    package var hasPendingOctets: Bool { unsafe bio.hasUnread || SSL_pending(raw) > 0 }

    /// Whether the last read has emptied the socket: the next readiness is a new event, and another
    /// read before it would find nothing. When in doubt false.
    package var isDrained: Bool { bio.hasEmptiedSocket && !hasPendingOctets && life.isOpen }

    /// Reads as `read(into:)` of a room does, at most `most` octets, and appends them to `buffer`.
    package func read(into buffer: OctetBuffer, most: Int) -> TLSResult {
        let room = unsafe buffer.room(most)
        let result = unsafe read(into: UnsafeMutableRawBufferPointer(rebasing: room[..<most]))
        if case .octets(let count) = result { buffer.commit(count) }
        return result
    }

    /// Writes as `write` of a buffer does.
    package func write(_ octets: Octets) -> TLSResult { unsafe write(octets.buffer) }

    /// Writes as much as the socket takes. The octets not taken must come first in the next call,
    /// unchanged and at least as many: a part of them may be encrypted already.
    /// A peer that is done with sending may still be written to.
    package func write(_ octets: UnsafeRawBufferPointer) -> TLSResult {
        if let failure { return .failed(failure) }
        guard octets.count > 0 else { return .octets(0) }
        guard bio.sendPending() else { return blocked() }
        var taken = min(octets.count, bio.takeUnsentContent())
        begin()
        bio.gatherHeld()
        defer { bio.scratch.recordEnds.removeAll(keepingCapacity: true) }
        while taken < octets.count {
            let end = unsafe seal(octets, from: taken)
            guard end > taken else {
                bio.finish()
                return failure.map { .failed($0) } ?? (taken > 0 ? .octets(taken) : .wantsWrite)
            }
            if let gone = bio.send() {
                taken = max(taken, gone)
                bio.finish()
                return taken > 0 && bio.failure == 0 ? .octets(taken) : blocked()
            }
            taken = end
        }
        bio.finish()
        return .octets(taken)
    }

    /// Gathers the next records.
    /// - Returns: where their content ends.
    private func seal(_ octets: UnsafeRawBufferPointer, from start: Int) -> Int {
        guard let base = octets.baseAddress else { return start }
        let scratch = bio.scratch
        var end = start
        scratch.recordEnds.removeAll(keepingCapacity: true)
        scratch.recordEnds.append((output: 0, content: start))
        for place in 0...RecordScratch.batchRecords where end < octets.count {
            if place == RecordScratch.batchRecords, octets.count - end > RecordScratch.tailLimit { break }
            var count = 0
            let room = min(octets.count - end, RecordScratch.contentLimit)
            let code = unsafe SSL_write_ex(raw, base + end, room, &count)
            guard code == 1 else {
                _ = outcome(code)
                break
            }
            end += count
            scratch.recordEnds.append((output: scratch.filled, content: end))
        }
        return end
    }

    /// Sends close_notify once, if the socket takes it. Reading may go on.
    package func shutdown() {
        // A peer that closed without close_notify gets none of ours.
        guard !bio.hasEnded, life.mayShutDown() else { return }
        begin()
        unsafe SSL_shutdown(raw)
        bio.finish()
        Failures.clear()
    }

    private func begin() {
        Failures.clear()
        bio.begin()
        if buffers == nil { buffers = bio.scratch.hold(self) }
    }

    /// Renews the keys of this direction, and asks the peer to renew its own (RFC 8446 §4.6.3). The gateway never
    /// does; tests are the peer that does it too often.
    func renewKeys() -> Bool {
        begin()
        defer { bio.finish() }
        return unsafe SSL_key_update(raw, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(raw) == 1
    }

    /// Another session keeps OpenSSL's buffers now, and this one frees its own unless they hold a part of a record.
    func losesBuffers() {
        buffers = nil
        unsafe SSL_free_buffers(raw)
    }

    /// Has OpenSSL call back for each step of a handshake message and for each alert, but for no record with data.
    private func countMessages(of ssl: OpaquePointer) {
        unsafe SSL_set_info_callback(ssl) { ssl, _, _ in
            guard let ssl = unsafe ssl, let user = unsafe SSL_get_ex_data(ssl, 0) else { return }
            unsafe Unmanaged<TLSSession>.fromOpaque(user)._withUnsafeGuaranteedRef { $0.messageArrived() }
        }
    }

    /// OpenSSL goes on reading as long as messages come. When there were too many, the BIO gives it no more octets.
    private func messageArrived() { if !life.messageCame() { bio.stop() } }

    /// The result when the socket takes nothing now, or is broken.
    private func blocked() -> TLSResult {
        bio.failure == 0 ? .wantsWrite : fail(.connectionLost(errno: bio.failure))
    }

    /// Reads the error of the call that just returned `code`.
    private func outcome(_ code: CInt) -> TLSResult {
        switch unsafe SSL_get_error(raw, code) {
        case SSL_ERROR_WANT_READ: return .wantsRead
        case SSL_ERROR_WANT_WRITE: return .wantsWrite
        case SSL_ERROR_ZERO_RETURN:
            life.peerEnded()
            return .closed
        case SSL_ERROR_SYSCALL where bio.isStopped && bio.failure == 0:
            return fail(.brokenStream("too many handshake messages, such as KeyUpdate, without data"))
        case SSL_ERROR_SYSCALL where bio.failure == 0:
            life.peerEnded()
            return .closed
        case SSL_ERROR_SYSCALL: return fail(.connectionLost(errno: bio.failure))
        default: return fail(failureReason())
        }
    }

    private func fail(_ error: TLSError) -> TLSResult {
        Failures.clear()
        life.failed(error)
        return .failed(error)
    }

    /// Why OpenSSL's last call has failed.
    private func failureReason() -> TLSError {
        if isEstablished {
            noteRefusedIdentity()
            return Failures.stream()
        }
        if hasNoChain {
            handshakeReason = serverName == nil ? .noServerName : .unknownServerName
            return .unknownServerName(serverName)
        }
        if let failure = verificationError ?? missingCertificate() {
            verificationError = failure
            if selector != nil { handshakeReason = HandshakeReason(failure.check) }
            return .peerRefused(failure)
        }
        let verdict = unsafe SSL_get_verify_result(raw)
        if selector == nil, verdict != Int(X509_V_OK) {
            return .untrusted(unsafe String(cString: X509_verify_cert_error_string(verdict)))
        }
        handshakeReason = HandshakeReason(code: Failures.first)
        noted = HandshakeFailure(code: Failures.first)
        return Failures.handshake()
    }

    private func noteRefusedIdentity() {
        guard selector == nil, !life.hasRead else { return }
        let failure = HandshakeFailure(code: Failures.first)
        if failure == .certificateRefused || failure == .certificateRequired { refusedIdentity = failure }
    }

    private func missingCertificate() -> VerificationError? {
        let isMissing = Failures.reason(Failures.first) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE
        return isMissing && verification != nil ? .missing : nil
    }
}

// MARK: What a ClientHello decides

extension TLSSession {
    /// Called by OpenSSL inside `handshake`: chooses the chain.
    /// - Returns: the alert that refuses the client; nil to go on.
    func clientHelloArrived() -> CInt? {
        guard let selector else { return SSL_AD_INTERNAL_ERROR }
        life.helloCame()
        var start: UnsafePointer<UInt8>?
        var length = 0
        if unsafe SSL_client_hello_get0_ext(raw, UInt32(TLSEXT_TYPE_server_name), &start, &length)
            == 1
        {
            let octets = unsafe UnsafeRawBufferPointer(start: start, count: length)
            guard let name = unsafe ServerNames.hostName(inExtension: octets) else {
                return SSL_AD_DECODE_ERROR
            }
            serverName = name
        }
        guard let chosen = selector.chain(for: serverName) else {
            hasNoChain = true
            return SSL_AD_UNRECOGNIZED_NAME
        }
        chain = chosen
        return switchTo(chosen) ? nil : SSL_AD_INTERNAL_ERROR
    }

    private func switchTo(_ chain: TLSSelector.Chain) -> Bool {
        let versions = chain.context.versions
        let identity = chain.sessionContext
        verification = chain.context.verification
        if let verification { unsafe verification.demand(of: raw) }
        if let groups = chain.context.groups, unsafe portico_SSL_set_groups(raw, groups) != 1 { return false }
        return unsafe SSL_set_SSL_CTX(raw, chain.context.raw) != nil
            && SSL_set_session_id_context(raw, identity, UInt32(identity.count)) == 1
            && portico_SSL_set_versions(raw, versions.lowerBound.number, versions.upperBound.number)
                == 1
    }
}

// MARK: What the peer's certificate decides

extension TLSSession {
    /// Called by OpenSSL inside `handshake`, with the certificates that came.
    /// - Returns: whether the handshake goes on.
    func certificateArrived(_ context: OpaquePointer) -> Bool {
        guard let verification else { return false }
        verificationError = unsafe verification.failure(in: context)
        if verificationError == nil, !verification.requirement.isSkipped, let expectation {
            verificationError = unsafe expectation.failure(in: context)
        }
        return verificationError == nil
    }
}

@available(*, unavailable)
extension TLSSession: Sendable {}
