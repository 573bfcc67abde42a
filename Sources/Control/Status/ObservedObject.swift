internal import JSON
internal import Manifests

/// One of this gateway's reports in `status.validationMessages`.
/// Source: istio/api meta/v1alpha1/status.proto.
struct StatusMessage: Sendable, Hashable, Comparable {
    /// ERROR or WARNING.
    let level: String
    /// The code of the diagnostic, such as `unknown-field`.
    let name: String

    static func < (left: StatusMessage, right: StatusMessage) -> Bool {
        (left.level, left.name) < (right.level, right.name)
    }
}

/// What an object's status says of this gateway.
struct OwnStatus: Sendable, Equatable {
    /// `True` or `False`; others may have written something else.
    var status: String
    var reason: String
    var message: String
    var generation: Int?
    var messages: [StatusMessage]
}

/// The status of an object as it is in the cluster, with what another write of it has to know.
struct ObservedObject: Sendable, Equatable {
    let identity: ObjectReference
    /// The group and version of the API, which the path of its status has.
    var apiVersion = ""
    var uid = ""
    /// The version that was seen: a write names it, so that it fails when somebody else was faster.
    var resourceVersion = ""
    var generation = 0
    /// What it says of this gateway; nil: nothing.
    var own: OwnStatus?
    /// When the own condition last became another one, as it is written.
    var ownTransition = ""
    /// Other writers' conditions and messages, as they are written.
    var otherConditions: [String] = []
    /// Other writers' `validationMessages`, as they are written.
    var otherMessages: [String] = []
    /// `status.observedGeneration`, which all writers share.
    var observedGeneration: Int?

    /// The kinds whose status is written, with their plurals.
    /// Source: istio/api meta/v1alpha1/status.proto.
    static let plurals = [
        "Gateway": "gateways", "VirtualService": "virtualservices", "DestinationRule": "destinationrules",
        "ServiceEntry": "serviceentries",
    ]

    /// Other writers' conditions and messages that are kept, at most: an object with more is left alone.
    static let mostOthers = 64

    /// Reads an object as the server sends it.
    /// - Parameter author: the author of the condition and the messages; see `StatusAuthor`.
    /// - Returns: nil if it has no name, or a status of another form, which is left alone.
    init?(kind: String, _ octets: [UInt8], author: StatusAuthor) {
        guard case .object(let object) = Self.look(kind: kind, octets, author: author) else { return nil }
        self = object
    }

    /// What is seen of an object as the server sends it.
    enum Sight {
        case object(ObservedObject)
        /// Its status has more of other writers than is kept.
        case crowded
        /// It has no name, or a status of another form, or none is written for its kind.
        case nothing
    }

    /// Reads an object as the server sends it; see `init`.
    static func look(kind: String, _ octets: [UInt8], author: StatusAuthor) -> Sight {
        guard plurals[kind] != nil, let found = try? Reading(octets, author), !found.name.isEmpty
        else { return .nothing }
        guard found.object.otherConditions.count <= mostOthers, found.object.otherMessages.count <= mostOthers
        else { return .crowded }
        return .object(
            found.object.named(ObjectReference(kind: kind, namespace: found.namespace, name: found.name)))
    }

    fileprivate init(identity: ObjectReference) { self.identity = identity }

    private func named(_ identity: ObjectReference) -> ObservedObject {
        var named = ObservedObject(identity: identity)
        named.apiVersion = apiVersion.isEmpty ? "networking.istio.io/v1" : apiVersion
        (named.uid, named.resourceVersion, named.generation) = (uid, resourceVersion, generation)
        (named.own, named.ownTransition) = (own, ownTransition)
        (named.otherConditions, named.otherMessages) = (otherConditions, otherMessages)
        named.observedGeneration = observedGeneration
        return named
    }
}

/// Whose conditions and messages are this gateway's: those of a namespace and a name of the gateway.
struct StatusAuthor: Sendable, Hashable {
    /// For example `istio-ingress.portico`.
    let name: String
    /// The type of the condition, such as `istio-ingress.portico/InEffect`.
    var condition: String { "\(name)/InEffect" }

    init(namespace: String, name: String) { self.name = "\(namespace).\(name)" }
}

