internal import CLinux

/// Whole files, for certificates and keys; they block: the control plane's thread only.
package enum FileContents {
    /// - Parameter limitOctets: a larger file is an error.
    package static func read(_ path: String, limitOctets: Int = 1 << 20) throws(SystemError) -> [UInt8] {
        let number = unsafe portico_open_for_reading(path)
        guard number >= 0 else { throw SystemError("read", on: path) }
        let file = Descriptor(owning: number)
        var contents: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = unsafe CLinux.read(file.number, &piece, piece.count)
            guard count >= 0 else { throw SystemError("read", on: path) }
            if count == 0 { return contents }
            contents += piece[..<count]
            guard contents.count <= limitOctets else { throw SystemError("read", on: path, code: EFBIG) }
        }
    }
}
