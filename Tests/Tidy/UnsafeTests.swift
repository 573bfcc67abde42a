import Testing

/// `unsafe` stands in few places, each for a reason: elsewhere the compiler proves what is done with memory.
@Suite struct `Unsafe code` {
    /// Modules whose purpose is memory of our own, a C library or the system.
    private static let modules: [String: String] = [
        "Octets": "buffers, runs of octets and secrets are memory of our own",
        "Reactor": "system calls take pointers",
        "TLS": "OpenSSL takes pointers",
        "Patterns": "RE2 takes pointers",
    ]

    /// Files of other modules.
    private static let files: [String: String] = [
        "Balancing/OwnLine.swift": "a number alone on its cache lines",
        "HTTP/GRPC/GRPCTimeout.swift": "writes digits where they stay, once per call",
        "HTTP/HPACK/HPACK.swift": "nghttp2's decoder, owned by this class alone",
        "HTTP/HPACK/HPACKEncoder.swift": "writes a section into room that it has measured",
        "HTTP/HPACK/HPACKTable.swift": "one piece of memory for all entries of a table",
        "HTTP/HTTP1/HTTP1Fields.swift": "lowers the case of names in place, word by word",
        "HTTP/HTTP1/HTTP1Serializer.swift": "writes a field into room that it has measured",
        "HTTP/HTTP2/HTTP2Control.swift": "writes numbers of frames as octets",
        "HTTP/HTTP2/FrameHeader.swift": "writes frame headers in words",
        "HTTP/HTTP2/HTTP2Framing.swift": "has a section written behind room for its frame header",
        "HTTP/HTTP2/HeldSection.swift": "a block's one reference, counted by hand",
        "HTTP/HTTP2/SessionMemory.swift": "the memory that nghttp2 gets",
        "HTTP/HTTP2/SlotTable.swift": "a table of plain values without counting",
        "HTTP/HTTP2/StreamIndex.swift": "a table of plain values without counting",
        "HTTP/HTTP2/TurnList.swift": "a list of plain values in memory of the pools",
        "HTTP/Headers/FieldSyntax.swift": "nghttp2's checks of names and values",
        "HTTP/Headers/HeaderBlock.swift": "fields and their octets in one piece of memory",
        "HTTP/Headers/MessagePools.swift": "blocks and buffers that are kept, counted by hand",
        "JSON/JSONReader.swift": "a view of the text for the time of a reading",
        "JSON/JSONOctets.swift": "writes what an escape means into room for it",
        "Manifests/Decoding/Base64.swift": "writes a secret where it stays",
        "Manifests/FileFinder.swift": "folders and files of the C library",
        "Manifests/SecretText.swift": "a search in C",
        "Manifests/Tree/Node.swift": "compares with literals, and hashes, without a copy",
        "Manifests/Tree/YAMLParser.swift": "libyaml takes pointers",
        "Proxy/Exchange/RequestIdentifier.swift": "writes digits in words, once per request",
        "Proxy/Exchange/RequestView.swift": "refers to a section without counting, for the time of a match",
        "Routing/Match/Evaluate.swift": "finds a pattern by its address, without counting",
        "Routing/Match/RouteTable.swift": "the addresses of its patterns, which it keeps",
        "Routing/Match/KeyTable.swift": "sorts texts without a copy",
        "Routing/Match/Slab.swift": "an array of plain values without counting",
        "Routing/Show/TextRequest.swift": "octets that live as long as the request",
        "Telemetry/AccessLogEscaping.swift": "looks at each octet of a line",
        "Telemetry/MetricsPage.swift": "counters that never move",
    ]

    private static func isHere(_ line: Substring) -> Bool { line.has("unsafe") && line.contains(/\bunsafe\b/) }

    @Test func `stands only where there is a reason`() {
        var used: Set<String> = []
        for file in SourceTree.shared.sources {
            let path = String(file.path.dropFirst("Sources/".count))
            for (number, line) in file.code.lines.enumerated() where Self.isHere(line) {
                used.insert(Self.modules[file.module] == nil ? path : file.module)
                if Self.modules[file.module] != nil || Self.files[path] != nil { continue }
                Issue.record("\(file.path):\(number + 1): \(line); is there a safe way, such as `withOctets`?")
            }
        }
        #expect(Set(Self.modules.keys).union(Self.files.keys).subtracting(used) == [], "reasons for nothing")
    }

    /// What owns memory says so, so that a reader finds who frees it.
    @Test func `each pointer that is kept says whose it is`() {
        for file in SourceTree.shared.sources {
            let lines = file.lines
            for (number, line) in file.code.lines.enumerated() where Self.keepsPointer(line) {
                let remark = lines[number].contains("// ")
                let isDocumented = number > 0 && lines[number - 1].drop { $0 == " " }.hasPrefix("//")
                #expect(remark || isDocumented, "\(file.path):\(number + 1): whose is it? \(line)")
            }
        }
    }

    /// Whether the line declares a stored property that is a pointer.
    private static func keepsPointer(_ line: Substring) -> Bool {
        guard line.has("Unsafe") || line.has("OpaquePointer"), let colon = line.firstIndex(of: ":"),
            line.hasPrefix("    "), !line.has("{")
        else { return false }
        let name = line[..<colon], type = line[colon...].dropFirst(2)
        let isProperty = name.contains(/^ {4}[a-z][\w()@ ]*\b\w+$/) && name.contains(/\b(let|var) \w+$/)
        return isProperty && ["Unsafe", "[Unsafe", "OpaquePointer"].contains { type.hasPrefix($0) }
    }
}
