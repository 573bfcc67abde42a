internal import CYAML
internal import Octets

/// Why the rest of a file cannot be read. It quotes nothing of the file, which may have a Secret.
struct SyntaxError: Error {
    var code: String
    var message: String
    var hint: String?
    var line: Int
    var column: Int
    /// How many characters of the text that was being read are before the place.
    var charactersBefore = 0
    /// Where the part begins that could not be read.
    var beginning: (line: Int, column: Int)?
}

/// Where a text begins in its file.
struct TextStart {
    /// How many lines of the file are before it.
    var linesBefore = 0
    /// How many columns of the first line are before it.
    var columnsBefore = 0
    /// Whether the text has stand-ins, of `FlowColons` or `SurrogatePairs`.
    var hasStandIns = false
}

/// One event of libyaml.
struct YAMLEvent {
    /// What the event begins, ends or is. Tags and styles beyond plain and quoted make no difference.
    enum Kind {
        case scalar(isPlain: Bool)
        case sequenceStart, sequenceEnd, mappingStart, mappingEnd, alias
        case documentStart, documentEnd, streamEnd, other
    }
    var kind: Kind
    var anchor: String?
    var tag: String?
    var line: Int32
    var column: Int32
}

/// Runs libyaml over one file in memory.
///
/// Thread: the load's. Freed by: `TreeBuilder`.
@safe final class YAMLParser {
    // Owned: made in `init`, freed in `deinit`. It is allocated because libyaml keeps pointers into it, so it must not
    // move.
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    /// The part that libyaml has not asked for yet.
    private var input: ArraySlice<UInt8>

    private let start: TextStart

    init(_ octets: ArraySlice<UInt8>, at start: TextStart) {
        self.start = start
        unsafe parser = .allocate(capacity: 1)
        input = octets
        unsafe parser.initialize(to: yaml_parser_t())
        _ = unsafe yaml_parser_initialize(parser)
        // In pieces, so that the text is not copied as a whole. `self` lives longer than the parser.
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe yaml_parser_set_input(
            parser,
            { context, buffer, size, taken in
                guard let context = unsafe context, let buffer = unsafe buffer else { return 0 }
                let own = unsafe Unmanaged<YAMLParser>.fromOpaque(context).takeUnretainedValue()
                unsafe taken?.pointee = own.give(UnsafeMutableRawBufferPointer(start: buffer, count: size))
                return 1
            }, context)
    }

    /// The size of a piece. libyaml reads all that it is given, however early it stops, and a hundred thousand JSON
    /// objects in a row need as many parsers.
    private static let pieceOctets = 1024

    /// Copies the next piece of the input. Returns its length, which is 0 at the end.
    private func give(_ buffer: UnsafeMutableRawBufferPointer) -> Int {
        let piece = input.prefix(min(buffer.count, Self.pieceOctets))
        unsafe piece.withUnsafeBytes { unsafe buffer.copyMemory(from: $0) }
        input = input[piece.endIndex...]
        return piece.count
    }

    deinit {
        unsafe yaml_parser_delete(parser)
        unsafe parser.deallocate()
    }

    /// Reads the next event, and appends the text of a scalar to `text`.
    func next(appendingTo text: inout [UInt8]) throws(SyntaxError) -> YAMLEvent {
        var raw = unsafe yaml_event_t()
        var flat = unsafe portico_yaml_event()
        guard unsafe portico_yaml_next(parser, &raw, &flat) == 1 else { throw problem() }
        defer { unsafe yaml_event_delete(&raw) }
        if let octets = unsafe flat.text {
            let scalar = unsafe UnsafeBufferPointer(start: octets, count: flat.length)
            if start.hasStandIns, unsafe scalar.contains(FlowColons.firstOctet) {
                let octets = FlowColons.putBack(unsafe Array(scalar)[...])
                text += unsafe SurrogatePairs.putBack(octets[...], isDoubleQuoted: flat.is_double_quoted != 0)
            } else {
                unsafe text.append(wiping: scalar)
            }
        }
        return unsafe YAMLEvent(
            kind: Self.kind(flat), anchor: flat.anchor.map { unsafe String(cString: $0) },
            tag: flat.tag.map { unsafe String(cString: $0) },
            line: Int32(clamping: line(flat.line)), column: Int32(clamping: column(flat.column, flat.line)))
    }

    private func line(_ own: Int) -> Int { own + start.linesBefore }
    private func column(_ own: Int, _ line: Int) -> Int { line == 1 ? own + start.columnsBefore : own }

    private static func kind(_ flat: portico_yaml_event) -> YAMLEvent.Kind {
        switch unsafe UInt32(bitPattern: flat.type) {
        case YAML_SCALAR_EVENT.rawValue: unsafe .scalar(isPlain: flat.is_plain != 0)
        case YAML_SEQUENCE_START_EVENT.rawValue: .sequenceStart
        case YAML_SEQUENCE_END_EVENT.rawValue: .sequenceEnd
        case YAML_MAPPING_START_EVENT.rawValue: .mappingStart
        case YAML_MAPPING_END_EVENT.rawValue: .mappingEnd
        case YAML_ALIAS_EVENT.rawValue: .alias
        case YAML_DOCUMENT_START_EVENT.rawValue: .documentStart
        case YAML_DOCUMENT_END_EVENT.rawValue: .documentEnd
        case YAML_STREAM_END_EVENT.rawValue: .streamEnd
        default: .other
        }
    }

    private func beginning() -> (line: Int, column: Int)? {
        guard unsafe portico_yaml_context(parser) != nil else { return nil }
        let (line, column) = unsafe (
            Int(portico_yaml_context_line(parser)), Int(portico_yaml_context_column(parser))
        )
        return (self.line(line), self.column(column, line))
    }

    private func problem() -> SyntaxError {
        var message = unsafe String(cString: portico_yaml_problem(parser))
        if let context = unsafe portico_yaml_context(parser) {
            message += unsafe " " + String(cString: context)
        }
        let (line, column) = unsafe (
            Int(portico_yaml_problem_line(parser)), Int(portico_yaml_problem_column(parser))
        )
        return unsafe SyntaxError(
            code: "syntax", message: "not YAML: \(message)", hint: nil,
            line: self.line(line), column: self.column(column, line),
            charactersBefore: Int(portico_yaml_problem_index(parser)), beginning: beginning())
    }
}
