/// A file as it was read.
package struct SourceText: Sendable {
    private let source: SourceName
    /// Perhaps a part of memory that several files share.
    package let octets: ArraySlice<UInt8>

    package var name: String { source.text }

    fileprivate init(_ source: SourceName, _ octets: ArraySlice<UInt8>) {
        self.source = source
        self.octets = octets
    }
}

/// Collects the texts of a load. Texts outlive the objects they are read into: each in memory of its own,
/// between those objects, a hundred thousand small files would keep all that memory from being given back.
/// So small texts are copied together.
struct SourceTexts {
    private var texts: [SourceText] = []
    private var shared: [UInt8] = []
    /// What lies in `shared`.
    private var waiting: [(source: SourceName, range: Range<Int>)] = []

    private static let smallOctets = 1 << 17
    private static let sharedOctets = 1 << 20

    mutating func add(_ source: SourceName, _ octets: ArraySlice<UInt8>) {
        guard octets.count <= Self.smallOctets else {
            seal()    // the order of the files stays
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

    mutating func finish() -> [SourceText] {
        seal()
        return texts
    }
}
