/// Words that had two meanings, or a meaning that another word has. They are checked in the identifiers and comments of
/// the modules in `Documentation.finishedModules`; docs/glossary.md has the words to use instead.
struct RetiredWord {
    let word: String
    let why: String
    let instead: String
    /// Modules in which the word has another meaning, of the field or of a library.
    var exceptIn: Set<String> = []

    static let all = [
        RetiredWord(
            word: "attempt", why: "the same as a try", instead: "try",
            // Istio's field `retries.attempts`, and Envoy's `upstream_request_attempt_count`
            exceptIn: ["Manifests", "Routing", "Telemetry", "Proxy"]),
        RetiredWord(
            word: "codec", why: "the same as a session", instead: "session",
            exceptIn: ["HTTP"]),    // Envoy's response code detail `http1.codec_error`
        RetiredWord(
            word: "findings", why: "the same as a problem", instead: "problem",
            exceptIn: ["Telemetry", "Proxy", "portico"]),    // those of `portico doctor`, which are of no definition
        RetiredWord(
            word: "binding", why: "VirtualServices on Gateways, listeners with tables, and sockets",
            instead: "attachment, listener, or to bind",
            exceptIn: ["Control"]),    // Kubernetes' kind RoleBinding
        RetiredWord(
            word: "program", why: "rules of a VirtualService, and what RE2 compiles", instead: "rule list",
            exceptIn: ["Patterns", "Manifests", "Reactor", "Kubernetes", "portico-echo"]),
        RetiredWord(
            word: "fault", why: "what a rule injects, and whatever is wrong",
            instead: "violation of HTTP, problem of a text, error, failure, or blame",
            exceptIn: ["Manifests", "Routing", "Telemetry", "Proxy"]),    // Istio's field `fault`, Envoy's flags
        RetiredWord(
            word: "record", why: "of TLS; and lines of the log, mappings of a file, what is known of a Service",
            instead: "access log entry, mapping, entry, history, or to note",
            exceptIn: ["TLS", "HTTP", "Proxy", "Telemetry"]),    // those of TLS
        RetiredWord(word: "patience", why: "a time, and a budget for abuse", instead: "time limit, or budget"),
        RetiredWord(
            word: "share of turn", why: "a share is a part of the requests or clients", instead: "quota of the turn"),
        RetiredWord(word: "over share", why: "a share is a part of the requests or clients", instead: "over quota"),
        RetiredWord(word: "outlier watch", why: "a watch is on files and objects", instead: "outlier observer"),
        RetiredWord(word: "eviction rank", why: "a rank is of endpoints", instead: "eviction order"),
        RetiredWord(
            word: "account", why: "Kubernetes' service account; and memory, counts, reports",
            instead: "holder of header memory, tally, report",
            exceptIn: ["Kubernetes", "Manifests", "Routing", "Control", "portico"]),    // service accounts
        RetiredWord(word: "waiting line", why: "a line is of text", instead: "waiting queue"),
        RetiredWord(word: "wheel handle", why: "a handle is a worker's own object", instead: "timer ID"),
        RetiredWord(word: "status owner", why: "an owner has a stream, or frees memory", instead: "status author"),
        RetiredWord(word: "tls owner", why: "an owner has a stream, or frees memory", instead: "TLS server"),
        RetiredWord(word: "told", why: "leaves open who says what", instead: "reported, said, noted, known"),
    ]

    /// The numbers of the lines in which it occurs, from 1.
    func lines(of file: SourceTree.File) -> [Int] {
        let beginning = String(word.prefix { $0 != " " })
        let capitalized = beginning.prefix(1).uppercased() + beginning.dropFirst()
        let spellings = [beginning, capitalized, beginning.uppercased()]
        guard file.text.has(oneOf: spellings) else { return [] }
        return file.lines.indices.filter { file.lines[$0].has(oneOf: spellings) && isIn(file.lines[$0]) }.map { $0 + 1 }
    }

    /// Whether it occurs, as a word of an identifier or of a comment, in the singular or plural.
    func isIn(_ line: Substring) -> Bool {
        let wanted = word.split(separator: " ").map(String.init)
        let words = Self.words(of: line)
        guard words.count >= wanted.count else { return false }
        return (0...words.count - wanted.count).contains { start in
            zip(wanted, words[start...]).allSatisfy { $0 == $1 || $0 + "s" == $1 }
        }
    }

    /// The words of identifiers and texts in lower case: `findFirst` has two.
    private static func words(of line: Substring) -> [String] {
        var words: [String] = []
        var word = ""
        for character in line {
            let continues = character.isLetter && !(character.isUppercase && word.last?.isLowercase == true)
            if !continues, !word.isEmpty {
                words.append(word.lowercased())
                word = ""
            }
            if character.isLetter { word.append(character) }
        }
        return word.isEmpty ? words : words + [word.lowercased()]
    }
}
