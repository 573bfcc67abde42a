internal import JSON

/// The versions of an API group, of an `APIGroup`.
struct OfferedVersions {
    private(set) var versions: [String] = []

    init(_ octets: [UInt8]) throws(JSONError) {
        versions = try JSONReader.read(octets) { (reader) throws(JSONError) in
            var found: [String] = []
            try reader.fields { (name, reader) throws(JSONError) in
                guard reader.equals(name, "versions") else { return }
                try reader.elements { (reader) throws(JSONError) in
                    try reader.fields { (name, reader) throws(JSONError) in
                        guard reader.equals(name, "version"), let version = try reader.text() else { return }
                        found.append(version)
                    }
                }
            }
            return found
        }
    }
}

/// The plural names of the kinds of an API version, of an `APIResourceList`.
struct OfferedResources {
    private(set) var names: Set<String> = []

    init(_ octets: [UInt8]) throws(JSONError) {
        names = try JSONReader.read(octets) { (reader) throws(JSONError) in
            var found: Set<String> = []
            try reader.fields { (name, reader) throws(JSONError) in
                guard reader.equals(name, "resources") else { return }
                try reader.elements { (reader) throws(JSONError) in
                    try reader.fields { (name, reader) throws(JSONError) in
                        guard reader.equals(name, "name"), let text = try reader.text() else { return }
                        found.insert(text)
                    }
                }
            }
            return found
        }
    }
}
