/// Which module may import which, as `Package.swift` says.
struct Walls {
    /// One module of ours or C library.
    struct Module: Equatable {
        let name: String
        let dependencies: [String]
    }

    /// In the order of `Package.swift`, which is lowest first.
    let modules: [Module]

    /// The parts of the system and of the toolchain that a module may import, beside what `everywhere` names.
    static let system: [String: Set<String>] = [
        "Octets": ["Glibc"],
        "Manifests": ["Glibc"],
        "portico": ["FoundationEssentials"],
        "portico-echo": ["FoundationEssentials"],
    ]
    static let everywhere: Set<String> = ["Swift", "Synchronization"]

    /// The files that call the C library, each of which wraps what it calls. Reactor has the rest of the system, by
    /// `CLinux`.
    static let callersOfC: [String: String] = [
        "Octets/AddressRange.swift": "addresses in text",
        "Octets/Lock.swift": "a mutex that ThreadSanitizer can follow",
        "Octets/OctetBuffer.swift": "memory is copied and wiped",
        "Octets/Octets.swift": "memory is compared and searched",
        "Octets/SecretOctets.swift": "memory is wiped",
        "Manifests/FileFinder.swift": "folders and files",
    ]

    init(package: String) {
        let declaration = /(?:\bpart\(|\.(?:system|executable)?(?:Library|Target|target)\()\s*(?:name: )?"([\w-]+)"/
        let products = Self.products(of: package)
        let starts = package.matches(of: declaration)
        modules = starts.enumerated().map { index, match in
            let end = index + 1 < starts.count ? starts[index + 1].range.lowerBound : package.endIndex
            let list = package[match.range.upperBound..<end].prefixMatch(of: /,\s*(?:dependencies: )?\[([^\]]*)\]/)?.1
            let words = list?.matches(of: /"([\w-]+)"|(\w+)/) ?? []
            let names = words.map { $0.1.map(String.init) ?? products[String($0.2 ?? "")] ?? String($0.2 ?? "") }
            return Module(name: String(match.1), dependencies: names)
        }
    }

    /// The name of the module behind each constant, such as `logging` for "Logging".
    private static func products(of package: String) -> [String: String] {
        let found = package.matches(of: /let (\w+) = Target\.Dependency\.product\(name: "(\w+)"/)
        return Dictionary(uniqueKeysWithValues: found.map { (String($0.1), String($0.2)) })
    }

    /// Whether a target holds a C library: its name is a C before another capital.
    static func isC(_ name: String) -> Bool {
        name.hasPrefix("C") && name.dropFirst().first?.isUppercase == true
    }

    func module(_ name: String) -> Module? { modules.first { $0.name == name } }

    /// What a line of code imports.
    static func importedModule(_ line: Substring) -> String? {
        let words = line.split(separator: " ")
        guard let place = words.firstIndex(of: "import"), place < 3, place + 1 < words.count else { return nil }
        let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "typealias", "let", "var"]
        let name = kinds.contains(words[place + 1]) && place + 2 < words.count ? words[place + 2] : words[place + 1]
        return name.split(separator: ".").first.map(String.init)
    }
}
