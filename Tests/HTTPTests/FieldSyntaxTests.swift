import Octets
import Testing

@testable import HTTP

/// Source: RFC 9113 §8.2.1.
@Suite struct `The syntax of fields` {
    @Test(arguments: [("x-a", true), ("X-a", false), ("x a", false), ("", false), ("x:a", false), ("x\u{0}", false)])
    func `allows names of few letters`(name: String, isAllowed: Bool) {
        #expect(name.withOctets { FieldSyntax.isName($0) } == isAllowed)
    }

    @Test(arguments: [("a b", true), ("", true), (" a", false), ("a ", false), ("a\r", false), ("a\u{0}", false)])
    func `allows values without blanks around them and without control characters`(value: String, isAllowed: Bool) {
        #expect(value.withOctets { FieldSyntax.isValue($0) } == isAllowed)
    }

    @Test(arguments: [("GET", true), ("x-y", true), ("", false), ("G T", false), ("G\n", false)])
    func `allows tokens as methods`(method: String, isAllowed: Bool) {
        #expect(method.withOctets { FieldSyntax.isMethod($0) } == isAllowed)
    }

    @Test func `gives a section that is held away once`() {
        let block = HeaderBlock()
        var section = HeldSection(slot: 3, holding: block)
        let (first, second) = (section.take(), section.take())
        #expect(section.slot == 3 && first === block && second == nil)
    }
}
