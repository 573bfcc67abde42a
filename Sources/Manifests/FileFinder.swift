internal import Glibc
internal import Octets

/// Finds and reads the files that paths of definitions stand for. It never reads one file twice, even if it finds it by
/// a link, or by itself and in a folder.
struct FileFinder {
    /// The largest file.
    static let maximumOctets = 64 << 20
    /// The most folders of one path, with the one that was named.
    static let maximumDepth = 32
    /// The largest number of files and folders. A link to `/` or `/proc` leads to more than anyone wants to read.
    static let maximumEntries = 250_000
    private static let endings = [".yaml", ".yml", ".json"]

    /// What a path stands for.
    enum Found {
        /// A file; `isNamed` says that the operator named it, and that it was not found in a folder.
        case file(name: SourceName, octets: [UInt8], isNamed: Bool)
        case unreadable(name: String, message: String, hint: String?)
        case emptyFolder(name: String)
    }

    private struct Identity: Hashable {
        let device: UInt64
        let inode: UInt64
    }

    private var seen: Set<Identity> = []
    private var visit: (Found) -> Void
    private let limit: LoadLimit
    private let maximumEntries: Int
    private var entries = 0

    init(
        limit: LoadLimit = LoadLimit(), maximumEntries: Int = maximumEntries,
        visit: @escaping (Found) -> Void
    ) {
        self.visit = visit
        self.limit = limit
        self.maximumEntries = maximumEntries
    }

    /// Visits what a path of the operator stands for; `-` is standard input.
    mutating func find(_ path: String) {
        if path == "-" {
            read(descriptor: STDIN_FILENO, SourceName("-"), expecting: 0, isNamed: true)
            return
        }
        guard let status = status(of: path) else { return }
        if status.st_mode & S_IFMT == S_IFDIR {
            if find(inFolder: path, status, depth: 0) == 0 { visit(.emptyFolder(name: path)) }
        } else if isNew(status) {
            read(SourceName(path), status, isNamed: true)
        }
    }

    /// Visits the files of a folder. Returns how many there were.
    private mutating func find(inFolder path: String, _ status: stat, depth: Int) -> Int {
        // A link to a folder above would never end.
        guard isNew(status) else { return 0 }
        guard depth < Self.maximumDepth else {
            visit(
                .unreadable(
                    name: path, message: "more than \(Self.maximumDepth) folders deep: what is in it is not read",
                    hint: "move the definitions up, or name the folder by itself"))
            return 1
        }
        guard let names = names(in: path) else { return 1 }
        var count = 0
        // All names are found before the first file is read: they live longer than the objects, and would otherwise lie
        // between them in memory and keep it from being freed.
        let start = path.hasSuffix("/") ? path : path + "/"
        let children = names.map { SourceName(start + $0) }
        for (name, source) in zip(names, children) {
            guard mayLook(in: path) else { break }
            let child = source.text
            guard let status = self.status(of: child) else {
                count += 1
                continue
            }
            if status.st_mode & S_IFMT == S_IFDIR {
                count += find(inFolder: child, status, depth: depth + 1)
            } else if status.st_mode & S_IFMT == S_IFREG,
                Self.endings.contains(where: name.hasSuffix)
            {
                count += 1
                if isNew(status) { read(source, status, isNamed: false) }
            }
        }
        return count
    }

    /// - Returns: false if the load is to end, or if it has visited as much as it may, which is reported once.
    private mutating func mayLook(in folder: String) -> Bool {
        entries += 1
        if entries == maximumEntries + 1 {
            visit(
                .unreadable(
                    name: folder, message: "more than \(maximumEntries) files and folders in all",
                    hint: "name the folders of the definitions only; "
                        + "is there a link to a folder that is none of them?"))
        }
        return entries <= maximumEntries && !limit.isOver
    }

