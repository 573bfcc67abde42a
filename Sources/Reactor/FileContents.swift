internal import CLinux
package import Octets

/// Reads whole files, such as certificates and keys. For the loader's thread only, because a disk may be slow.
package enum FileContents {
    /// Why a file could not be read.
    package enum Failure: Error, Sendable, Equatable, CustomStringConvertible {
        case system(SystemError)
        /// The path names a FIFO, a device, a socket or a folder, and reading those may never end.
        case notRegular(path: String)
        /// The file has more octets than the caller allows.
        case tooLarge(path: String, limitOctets: Int)

        package var description: String {
            switch self {
            case .system(let error): error.description
            case .notRegular(let path): "cannot read \(path): it is no regular file; name the file itself"
            case .tooLarge(let path, let limit): "cannot read \(path): it is larger than \(limit >> 10) KiB"
            }
        }
    }

    /// Reads the file of a key. The result is the only copy of it that is left.
    /// - Parameter limitOctets: the largest size in octets; a larger file is an error.
    package static func readSecret(_ path: String, limitOctets: Int = 1 << 20) throws(Failure) -> SecretOctets {
        var contents = try read(path, limitOctets: limitOctets)
        defer { contents.wipe() }
        return SecretOctets(copying: contents)
    }

    private static let octetsPerRead = 16_384

    /// Reads a regular file.
    /// - Parameter limitOctets: the largest size in octets; a larger file is an error.
    package static func read(_ path: String, limitOctets: Int = 1 << 20) throws(Failure) -> [UInt8] {
        // Opens without waiting: opening a FIFO that has no writer would block forever.
        let descriptor = unsafe portico_open_for_reading(path)
        guard descriptor >= 0 else { throw .system(SystemError("read", on: path)) }
        let file = Descriptor(owning: descriptor)
        let isRegular = portico_is_regular_file(file.number)
        guard isRegular >= 0 else { throw .system(SystemError("read", on: path)) }
        guard isRegular == 1 else { throw .notRegular(path: path) }
        var contents: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: octetsPerRead)
        defer { piece.wipe() }
        while true {
            let count = unsafe CLinux.read(file.number, &piece, piece.count)
            guard count >= 0 else {
                let error = SystemError("read", on: path)
                contents.wipe()
                throw .system(error)
            }
            if count == 0 { return contents }
            unsafe piece.withUnsafeBufferPointer {
                unsafe contents.append(wiping: UnsafeBufferPointer(rebasing: $0[..<count]))
            }
            guard contents.count <= limitOctets else {
                contents.wipe()
                throw .tooLarge(path: path, limitOctets: limitOctets)
            }
        }
    }
}
