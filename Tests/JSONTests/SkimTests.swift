import JSON
import Testing

@Suite struct SkimTests {
    private func text(_ octets: [UInt8], _ range: Range<Int>) -> String {
        String(decoding: octets[range], as: UTF8.self)
    }

    @Test func `a list's items, version and continuation`() throws {
        let octets = Array(
            """
            {"kind":"ServiceList","apiVersion":"v1",
             "metadata":{"resourceVersion":"123","continue":"abc\\u003d","remainingItemCount":7},
             "items":[ {"metadata":{"name":"a"}} , {"metadata":{"name":"b"},"spec":{"x":[1,"}"]}}]}
            """.utf8)
        let skim = try ListSkim(octets)
        #expect(skim.resourceVersion == "123" && skim.continuation == "abc=" && skim.remaining == 7)
        #expect(
            skim.items.map { text(octets, $0) } == [
                #"{"metadata":{"name":"a"}}"#, #"{"metadata":{"name":"b"},"spec":{"x":[1,"}"]}}"#,
            ])
        #expect(try skim.items.map { try MetadataSkim(octets, in: $0).name } == ["a", "b"])
    }

    @Test func `items may be null, and not absent or repeated`() throws {
        #expect(try ListSkim(Array(#"{"items":null}"#.utf8)).items.isEmpty)
        #expect(throws: JSONError(.wrongType, at: 0)) { try ListSkim(Array("{}".utf8)) }
        #expect(throws: JSONError(.repeated, at: 13)) { try ListSkim(Array(#"{"items":[],"items":[]}"#.utf8)) }
        #expect(throws: JSONError(.wrongType, at: 9)) { try ListSkim(Array(#"{"items":{}}"#.utf8)) }
        #expect(throws: JSONError(.trailing, at: 12)) { try ListSkim(Array(#"{"items":[]}]"#.utf8)) }
    }

    @Test func `a watch's line`() throws {
        let bookmark =
            #"{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"9","creationTimestamp":null,"#
            + #""annotations":{"k8s.io/initial-events-end":"true"}}}}"#
        let octets = Array(bookmark.utf8)
        let skim = try WatchSkim(octets)
        #expect(skim.type == "BOOKMARK")
        let metadata = try MetadataSkim(octets, in: skim.object)
        #expect(metadata.resourceVersion == "9" && metadata.endsInitialEvents && metadata.name.isEmpty)
        #expect(throws: JSONError(.endsEarly, at: 40)) { try WatchSkim(Array(octets[..<40])) }
        #expect(throws: JSONError(.wrongType, at: 0)) { try WatchSkim(Array(#"{"type":"ADDED"}"#.utf8)) }
        #expect(throws: JSONError(.wrongType, at: 0)) { try WatchSkim(Array(#"{"object":{}}"#.utf8)) }
        #expect(throws: JSONError(.repeated, at: 14)) {
            try WatchSkim(Array(#"{"type":"A", "type":"B","object":{}}"#.utf8))
        }
    }

    @Test func `a refusal`() throws {
        let octets = Array(
            """
            {"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old","reason":"Expired",
             "details":{"retryAfterSeconds":3},"code":410}
            """.utf8)
        let skim = try StatusSkim(octets)
        #expect(skim.code == 410 && skim.reason == "Expired" && skim.message == "too old")
        #expect(skim.retryAfterSeconds == 3)
        #expect(throws: JSONError.self) { try StatusSkim(Array(#"{"code":"410"}"#.utf8)) }
        #expect(throws: JSONError.self) { try StatusSkim(Array(#"{"code":99999999999999999999}"#.utf8)) }
    }

    @Test func `a null in place of an object is an object without fields`() throws {
        let object = #"{"metadata":{"name":"a","annotations":null,"labels":null,"resourceVersion":"9"}}"#
        let metadata = try MetadataSkim(Array(object.utf8))
        #expect(metadata.name == "a" && metadata.resourceVersion == "9" && !metadata.endsInitialEvents)
        #expect(try MetadataSkim(Array(#"{"metadata":null}"#.utf8)).name.isEmpty)
        #expect(try ListSkim(Array(#"{"metadata":null,"items":[]}"#.utf8)).resourceVersion.isEmpty)
        #expect(try StatusSkim(Array(#"{"code":410,"details":null}"#.utf8)).retryAfterSeconds == nil)
        for text in [#"{"metadata":{"annotations":[]}}"#, #"{"metadata":{"annotations":""}}"#, #"{"metadata":1}"#] {
            #expect(throws: JSONError.self) { try MetadataSkim(Array(text.utf8)) }
        }
    }

    @Test func `objects of a list and of a watch are passed without a check`() throws {
        let deep = String(repeating: #"{"a":["#, count: 3000) + String(repeating: "]}", count: 3000)
        for object in [deep, #"{"metadata":{"name":"n"},"x":1e999999999,"y":truth,"z":"\ud800"}"#, #"{"a" : [ ] , }"#] {
            let list = Array(#"{"items":[ \#(object) , {"b":1}]}"#.utf8)
            #expect(try ListSkim(list).items.map { text(list, $0) } == [object, #"{"b":1}"#])
            let line = Array(#"{"object":\#(object), "type":"ADDED"}"#.utf8)
            #expect(try text(line, WatchSkim(line).object) == object)
        }
        let binary = Array(#"{"spec":""#.utf8) + [0xFF, 0x00] + Array(#"","metadata":{"name":"n","labels":7}}"#.utf8)
        #expect(try MetadataSkim(binary).name == "n")
        for broken in [
            #"{"items":[{]}"#, #"{"items":[}]}"#, #"{"items":[,{}]}"#, #"{"items":[{} {}]}"#, #"{"items":["\"#,
        ] {
            #expect(throws: JSONError.self, "\(broken)") { try ListSkim(Array(broken.utf8)) }
        }
    }
}
