/// Decodes Base64 as Kubernetes writes it: with padding, and line breaks are ignored. nil if the text is not Base64.
/// Source: RFC 4648 §4.
func decodedBase64(_ text: some Sequence<UInt8>) -> [UInt8]? {
    var octets: [UInt8] = []
    octets.reserveCapacity(text.underestimatedCount / 4 * 3)
    var bits: UInt32 = 0
    var count = 0
    var padding = 0
    for letter in text {
        if letter == 0x0A || letter == 0x0D { continue }
        if letter == UInt8(ascii: "=") {
            padding += 1
            count += 1
            bits <<= 6
        } else {
            guard padding == 0, let sextet = sextet(letter) else { return nil }
            bits = bits << 6 | sextet
            count += 1
        }
        guard count == 4 else { continue }
        guard padding <= 2 else { return nil }
        let group = [
            UInt8(truncatingIfNeeded: bits >> 16), UInt8(truncatingIfNeeded: bits >> 8),
            UInt8(truncatingIfNeeded: bits),
        ]
        octets.append(contentsOf: group.dropLast(padding))
        bits = 0
        count = 0
        if padding > 0 { padding = 3 }
    }
    return count == 0 ? octets : nil
}

private func sextet(_ letter: UInt8) -> UInt32? {
    switch letter {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(letter - 65)
    case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(letter - 71)
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(letter + 4)
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
}

extension Value {
    /// The octets that the value is in Base64; reports a value that is not.
    func base64() -> [UInt8]? {
        guard decoder.tree[node].isScalar else {
            error("wrong-type", "a text in Base64 is wanted")
            return nil
        }
        // The text as it is written, because short ones may look like numbers.
        if let octets = decodedBase64(decoder.tree.octets(node)) { return octets }
        error(
            "invalid-base64", "not Base64", hint: "encode it with `base64 -w0`, or use stringData")
        return nil
    }
}
