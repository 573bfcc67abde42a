internal import ArgumentParser
internal import FoundationEssentials
internal import Reactor

/// Every option of `serve` is also an environment variable: `--listen-map` is `PORTICO_LISTEN_MAP`. A flag on the
/// command line wins. A repeatable one takes several values, separated by commas. A flag without a value is given by
/// `on`. Other commands read the variables of those options that they share with `serve`. Names come from the options'
/// declarations.
enum EnvironmentOptions {
    /// The commands that read variables.
    private static let readers: [any ParsableCommand.Type] = [Serve.self, Check.self, Routes.self, Doctor.self]

    /// The arguments with an option for each variable that is set and not empty, unless the arguments have it.
    static func merged(into arguments: [String]) throws -> [String] {
        let isAskedForHelp = arguments.contains("--help") || arguments.contains("-h")
        guard let command = readers.first(where: { $0._commandName == arguments.first }), !isAskedForHelp else {
            return arguments
        }
        let own = try Set(DeclaredOption.all(of: command).map(\.name))
        var merged = arguments
        for option in try DeclaredOption.all(of: Serve.self) where own.contains(option.name) {
            guard !option.isGiven(in: arguments), let value = value(of: option) else { continue }
            if option.isFlag {
                // The parser refuses anything else.
                if value != "off" { merged.append(value == "on" ? "--\(option.name)" : "--\(option.name)=\(value)") }
                continue
            }
            let values = option.isRepeating ? value.split(separator: ",").map(String.init) : [value]
            for value in values { merged += ["--\(option.name)", value] }
        }
        return merged
    }

    private static func value(of option: DeclaredOption) -> String? {
        guard let value = EnvironmentVariable.value(of: option.variable), !value.isEmpty else { return nil }
        return value
    }
}

/// An option, as its command declares it.
private struct DeclaredOption {
    let name: String    // without dashes
    let isRepeating: Bool
    let isFlag: Bool    // it has no value

    var variable: String { "PORTICO_" + name.uppercased().map { $0 == "-" ? "_" : String($0) }.joined() }

    func isGiven(in arguments: [String]) -> Bool {
        arguments.contains { $0 == "--\(name)" || $0.hasPrefix("--\(name)=") }
    }

    /// In the order of their declarations, those of option groups included.
    static func all(of command: any ParsableCommand.Type) throws -> [DeclaredOption] {
        let dump = try JSONDecoder().decode(Dump.self, from: Data(command._dumpHelp().utf8))
        return dump.command.arguments.filter { $0.kind == "option" || $0.kind == "flag" }.compactMap { argument in
            guard let name = argument.names?.first(where: { $0.kind == "long" })?.name, name != "help" else {
                return nil
            }
            return DeclaredOption(name: name, isRepeating: argument.isRepeating, isFlag: argument.kind == "flag")
        }
    }

    /// What is of use here of the form that the argument parser describes commands in (its `ToolInfoV0`).
    private struct Dump: Decodable {
        let command: Command

        struct Command: Decodable { let arguments: [Argument] }

        struct Argument: Decodable {
            let kind: String
            let isRepeating: Bool
            let names: [Name]?
        }

        struct Name: Decodable { let kind, name: String }
    }
}
