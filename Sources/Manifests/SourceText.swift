/// The text of a file as it was read.
package struct SourceText: Sendable {
    private let source: SourceName
    /// Its octets, which may be a part of memory that several files share.
    package let octets: ArraySlice<UInt8>

    /// The name of the file.
    package var name: String { source.text }

    fileprivate init(_ source: SourceName, _ octets: ArraySlice<UInt8>) {
        self.source = source
        self.octets = octets
    }
}

/// Collects the texts of a load. Texts live longer than the objects that are read from them. If each had memory of its
/// own between those objects, a hundred thousand small files would keep all that memory from being freed. So small
/// texts are copied into shared memory.
struct SourceTexts {
    private var texts: [SourceText] = []
    private var shared: [UInt8] = []
    /// The texts in `shared`.
    private var waiting: [(source: SourceName, range: Range<Int>)] = []

    private static let smallOctets = 1 << 17
    private static let sharedOctets = 1 << 20

    /// Adds the text of a file.
    mutating func add(_ source: SourceName, _ octets: ArraySlice<UInt8>) {
        guard octets.count <= Self.smallOctets else {
            seal()    // keeps the order of the files
            texts.append(SourceText(source, octets))
            return
        }
        if shared.count + octets.count > Self.sharedOctets { seal() }
        waiting.append((source, shared.count..<(shared.count + octets.count)))
        shared += octets
    }

    private mutating func seal() {
        for (source, range) in waiting { texts.append(SourceText(source, shared[range])) }
        waiting = []
        shared = []
    }

    /// All texts, in the order of the files.
    mutating func finish() -> [SourceText] {
        seal()
        return texts
    }
}
