/// The one list of fields that are read and checked but have no effect yet. A change that brings a field into effect
/// removes its line and need change nothing else that closes or reports. docs/configuration.md has the same list, and a
/// test compares the two.
///
/// Each line says what happens to requests. A field *closes* its part of the object (rule, server, policy) if serving
/// requests without it would harm an operator who relies on it: they are answered 503, with an error. Any other field
/// is *skipped*, with a warning.
package enum NotInEffect {
    /// What happens to the requests of a part that uses a field.
    package enum Consequence: Sendable {
        /// They are served without the field.
        case skipped
        /// They are not served; see `ClosingField`.
        case closes
        /// They are served, and the field would not change how: it is for others than an edge gateway.
        case noConcern
    }

    /// A line of the list.
    package struct Field: Sendable {
        package let kind: String
        /// The path of the field. `[]` is every entry of a list, `@*` every name that begins with `@`, and `POLICY`
        /// every traffic policy of a DestinationRule.
        package let path: String
        /// What happens to the requests of its part.
        package let consequence: Consequence
        /// When it has this consequence, as text for the documents; empty if always.
        package let condition: String
        /// The values that ask for something; with others the field says what is so anyway.
        let values: Values
        let hint: String?
        /// Whether an empty value asks for something, too.
        var meansSomethingEmpty = false
        /// Decides what a value leads to. Its result is nil if the value asks for nothing, or for what is the case
        /// anyway. Without a judge, `values` and `meansSomethingEmpty` decide.
        let judge: Judge?

        /// Whether it has this consequence with some values only.
        package var isForSomeValues: Bool { values != .any }

        /// For which values, and when, as text for the documents.
        package var circumstances: String {
            let which =
                switch values {
                case .any: ""
                case .isOne(let names): names.joined(separator: ", ")
                }
            return [which, condition].filter { !$0.isEmpty }.joined(separator: "; ")
        }

        typealias Judge = @Sendable (Value) -> Consequence?

        static func skips(
            _ kind: String, _ path: String, _ values: Values = .any, when condition: String = "",
            hint: String? = nil, by judge: Judge? = nil
        ) -> Field {
            Field(
                kind: kind, path: path, consequence: .skipped, condition: condition, values: values, hint: hint,
                judge: judge)
        }

        static func closes(
            _ kind: String, _ path: String, _ values: Values = .any, when condition: String = "",
            by judge: Judge? = nil
        ) -> Field {
            Field(
                kind: kind, path: path, consequence: .closes, condition: condition, values: values, hint: nil,
                judge: judge)
        }

        var evenEmpty: Field {
            var field = self
            field.meansSomethingEmpty = true
            return field
        }
    }

    /// Which values of a scalar have the field's consequence.
    enum Values: Sendable, Equatable {
        case any
        /// One of these, which are in capitals; the value may be in any case.
        case isOne(of: [String])
    }

    static let code = "not-in-effect"

    /// Parts of an object that are closed by themselves. A closing field elsewhere closes the whole object.
    static let parts: [(kind: String, path: String)] = {
        var parts = [(kind: "VirtualService", path: "spec.http[]"), (kind: "Gateway", path: "spec.servers[]")]
        for policy in policies { parts.append((kind: "DestinationRule", path: policy)) }
        return parts
    }()

    static let policies = [
        "spec.trafficPolicy", "spec.trafficPolicy.portLevelSettings[]",
        "spec.subsets[].trafficPolicy", "spec.subsets[].trafficPolicy.portLevelSettings[]",
    ]

    package static let fields = gateway + rules + policy

    private static let gateway: [Field] = [
        .closes("Gateway", "spec.servers[].port.protocol", .isOne(of: ["UDP"]))
    ]

    private static let rules: [Field] = [
        // A claim that was not verified must not admit a request, and must not let it pass to a later rule.
        .closes("VirtualService", "spec.http[].match[].headers.@*", when: "on claims of a token").evenEmpty,
        .closes("VirtualService", "spec.http[].match[].withoutHeaders.@*", when: "on claims of a token").evenEmpty,
    ]

    private static let policy: [Field] = [
        // Without it, octets would be sent that the upstream does not understand.
        .closes("DestinationRule", "POLICY.tunnel")
    ]
}
