import Testing

/// Imports point downwards, and no wall has a door that nobody uses.
@Suite struct `The walls` {
    private let tree = SourceTree.shared
    private let walls: Walls

    init() throws {
        walls = Walls(package: try #require(tree.files.first { $0.path == "Package.swift" }).text)
    }

    @Test func `each module imports what Package.swift names, and all of it`() {
        var imported: [String: Set<String>] = [:]
        for file in tree.sources where !Walls.isC(file.module) {
            let allowed = Set(walls.module(file.module)?.dependencies ?? [])
                .union(Walls.system[file.module] ?? []).union(Walls.everywhere)
            for (number, line) in file.code.lines.enumerated() where line.has("import ") {
                guard let name = Walls.importedModule(line) else { continue }
                imported[file.module, default: []].insert(name)
                let place = "\(file.path):\(number + 1)"
                #expect(allowed.contains(name), "\(place): \(file.module) may not import \(name)")
            }
        }
        #expect(imported.count > 13 && imported["Control"] != nil)
        for (name, found) in imported {
            let unused = Set(walls.module(name)?.dependencies ?? []).subtracting(found)
            #expect(unused.isEmpty, "Package.swift: \(name) does not import \(unused.sorted())")
        }
    }

    @Test func `a module depends on modules above it in the list, so that there is no circle`() {
        var known: Set<String> = ["Logging", "ArgumentParser"]
        for module in walls.modules {
            for name in module.dependencies {
                #expect(known.contains(name), "Package.swift: \(module.name) stands above \(name)")
            }
            known.insert(module.name)
        }
    }

    @Test func `one module alone imports each C library`() {
        let libraries = walls.modules.map(\.name).filter(Walls.isC)
        #expect(libraries.count > 5)
        for library in libraries {
            let users = walls.modules.filter { $0.dependencies.contains(library) && !Walls.isC($0.name) }
            #expect(users.count == 1, "\(library) is imported by \(users.map(\.name))")
        }
    }

    @Test func `the C library is called in the files that wrap it alone`() {
        let callers = tree.sources.filter { file in
            file.code.lines.contains { Walls.importedModule($0) == "Glibc" }
        }
        let paths = callers.map { String($0.path.dropFirst("Sources/".count)) }
        #expect(Set(paths) == Set(Walls.callersOfC.keys))
    }

    @Test func `are read from the text of a package`() {
        let text = """
            let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
            targets: [
                .systemLibrary(name: "CLinux"), .target(name: "CCrash"),
                part("Octets"),
                part(
                    "Reactor", ["CLinux", logging]),
                .executableTarget(
                    name: "portico-echo",
                    dependencies: ["Reactor"], swiftSettings: settings),
            ]
            """
        #expect(
            Walls(package: text).modules == [
                .init(name: "CLinux", dependencies: []), .init(name: "CCrash", dependencies: []),
                .init(name: "Octets", dependencies: []),
                .init(name: "Reactor", dependencies: ["CLinux", "Logging"]),
                .init(name: "portico-echo", dependencies: ["Reactor"]),
            ])
    }

    @Test(
        arguments: [
            ("internal import Octets", "Octets"), ("import struct Glibc.stat", "Glibc"), ("import Testing", "Testing"),
            ("// import x y z", nil), ("let imported = 1", nil),
        ] as [(String, String?)])
    func `an import is found in a line`(line: String, module: String?) {
        #expect(Walls.importedModule(SwiftText(line).lines[0]) == module)
    }
}
