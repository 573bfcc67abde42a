internal import Octets

/// What stands before nghttp2's decoder where a header section comes in several frames: only there can a
/// string be longer than the 64 KiB that nghttp2 takes. Its failure would end the connection, for all streams.
///
/// So it reads where strings begin and end, and puts a shorter one in the place of one that is too long. For
/// the table of the connection that makes no difference: either entry is larger than the whole table, which is
/// emptied by it (RFC 7541 §4.4). The section is marked: its stream is refused for its size.
struct HPACKStrings {
    /// The longest string that nghttp2 takes, as it stands on the wire.
    static let longest = 65_536

    private enum Place {
        case field    // the first octet of a field
        case integer(behindIndex: Behind)    // the rest of an index
        case length(Behind)    // the first octet of a string's length
        case lengthRest(Behind, length: Int, shift: Int)
        case string(Behind, left: Int)
        case skipped(Behind, left: Int)
    }
    /// What follows.
    private enum Behind { case field, value }

    private var place = Place.field
    /// Octets of a length that is not complete: they are passed on, or something else is.
    private var held: [UInt8] = []

    /// What has to be read instead of the octets.
    enum Piece {
        case octets(Octets)
        case tooLong
    }

    /// Gives `take` what the decoder is to read.
    /// - Returns: false when no field can begin so.
    mutating func pass(_ octets: Octets, to take: (Piece) -> Bool) -> Bool {
        var start = 0
        var index = 0
        while index < octets.count {
            switch place {
            case .string(let behind, let left):
                let count = min(left, octets.count - index)
                index += count
                place = count == left ? Self.place(behind: behind) : .string(behind, left: left - count)
            case .skipped(let behind, let left):
                let count = min(left, octets.count - index)
                index += count
                start = index
                place = count == left ? Self.place(behind: behind) : .skipped(behind, left: left - count)
            case .length(let behind) where octets[index] & 0x7f == 0x7f:
                guard start == index || take(.octets(octets.slice(start, index))) else { return false }
                held = [octets[index]]
                place = .lengthRest(behind, length: 0x7f, shift: 0)
                index += 1
                start = index
            case .lengthRest(let behind, let length, let shift):
                guard shift <= 28 else { return false }
                guard readLength(octets[index], behind, length, shift, take) else { return false }
                index += 1
                start = index
            default:
                step(octets[index])
                index += 1
            }
        }
        return start == index || take(.octets(octets.slice(start, index)))
    }

    /// One more octet of a length. Source: RFC 7541 §5.1.
    private mutating func readLength(
        _ octet: UInt8, _ behind: Behind, _ length: Int, _ shift: Int, _ take: (Piece) -> Bool
    ) -> Bool {
        let length = length + Int(octet & 0x7f) << shift
        held.append(octet)
        guard octet & 0x80 == 0 else {
            place = .lengthRest(behind, length: length, shift: shift + 7)
            return true
        }
        guard length > Self.longest else {
            place = .string(behind, left: length)
            return held.withOctets { take(.octets($0)) }
        }
        place = .skipped(behind, left: length)
        return take(.tooLong)
    }

    /// An octet that is no string's. Source: RFC 7541 §6.
    private mutating func step(_ octet: UInt8) {
        switch place {
        case .field where octet & 0x80 != 0:
            place = octet & 0x7f == 0x7f ? .integer(behindIndex: .field) : .field
        case .field where octet & 0xe0 == 0x20:
            place = octet & 0x1f == 0x1f ? .integer(behindIndex: .field) : .field
        case .field:
            let most: UInt8 = octet & 0x40 != 0 ? 0x3f : 0x0f
            let isLong = octet & most == most
            place = octet & most == 0 ? .length(.value) : isLong ? .integer(behindIndex: .value) : .length(.field)
        case .integer(let behind):
            guard octet & 0x80 == 0 else { return }
            place = behind == .field ? .field : .length(.field)
        case .length(let behind):
            let length = Int(octet & 0x7f)
            place = length == 0 ? Self.place(behind: behind) : .string(behind, left: length)
        default: break
        }
    }

    /// What stands behind a string: behind a name its value, behind a value the next field.
    private static func place(behind: Behind) -> Place { behind == .field ? .field : .length(.field) }

    /// What is read in the place of a string that is too long: a length, then 5,000 octets, which is more than
    /// the table has.
    static let substitute: [UInt8] = [0x7f, 0x89, 0x26] + [UInt8](repeating: UInt8(ascii: "x"), count: 5000)
}

extension HPACK {
    /// As `decode`, for sections of several frames.
    /// - Parameter tooLong: called when a string was too long to be read, before its field is given to `take`.
    mutating func decodeInParts(
        _ octets: Octets, isFinal: Bool, pools: MessagePools, tooLong: () -> Void,
        take: (Octets, Octets, _ isSensitive: Bool) -> Void
    ) -> Decoded {
        var strings = self.strings ?? HPACKStrings()
        let isRead = strings.pass(octets) { piece in
            switch piece {
            case .octets(let octets):
                return decode(octets, isFinal: false, pools: pools, take: take) == .done
            case .tooLong:
                tooLong()
                return HPACKStrings.substitute.withOctets {
                    decode($0, isFinal: false, pools: pools, take: take) == .done
                }
            }
        }
        self.strings = isFinal ? nil : strings
        guard isRead else { return .failed }
        return isFinal ? decode(.empty, isFinal: true, pools: pools, take: take) : .done
    }
}
