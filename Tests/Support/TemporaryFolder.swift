internal import Glibc
internal import Octets
internal import Synchronization

/// A folder of one test's own. It is removed with all that is in it when the last reference to it goes; those that
/// static values keep are removed when the process exits.
package final class TemporaryFolder: Sendable {
    package let path: String

    /// Folders that are there now.
    private static let living = Lock<Set<String>>([])
    /// Has the rest removed at the end; made with the first folder.
    private static let sweeper: Void = { _ = atexit { TemporaryFolder.removeAll() } }()

    package init() {
        _ = Self.sweeper
        var template = Array("/tmp/portico-tests-XXXXXX".utf8CString)
        guard let made = unsafe mkdtemp(&template) else { preconditionFailure("no folder can be made in /tmp") }
        let path = unsafe String(cString: made)
        self.path = path
        Self.living.withLock { _ = $0.insert(path) }
    }

    deinit {
        TestFiles.removeFolder(path)
        Self.living.withLock { _ = $0.remove(path) }
    }

    private static func removeAll() {
        for path in living.withLock({ $0 }) { TestFiles.removeFolder(path) }
    }

    /// Writes a file, in the place of an old one.
    /// - Parameter name: may have folders in it, which must be there.
    /// - Returns: the path of the file.
    @discardableResult package func write(_ name: String, _ text: String) -> String {
        let whole = path + "/" + name
        guard TestFiles.write(text, to: whole) else { preconditionFailure("\(whole) cannot be written") }
        return whole
    }

    package func read(_ name: String) -> [UInt8] { TestFiles.octets(path + "/" + name) }
    package func remove(_ name: String) { _ = unsafe unlink(path + "/" + name) }
    package func makeFolder(_ name: String) { _ = unsafe mkdir(path + "/" + name, 0o755) }
    package func link(_ name: String, to target: String) { _ = unsafe symlink(target, path + "/" + name) }

    /// Runs a shell script in the folder, without output.
    /// - Returns: whether it succeeded.
    package func run(_ script: String) -> Bool {
        let command = "cd '\(path)' && {\n\(script)\n} >/dev/null 2>&1"
        guard let stream = unsafe popen(command, "r") else { return false }
        return unsafe pclose(stream) == 0
    }
}
