internal import Glibc

/// Finds and reads the files of definitions that paths stand for. Never reads one file twice,
/// whatever ways lead to it: links, or a folder and a file in it.
struct FileFinder {
    /// Of one file.
    static let maximumOctets = 64 << 20
    private static let maximumDepth = 32
    private static let endings = [".yaml", ".yml", ".json"]

    /// What a path led to.
    enum Found {
        case file(name: String, octets: [UInt8])
        case unreadable(name: String, message: String, hint: String?)
        case emptyFolder(name: String)
    }

    private struct Identity: Hashable {
        let device: UInt64
        let inode: UInt64
    }

    private var seen: Set<Identity> = []
    private var visit: (Found) -> Void

    init(visit: @escaping (Found) -> Void) { self.visit = visit }

    /// Visits what a path given by the user stands for; `-` is standard input.
    mutating func find(_ path: String) {
        if path == "-" {
            read(descriptor: STDIN_FILENO, name: "-")
            return
        }
        guard let status = status(of: path) else { return }
        if status.st_mode & S_IFMT == S_IFDIR {
            if find(inFolder: path, status, depth: 0) == 0 { visit(.emptyFolder(name: path)) }
        } else if isNew(status) {
            read(path)
        }
    }

    /// Visits the files of a folder; returns how many there were.
    private mutating func find(inFolder path: String, _ status: stat, depth: Int) -> Int {
        // A link that leads upwards would never end.
        guard depth < Self.maximumDepth, isNew(status) else { return 0 }
        guard let names = names(in: path) else { return 1 }
        var count = 0
        for name in names {
            let child = path.hasSuffix("/") ? path + name : path + "/" + name
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
                if isNew(status) { read(child) }
            }
        }
        return count
    }

    /// Sorted, without hidden names: those are editors' files, and in a mounted ConfigMap the
    /// `..data` folders that the visible links lead to.
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
        // Pipes and terminals are read whenever they are named.
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

    private func read(_ path: String) {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return fail(path, "the file cannot be opened", errno) }
        defer { close(descriptor) }
        read(descriptor: descriptor, name: path)
    }

    private func read(descriptor: CInt, name: String) {
        var octets: [UInt8] = []
        var chunk = Self.firstPiece(of: descriptor)
        while true {
            var problem: CInt = 0
            let part = unsafe [UInt8](unsafeUninitializedCapacity: chunk) { buffer, count in
                let taken = unsafe Glibc.read(descriptor, buffer.baseAddress, chunk)
                if taken < 0 { problem = errno }
                count = max(0, taken)
            }
            if problem == EINTR { continue }
            guard problem == 0 else { return fail(name, "the file cannot be read", problem) }
            if part.isEmpty { break }
            if octets.isEmpty { octets = part } else { octets += part }
            guard octets.count <= Self.maximumOctets else {
                visit(
                    .unreadable(
                        name: name, message: "larger than 64 MiB", hint: "split the file"))
                return
            }
            chunk = 1 << 18
        }
        visit(.file(name: name, octets: octets))
    }

    /// How much to ask for first: usually all of it, so that the text lies in memory once.
    private static func firstPiece(of descriptor: CInt) -> Int {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            return 1 << 18
        }
        return min(max(Int(status.st_size), 1), maximumOctets) + 1
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
