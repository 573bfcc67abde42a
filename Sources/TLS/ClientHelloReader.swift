package import Octets

/// Reads a ClientHello that may not be ours to answer, and finds the server name in it. It is given the octets as they
/// come, in pieces of any size, and keeps those of the handshake message, at most `octetLimit`. Nothing is decrypted
/// and nothing is answered. Source: RFC 8446 §4.1.2, §5.1; RFC 6066 §3.
package struct ClientHelloReader {
    /// How far the message was read.
    package enum Progress: Equatable, Sendable {
        /// More octets are wanted.
        case incomplete
        /// The message is complete. The name is in lower case; nil without one.
        case hello(serverName: String?)
        case failed(Failure)
    }

    /// Why the octets are not a ClientHello.
    package enum Failure: Equatable, Sendable {
        /// The octets are no record of TLS with a handshake message.
        case notTLS
        case tooLong
        /// The message breaks a rule of TLS.
        case malformed
    }

    /// The largest number of octets that are read, as in Envoy's TLS inspector. A hello with a key share of ML-KEM and
    /// a ticket has about 2 KiB.
    package static let octetLimit = 16_384

    private var message: [UInt8] = []    // of the handshake, without the headers of records
    private var header: [UInt8] = []    // of the record, while it is not complete
    private var recordLeft = 0    // octets of the record that are still to come
    private var octetsRead = 0
    private var result = Progress.incomplete

    private static let headerLength = 5, messageHeaderLength = 4

    package init() {}

    /// Reads further octets. After the first result other than `incomplete` nothing is read, and the result stays.
    package mutating func read(_ octets: Octets) -> Progress {
        var index = 0
        while result == .incomplete, index < octets.count {
            guard octetsRead < Self.octetLimit else {
                result = .failed(.tooLong)
                break
            }
            let count = recordLeft == 0 ? readHeader(octets[index]) : readContent(octets.dropFirst(index))
            index += count
            octetsRead += count
        }
        return result
    }

    /// Takes one octet of a record's header. Source: RFC 8446 §5.1.
    private mutating func readHeader(_ octet: UInt8) -> Int {
        header.append(octet)
        let isGood =
            switch header.count {
            case 1: octet == 0x16    // a handshake
            case 2: octet == 3    // the major version of every TLS
            default: true
            }
        guard isGood else {
            result = .failed(message.isEmpty ? .notTLS : .malformed)
            return 1
        }
        guard header.count == Self.headerLength else { return 1 }
        recordLeft = Int(header[3]) << 8 | Int(header[4])
        header.removeAll(keepingCapacity: true)
        // Handshake messages have no empty records.
        if recordLeft == 0 || recordLeft > RecordScratch.contentLimit { result = .failed(.malformed) }
        return 1
    }

    /// Takes octets of the record, as far as they come and the limit allows.
    private mutating func readContent(_ octets: Octets) -> Int {
        let count = min(octets.count, recordLeft, Self.octetLimit - octetsRead)
        let content = octets.prefix(count)
        unsafe message.append(contentsOf: content.buffer)
        recordLeft -= count
        result = progress()
        return count
    }

    private func progress() -> Progress {
        guard let kind = message.first else { return .incomplete }
        guard kind == 1 else { return .failed(.malformed) }    // client_hello
        guard message.count >= Self.messageHeaderLength else { return .incomplete }
        let length = Int(message[1]) << 16 | Int(message[2]) << 8 | Int(message[3])
        guard length <= Self.octetLimit - Self.headerLength - Self.messageHeaderLength else { return .failed(.tooLong) }
        guard message.count >= Self.messageHeaderLength + length else { return .incomplete }
        let body = message[Self.messageHeaderLength..<(Self.messageHeaderLength + length)]
        return ClientHelloBody(body).map { .hello(serverName: $0.serverName) } ?? .failed(.malformed)
    }
}

/// The parts of a ClientHello that decide where a connection goes. Source: RFC 8446 §4.1.2.
private struct ClientHelloBody {
    private(set) var serverName: String?
    private var hasServerName = false

    /// nil for octets that are no ClientHello as a whole.
    init?(_ octets: ArraySlice<UInt8>) {
        var rest = octets
        guard Self.take(2 + 32, &rest) != nil,    // legacy_version, random
            let session = Self.takeList(lengthOctets: 1, &rest), session.count <= 32,
            let suites = Self.takeList(lengthOctets: 2, &rest), suites.count >= 2, suites.count % 2 == 0,
            let compression = Self.takeList(lengthOctets: 1, &rest), !compression.isEmpty
        else { return nil }
        guard !rest.isEmpty else { return }    // clients of TLS 1.2 need no extensions
        guard var extensions = Self.takeList(lengthOctets: 2, &rest), rest.isEmpty else { return nil }
        while !extensions.isEmpty {
            guard let kind = Self.take(2, &extensions), let content = Self.takeList(lengthOctets: 2, &extensions) else {
                return nil
            }
            guard Self.number(kind) == Self.serverNameExtension else { continue }
            guard !hasServerName, let name = Self.hostName(content) else { return nil }
            (serverName, hasServerName) = (name, true)
        }
    }

    private static let serverNameExtension = 0    // RFC 6066 §1.1

    private static func hostName(_ content: ArraySlice<UInt8>) -> String? {
        unsafe content.withUnsafeBytes { unsafe ServerNames.hostName(inExtension: $0) }
    }

    private static func number(_ octets: ArraySlice<UInt8>) -> Int { octets.reduce(0) { $0 << 8 | Int($1) } }

    /// The next octets; nil if there are fewer.
    private static func take(_ count: Int, _ rest: inout ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard rest.count >= count else { return nil }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    /// The octets of a list behind its length.
    private static func takeList(lengthOctets: Int, _ rest: inout ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard let length = take(lengthOctets, &rest) else { return nil }
        return take(number(length), &rest)
    }
}
