internal import JSON
internal import Manifests
internal import Octets

/// Writes of the status as JSON.
enum StatusText {
    /// A merge patch of the status: other writers' conditions and messages stay as they are, and the server refuses it
    /// if the object has changed meanwhile. Source: RFC 7396;
    /// istio/api meta/v1alpha1/status.proto.
    /// - Parameters:
    ///   - own: what the status is to say of this gateway; nil: nothing any more.
    ///   - seconds: the time, in seconds since 1970.
    static func patch(_ object: ObservedObject, _ own: OwnStatus?, author: StatusAuthor, seconds: Int) -> String {
        var conditions = object.otherConditions
        if let own {
            let isSame = own.status == object.own?.status && !object.ownTransition.isEmpty
            conditions.append(condition(own, author, since: isSame ? object.ownTransition : time(seconds)))
        }
        var fields = [#""conditions":\#(list(conditions))"#]
        let messages = object.otherMessages + (own?.messages ?? []).map { message($0, author) }
        if own?.messages ?? [] != object.own?.messages ?? [] {
            fields.append(#""validationMessages":\#(list(messages))"#)
        }
        // It only grows: another writer may have seen a newer one.
        if let generation = own?.generation, generation > object.observedGeneration ?? 0 {
            fields.append(#""observedGeneration":\#(generation)"#)
        }
        return #"{"metadata":{"resourceVersion":\#(quoted(object.resourceVersion))},"#
            + #""status":{\#(fields.joined(separator: ","))}}"#
    }

    /// An empty list goes, because a merge patch takes null for that.
    private static func list(_ elements: [String]) -> String {
        elements.isEmpty ? "null" : "[\(elements.joined(separator: ","))]"
    }

    private static func condition(_ own: OwnStatus, _ author: StatusAuthor, since: String) -> String {
        let generation = own.generation.map { #","observedGeneration":\#($0)"# } ?? ""
        return #"{"type":\#(quoted(author.condition)),"status":\#(quoted(own.status)),"reason":\#(quoted(own.reason)),"#
            + #""message":\#(quoted(own.message)),"lastTransitionTime":\#(quoted(since))\#(generation)}"#
    }

    private static func message(_ message: StatusMessage, _ author: StatusAuthor) -> String {
        #"{"level":\#(quoted(message.level)),"#
            + #""type":{"code":\#(quoted(author.name)),"name":\#(quoted(message.name))}}"#
    }

    /// An Event about an object.
    /// Source: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/.
    /// - Parameter instance: this replica.
    static func event(_ object: ObservedObject, _ own: OwnStatus, instance: String, seconds: Int) -> String {
        let (identity, now) = (object.identity, quoted(time(seconds)))
        let name = String(identity.name.unicodeScalars.prefix(mostNameScalars))
        let about =
            #"{"apiVersion":\#(quoted(object.apiVersion)),"kind":\#(quoted(identity.kind)),"#
            + #""namespace":\#(quoted(identity.namespace)),"name":\#(quoted(identity.name)),"#
            + #""uid":\#(quoted(object.uid)),"resourceVersion":\#(quoted(object.resourceVersion))}"#
        let message = String(own.message.unicodeScalars.prefix(mostEventScalars))
        return #"{"apiVersion":"v1","kind":"Event","metadata":{"generateName":\#(quoted(name + ".")),"#
            + #""namespace":\#(quoted(identity.namespace))},"involvedObject":\#(about),"#
            + #""reason":\#(quoted(own.reason)),"message":\#(quoted(message)),"#
            + #""type":"\#(own.status == "True" ? "Normal" : "Warning")","source":{"component":"portico"},"#
            + #""reportingComponent":"portico","reportingInstance":\#(quoted(instance)),"#
            + #""firstTimestamp":\#(now),"lastTimestamp":\#(now),"count":1}"#
    }

    /// The server takes 1024 octets; of UTF-8 a scalar has at most four.
    private static let mostEventScalars = 250
    /// Of an object's name in the name of its Event, to which the server adds some more: 253 at most.
    private static let mostNameScalars = 200

    private static func quoted(_ text: String) -> String { JSONQuotes.quoted(text) }

    /// For example 2026-11-27T00:20:03Z.
    static func time(_ seconds: Int) -> String {
        let text = OctetBuffer(capacity: 64)
        TimeFormat.write("%FT%TZ", seconds: seconds, nanoseconds: 0, to: text)
        return text.octets.string
    }
}