/// Reads an object and its status.
private struct Reading {
    var object = ObservedObject(identity: ObjectReference(kind: "", namespace: "", name: ""))
    var namespace = ""
    var name = ""
    private var messages: [StatusMessage] = []
    private let author: StatusAuthor
    private let octets: [UInt8]

    init(_ octets: [UInt8], _ author: StatusAuthor) throws(JSONError) {
        self.author = author
        self.octets = octets
        var (conditions, messages): ([Range<Int>], [Range<Int>]) = ([], [])
        var found = object
        var (namespace, name) = ("", "")
        try JSONReader.read(octets) { (reader) throws(JSONError) in
            try reader.fields { (field, reader) throws(JSONError) in
                if reader.equals(field, "apiVersion") {
                    found.apiVersion = try reader.text() ?? ""
                } else if reader.equals(field, "metadata") {
                    try reader.fields { (field, reader) throws(JSONError) in
                        switch reader.string(field) {
                        case "namespace": namespace = try reader.text() ?? ""
                        case "name": name = try reader.text() ?? ""
                        case "uid": found.uid = try reader.text() ?? ""
                        case "resourceVersion": found.resourceVersion = try reader.text() ?? ""
                        case "generation": found.generation = try reader.integer() ?? 0
                        default: break
                        }
                    }
                } else if reader.equals(field, "status") {
                    try reader.fields { (field, reader) throws(JSONError) in
                        switch reader.string(field) {
                        case "conditions":
                            conditions = []
                            try reader.elements { (reader) throws(JSONError) in conditions.append(try reader.skip()) }
                        case "validationMessages":
                            messages = []
                            try reader.elements { (reader) throws(JSONError) in messages.append(try reader.skip()) }
                        case "observedGeneration":
                            let range = try reader.skip()
                            found.observedGeneration = Self.number(octets[range])
                        default: break
                        }
                    }
                }
            }
            try reader.finish()
        }
        (object, self.namespace, self.name) = (found, namespace, name)
        for range in conditions { try condition(range) }
        for range in messages { try message(range) }
        self.messages.sort()
        if object.own == nil, !self.messages.isEmpty {
            object.own = OwnStatus(status: "", reason: "", message: "", messages: [])
        }
        object.own?.messages = self.messages
    }

    /// An integer, which may be written as a text (`x-kubernetes-int-or-string`).
    private static func number(_ octets: ArraySlice<UInt8>) -> Int? {
        Int(String(decoding: octets.filter { $0 != UInt8(ascii: "\"") }, as: UTF8.self))
    }

    private mutating func condition(_ range: Range<Int>) throws(JSONError) {
        let octets = octets
        var fields: [String: String] = [:]
        var generation: Int?
        try JSONReader.read(octets, in: range) { (reader) throws(JSONError) in
            try reader.fields { (field, reader) throws(JSONError) in
                let name = reader.string(field)
                if name == "observedGeneration" {
                    let number = try reader.skip()
                    generation = Self.number(octets[range].dropFirst(number.lowerBound).prefix(number.count))
                } else if Self.texts.contains(name) {
                    fields[name] = try reader.text() ?? ""
                }
            }
        }
        guard fields["type"] == author.condition else {
            return object.otherConditions.append(String(decoding: octets[range], as: UTF8.self))
        }
        object.ownTransition = fields["lastTransitionTime"] ?? ""
        object.own = OwnStatus(
            status: fields["status"] ?? "", reason: fields["reason"] ?? "", message: fields["message"] ?? "",
            generation: generation, messages: [])
    }

    private static let texts: Set<String> = ["type", "status", "reason", "message", "lastTransitionTime"]

    private mutating func message(_ range: Range<Int>) throws(JSONError) {
        var (code, name, level) = ("", "", "")
        try JSONReader.read(octets, in: range) { (reader) throws(JSONError) in
            try reader.fields { (field, reader) throws(JSONError) in
                if reader.equals(field, "level") {
                    level = try reader.text() ?? ""
                } else if reader.equals(field, "type") {
                    try reader.fields { (field, reader) throws(JSONError) in
                        if reader.equals(field, "code") {
                            code = try reader.text() ?? ""
                        } else if reader.equals(field, "name") {
                            name = try reader.text() ?? ""
                        }
                    }
                }
            }
        }
        guard code == author.name else {
            return object.otherMessages.append(String(decoding: octets[range], as: UTF8.self))
        }
        messages.append(StatusMessage(level: level, name: name))
    }
}
