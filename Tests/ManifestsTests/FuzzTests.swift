import Manifests
import Support
import Testing

/// Mutations of the seeds and the golden inputs: no text may trap, hang, or be read without end.
/// `PORTICO_FUZZ_ROUNDS` sets the number of rounds.
@Suite struct `A text of chance` {
    /// splitmix64: the same mutations in every run.
    private struct Chance: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }

    private static let fragments = [
        "{", "}", "[", "]", "- ", ": ", "\n", "\n---\n", "&a ", "*a", "<<: ", "\"", "'", "!!str ",
        "null", "~", "-1", "99999999999999999999", "0x", "1e999", "\u{FEFF}", "\t", "# ", "|", ">",
        "\u{0}", "? ", "items: ", "kind: List", "\u{FF}", "{{{{{{{{", "5s", "*", "%",
        "\n%TAG ! x\n", "\n%YAML 1.1\n", "{{ .Values.x }}", "${NAME}", "$(NAME)", "}{", "\n{\"kind\": 1}\n",
        "2001:db8::,", "a::]", "\u{E000}", "\u{E001}", "\\ud83d\\ude00",
        "*.a.com", "@a", "\u{85}%", "\u{2028}%", "%REQ(%)%",
        "websocketUpgrade: true\n",
    ]

    @Test func `never traps the reader`() {
        let rounds = TestFiles.environment("PORTICO_FUZZ_ROUNDS").flatMap(Int.init) ?? 3000
        let inputs =
            TestFiles.names(in: Fixtures.seeds).map { TestFiles.octets(Fixtures.seeds + "/" + $0) }
            + TestFiles.names(in: Fixtures.golden).map {
                TestFiles.octets(Fixtures.golden + "/" + $0)
            }
        var chance = Chance(state: 20_240_601)
        var objects = 0
        for _ in 0..<rounds {
            guard var text = inputs.randomElement(using: &chance) else { return }
            for _ in 0..<Int.random(in: 1...6, using: &chance) { Self.mutate(&text, &chance) }
            let set = ManifestReader.load(sources: [("fuzz.yaml", text)])
            objects += set.inventory.services.count
            #expect(set.diagnostics.allSatisfy { $0.place.line >= 1 && $0.place.column >= 1 })
            if set.brokenFiles.isEmpty == false { #expect(set.hasErrors) }
        }
        // Else the mutations are too wild to reach the decoders.
        #expect(rounds < 100 || objects > rounds / 20)
    }

    /// What a Secret holds is quoted by no report, however broken its file is.
    @Test func `never shows what a Secret holds`() {
        let secret = "SECRET0123SECRET"
        let values = [secret, "'\(secret)'", "!\(secret) x", "*\(secret)", "[\(secret)]", "{\(secret): ", "0x5ec2e7"]
        var chance = Chance(state: 8_675_309)
        for _ in 0..<3000 {
            let value = values[Int.random(in: 0..<values.count, using: &chance)]
            var text = Array(
                """
                apiVersion: v1
                kind: Secret
                metadata: {name: a}
                type: \(value)
                data: {tls.crt: \(value), tls.key: aGk=}
                stringData:
                  a: \(value)
                  b: |
                    \(value)
                immutable: \(value)
                """.utf8)
            // Not in the values: a piece of one could become a key or a kind, which are shown.
            for _ in 0..<Int.random(in: 0...3, using: &chance) {
                guard let fragment = Self.fragments.randomElement(using: &chance) else { return }
                let place = Int.random(in: 15..<text.count, using: &chance)
                let isLetter = (UInt8(ascii: "0")...UInt8(ascii: "z")).contains(text[place])
                if !isLetter { text.insert(contentsOf: fragment.utf8, at: place) }
            }
            let found = ManifestReader.load(sources: [("fuzz.yaml", text)]).diagnostics
            for diagnostic in found {
                let said = diagnostic.message + (diagnostic.hint ?? "")
                #expect(!said.contains(secret) && !said.contains("0x5ec2e7") && !said.contains("6210279"))
            }
        }
    }

    /// Every value of the golden inputs, and of what they do not have, once as each kind of node.
    @Test func `never traps for a value of another kind`() {
        let more = """
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: x}
            spec: {hosts: [a.com], http: [{match: [{uri: {regex: a}, withoutHeaders: {x: {regex: b}}}]}]}
            """
        let texts =
            TestFiles.names(in: Fixtures.golden).map {
                String(decoding: TestFiles.octets(Fixtures.golden + "/" + $0), as: UTF8.self)
            } + [more]
        for text in texts {
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false).prefix { $0 != "-----" }
            for (number, line) in lines.enumerated() {
                for value in line.matches(of: /: *([^,{}\[\] ][^,{}\[\]]*)/) {
                    for other in ["{}", "[]", "{a: b}", "[1]", "7", "null", "[{}]"] {
                        var changed = lines.map(String.init)
                        changed[number] = line.replacingCharacters(value.output.1, by: other)
                        _ = load(changed.joined(separator: "\n"))
                    }
                }
            }
        }
    }

    private static func mutate(_ text: inout [UInt8], _ chance: inout Chance) {
        guard !text.isEmpty else { return }
        let place = Int.random(in: 0..<text.count, using: &chance)
        let end = min(text.count, place + Int.random(in: 1...20, using: &chance))
        switch Int.random(in: 0..<6, using: &chance) {
        case 0: text[place] = UInt8.random(in: 0...255, using: &chance)
        case 1: text.removeSubrange(place..<end)
        case 2:
            text.insert(
                contentsOf: text[place..<end], at: Int.random(in: 0..<text.count, using: &chance))
        case 3: text.removeSubrange(end...)
        default:
            guard let fragment = fragments.randomElement(using: &chance) else { return }
            text.insert(contentsOf: fragment.utf8, at: place)
        }
    }
}

extension Substring {
    fileprivate func replacingCharacters(_ part: Substring, by other: String) -> String {
        self[startIndex..<part.startIndex] + other + self[part.endIndex..<endIndex]
    }
}