    /// The sorted names in a folder, without hidden ones. Those are files of editors, and in a mounted ConfigMap the
    /// `..data` folders behind the visible links.
    private func names(in folder: String) -> [String]? {
        guard let stream = unsafe opendir(folder) else {
            fail(folder, "the folder cannot be opened", errno)
            return nil
        }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { raw in
                unsafe String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    private mutating func isNew(_ status: stat) -> Bool {
        // Pipes and terminals are read each time that they are named.
        let kind = status.st_mode & S_IFMT
        guard kind == S_IFREG || kind == S_IFDIR else { return true }
        return seen.insert(
            Identity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
        ).inserted
    }

    private func status(of path: String) -> stat? {
        var status = stat()
        if unsafe stat(path, &status) == 0 { return status }
        fail(path, "there is no such file or folder", errno)
        return nil
    }

    // MARK: Reading

    private func read(_ source: SourceName, _ status: stat, isNamed: Bool) {
        let descriptor = unsafe open(source.text, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return fail(source.text, "the file cannot be opened", errno) }
        defer { close(descriptor) }
        let isRegular = status.st_mode & S_IFMT == S_IFREG
        read(descriptor: descriptor, source, expecting: isRegular ? Int(status.st_size) : 0, isNamed: isNamed)
    }

    /// - Parameter size: the size of a regular file, so that its text needs memory once; otherwise 0.
    private func read(descriptor: CInt, _ source: SourceName, expecting size: Int, isNamed: Bool) {
        let name = source.text
        var octets: [UInt8] = []
        let usual = 1 << 18
        // One octet more than expected: reading less than was asked for means the end.
        var chunk = size > 0 ? min(size, Self.maximumOctets) + 1 : usual
        while true {
            var problem: CInt = 0
            var part = unsafe [UInt8](unsafeUninitializedCapacity: chunk) { buffer, count in
                (count, problem) = unsafe Self.fill(buffer, from: descriptor)
            }
            guard problem == 0 else { return fail(name, "the file cannot be read", problem) }
            let isLast = part.count < chunk
            if octets.isEmpty {
                swap(&octets, &part)
            } else {
                unsafe part.withUnsafeBufferPointer { unsafe octets.append(wiping: $0) }
                part.wipe()
            }
            guard octets.count <= Self.maximumOctets else {
                visit(
                    .unreadable(
                        name: name, message: "larger than 64 MiB", hint: "split the file"))
                return
            }
            if isLast { break }
            chunk = usual
        }
        visit(.file(name: source, octets: octets, isNamed: isNamed))
        // It may have held Secrets.
        octets.wipe()
    }

    /// Reads until the buffer is full or the file ends. Returns how much was read, and an errno.
    private static func fill(
        _ buffer: UnsafeMutableBufferPointer<UInt8>, from descriptor: CInt
    ) -> (count: Int, problem: CInt) {
        var count = 0
        while count < buffer.count {
            // In pieces: one call for 18 MB made a worker on the same core wait for 12 ms, because the kernel does not
            // interrupt a call.
            let piece = min(buffer.count - count, 1 << 18)
            let taken = unsafe Glibc.read(descriptor, buffer.baseAddress.map { unsafe $0 + count }, piece)
            if taken == 0 { break }
            if taken > 0 { count += taken } else if errno != EINTR { return (count, errno) }
        }
        return (count, 0)
    }

    private func fail(_ path: String, _ message: String, _ code: CInt) {
        switch code {
        case ENOENT, ENOTDIR:
            visit(
                .unreadable(
                    name: path, message: "there is no such file or folder",
                    hint: "check the path, and the folder that it starts from"))
        case EACCES, EPERM:
            visit(
                .unreadable(
                    name: path, message: "no permission to read it",
                    hint: "let this user read it, and enter the folders above it"))
        case ELOOP:
            visit(
                .unreadable(
                    name: path, message: "links that lead in a circle", hint: "remove the link"))
        default:
            let reason = unsafe String(cString: strerror(code))
            visit(.unreadable(name: path, message: "\(message): \(reason)", hint: nil))
        }
    }
}
