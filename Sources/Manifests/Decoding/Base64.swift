internal import Octets

/// Decodes Base64 as Kubernetes writes it: with padding, and line breaks are ignored. nil if the text is not Base64.
/// The octets are decoded into the memory where they stay, so no copy of a secret is left behind.
/// Source: RFC 4648 §4.
func decodedBase64(_ text: some Collection<UInt8>) -> SecretOctets? {
    unsafe try? SecretOctets(capacity: text.count / 4 * 3 + 3) { room throws(NotBase64) in
        var count = 0
        guard
            decode(
                text,
                to: {
                    unsafe room[count] = $0
                    count += 1
                })
        else { throw NotBase64() }
        return count
    }
}

private struct NotBase64: Error {}

/// Gives each decoded octet to `write`.
/// - Returns: whether the text is Base64.
private func decode(_ text: some Collection<UInt8>, to write: (UInt8) -> Void) -> Bool {
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
            guard padding == 0, let sextet = sextet(letter) else { return false }
            bits = bits << 6 | sextet
            count += 1
        }
        guard count == 4 else { continue }
        guard padding <= 2 else { return false }
        write(UInt8(truncatingIfNeeded: bits >> 16))
        if padding < 2 { write(UInt8(truncatingIfNeeded: bits >> 8)) }
        if padding < 1 { write(UInt8(truncatingIfNeeded: bits)) }
        bits = 0
        count = 0
        if padding > 0 { padding = 3 }
    }
    return count == 0
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
    func base64() -> SecretOctets? {
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
    /// The octets of a text as it is written, without a `String` of it; reports a value that is no text.
    func secretText() -> SecretOctets? {
        guard scalar == .text else {
            _ = string()    // reports what is wrong
            return nil
        }
        return SecretOctets(copying: decoder.tree.octets(node))
    }
}
