package import Octets

// What a client of the Kubernetes API needs of an answer before the objects in it are decoded. Nothing is copied but
// these few texts, and the objects are not checked: a mistake in one object must not keep the others away.
// Source: Kubernetes `ListMeta`, `WatchEvent`, `Status`, `ObjectMeta`.

/// An answer to a list: where its objects are, and where the list goes on.
package struct ListSkim: Sendable, Equatable {
    /// The octets of each object in the answer.
    package var items: [Range<Int>] = []
    /// `metadata.resourceVersion`; empty if there is none.
    package var resourceVersion = ""
    /// `metadata.continue`; empty on the last page.
    package var continuation = ""
    /// `metadata.remainingItemCount`.
    package var remaining: Int?

    /// Reads an answer.
    /// - Throws: also if it is no list: it then has no `items`.
    package init(_ octets: [UInt8]) throws(JSONError) {
        self = try JSONReader.read(octets) { (reader) throws(JSONError) in
            var skim = ListSkim()
            var hasItems = false
            try reader.fields { (name, reader) throws(JSONError) in
                if reader.equals(name, "metadata") {
                    try skim.readMetadata(&reader)
                } else if reader.equals(name, "items") {
                    guard !hasItems else { throw JSONError(.repeated, at: name.range.lowerBound) }
                    hasItems = true
                    try reader.elements { (reader) throws(JSONError) in skim.items.append(try reader.pass()) }
                }
            }
            try reader.finish()
            guard hasItems else { throw JSONError(.wrongType, at: 0) }
            return skim
        }
    }

    private init() {}

    private mutating func readMetadata(_ reader: inout JSONReader) throws(JSONError) {
        var found = self
        try reader.fields { (name, reader) throws(JSONError) in
            if reader.equals(name, "resourceVersion") {
                found.resourceVersion = try reader.text() ?? ""
            } else if reader.equals(name, "continue") {
                found.continuation = try reader.text() ?? ""
            } else if reader.equals(name, "remainingItemCount") {
                found.remaining = try reader.integer()
            }
        }
        self = found
    }
}

/// One line of a watch.
package struct WatchSkim: Sendable, Equatable {
    /// `type`: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR.
    package var type = ""
    /// The octets of `object` in the line.
    package var object = 0..<0

    /// Reads a line.
    /// - Throws: also if it has no `type` or no `object`, or one of them twice.
    package init(_ octets: [UInt8]) throws(JSONError) {
        self = try JSONReader.read(octets) { (reader) throws(JSONError) in try WatchSkim(&reader) }
    }

    /// Reads a line that somebody else owns.
    /// - Throws: as the other one.
    package init(octets: Octets) throws(JSONError) {
        var reader = JSONReader(octets)
        try self.init(&reader)
    }

    private init(_ reader: inout JSONReader) throws(JSONError) {
        var (type, object) = ("", 0..<0)
        try reader.fields { (name, reader) throws(JSONError) in
            if reader.equals(name, "type") {
                guard type.isEmpty else { throw JSONError(.repeated, at: name.range.lowerBound) }
                type = try reader.text() ?? ""
            } else if reader.equals(name, "object") {
                guard object.isEmpty else { throw JSONError(.repeated, at: name.range.lowerBound) }
                object = try reader.pass()
            }
        }
        try reader.finish()
        guard !type.isEmpty, !object.isEmpty else { throw JSONError(.wrongType, at: 0) }
        (self.type, self.object) = (type, object)
    }
}

/// The identity and version of one object. What else it says is not checked.
package struct MetadataSkim: Sendable, Equatable {
    /// `metadata.namespace`; empty if there is none.
    package var namespace = ""
    /// `metadata.name`; empty if there is none.
    package var name = ""
    /// `metadata.resourceVersion`; empty if there is none.
    package var resourceVersion = ""
    /// The annotation by which a bookmark ends a streamed list. Source: Kubernetes `WatchEvent`.
    package var endsInitialEvents = false

    /// Reads an object.
    /// - Parameter range: its octets; nil: all.
    package init(_ octets: [UInt8], in range: Range<Int>? = nil) throws(JSONError) {
        self = try JSONReader.read(octets, in: range) { (reader) throws(JSONError) in try MetadataSkim(&reader) }
    }

    /// Reads an object that somebody else owns.
    package init(octets: Octets) throws(JSONError) {
        var reader = JSONReader(octets)
        try self.init(&reader)
    }

    private init(_ reader: inout JSONReader) throws(JSONError) {
        var skim = MetadataSkim()
        try reader.fields { (name, reader) throws(JSONError) in
            if reader.equals(name, "metadata") { try skim.readMetadata(&reader) } else { try reader.pass() }
        }
        try reader.finish()
        self = skim
    }

    private init() {}

    private mutating func readMetadata(_ reader: inout JSONReader) throws(JSONError) {
        var found = self
        try reader.fields { (name, reader) throws(JSONError) in
            if reader.equals(name, "name") {
                found.name = try reader.text() ?? ""
            } else if reader.equals(name, "namespace") {
                found.namespace = try reader.text() ?? ""
            } else if reader.equals(name, "resourceVersion") {
                found.resourceVersion = try reader.text() ?? ""
            } else if reader.equals(name, "annotations") {
                found.endsInitialEvents = try Self.endsInitialEvents(&reader)
            } else {
                try reader.pass()
            }
        }
        self = found
    }

    private static func endsInitialEvents(_ reader: inout JSONReader) throws(JSONError) -> Bool {
        var ends = false
        try reader.fields { (name, reader) throws(JSONError) in
            guard reader.equals(name, "k8s.io/initial-events-end") else {
                try reader.pass()
                return
            }
            ends = try reader.text() == "true"
        }
        return ends
    }
}

/// A refusal of the API server.
package struct StatusSkim: Sendable, Equatable {
    /// `code`, the HTTP status that the server means; nil if there is none.
    package var code: Int?
    /// `reason`, such as Expired or Forbidden.
    package var reason = ""
    /// `message`, a sentence.
    package var message = ""
    /// `details.retryAfterSeconds`.
    package var retryAfterSeconds: Int?

    /// Reads a Status.
    /// - Parameter range: its octets; nil: all.
    package init(_ octets: [UInt8], in range: Range<Int>? = nil) throws(JSONError) {
        self = try JSONReader.read(octets, in: range) { (reader) throws(JSONError) in
            var skim = StatusSkim()
            try reader.fields { (name, reader) throws(JSONError) in
                if reader.equals(name, "code") {
                    skim.code = try reader.integer()
                } else if reader.equals(name, "reason") {
                    skim.reason = try reader.text() ?? ""
                } else if reader.equals(name, "message") {
                    skim.message = try reader.text() ?? ""
                } else if reader.equals(name, "details") {
                    skim.retryAfterSeconds = try Self.retryAfter(&reader)
                }
            }
            try reader.finish()
            return skim
        }
    }

    private init() {}

    private static func retryAfter(_ reader: inout JSONReader) throws(JSONError) -> Int? {
        var seconds: Int?
        try reader.fields { (name, reader) throws(JSONError) in
            if reader.equals(name, "retryAfterSeconds") { seconds = try reader.integer() }
        }
        return seconds
    }
}
