internal import CLinux

/// Tells whether a path still names the same file with the same content, without reading it. For a thread that may wait
/// for a slow disk.
package struct FileStamp: Sendable, Equatable {
    private let device: Int64
    private let inode: Int64
    private let octets: Int64
    private let seconds: Int64    // of its last change
    private let nanoseconds: Int64

    /// The stamp of what the path names now, links followed; nil: nothing.
    package init?(_ path: String) {
        var stamp: (Int64, Int64, Int64, Int64, Int64) = (0, 0, 0, 0, 0)
        let isFound = unsafe withUnsafeMutableBytes(of: &stamp) {
            unsafe portico_file_stamp(path, $0.baseAddress?.assumingMemoryBound(to: Int64.self))
        }
        guard isFound == 1 else { return nil }
        (device, inode, octets, seconds, nanoseconds) = stamp
    }
}
