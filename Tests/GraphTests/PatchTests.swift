// JSON Pointer, JSON Patch and Merge Patch against the examples of their standards, and their bounds.
import Graph
import Testing

private func parse(_ text: String) throws -> JSON { try JSONText(text).parse() }
private func patch(_ text: String) throws -> JSONPatch { try JSONPatch(json: parse(text)) }

@Suite struct PatchTests {
    /// RFC 6901 section 5.
    @Test func pointersOfTheStandard() throws {
        let document = try parse(
            #"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}"#)
        let expected: [(String, JSON)] = [
            ("", document), ("/foo", ["bar", "baz"]), ("/foo/0", "bar"), ("/", 0), ("/a~1b", 1), ("/c%d", 2),
            ("/e^f", 3), ("/g|h", 4), ("/i\\j", 5), ("/k\"l", 6), ("/ ", 7), ("/m~0n", 8),
        ]
        for (text, value) in expected {
            let pointer = try #require(JSONPointer(text))
            #expect(document[pointer] == value && pointer.description == text)
        }
        for bad in ["a", "/~", "/~2", "/a~"] { #expect(JSONPointer(bad) == nil) }
        for missing in ["/foo/2", "/foo/01", "/foo/-", "/foo/+1", "/x/y", "/foo/0/x"] {
            #expect(document[try #require(JSONPointer(missing))] == nil)
        }
        #expect(JSONPointer("/~01")?.tokens == ["~1"])
    }

    /// RFC 6902 appendix A: those that apply.
    @Test(arguments: [
        (#"{"foo":"bar"}"#, #"[{"op":"add","path":"/baz","value":"qux"}]"#, #"{"baz":"qux","foo":"bar"}"#),
        (#"{"foo":["bar","baz"]}"#, #"[{"op":"add","path":"/foo/1","value":"qux"}]"#, #"{"foo":["bar","qux","baz"]}"#),
        (#"{"baz":"qux","foo":"bar"}"#, #"[{"op":"remove","path":"/baz"}]"#, #"{"foo":"bar"}"#),
        (#"{"foo":["bar","qux","baz"]}"#, #"[{"op":"remove","path":"/foo/1"}]"#, #"{"foo":["bar","baz"]}"#),
        (
            #"{"baz":"qux","foo":"bar"}"#, #"[{"op":"replace","path":"/baz","value":"boo"}]"#,
            #"{"baz":"boo","foo":"bar"}"#
        ),
        (
            #"{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}"#,
            #"[{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]"#,
            #"{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}"#
        ),
        (
            #"{"foo":["all","grass","cows","eat"]}"#, #"[{"op":"move","from":"/foo/1","path":"/foo/3"}]"#,
            #"{"foo":["all","cows","eat","grass"]}"#
        ),
        (
            #"{"baz":"qux","foo":["a",2,"c"]}"#,
            #"[{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}]"#,
            #"{"baz":"qux","foo":["a",2,"c"]}"#
        ),
        (
            #"{"foo":"bar"}"#, #"[{"op":"add","path":"/child","value":{"grandchild":{}}}]"#,
            #"{"foo":"bar","child":{"grandchild":{}}}"#
        ),
        (#"{"foo":"bar"}"#, #"[{"op":"add","path":"/baz","value":"qux","xyz":123}]"#, #"{"foo":"bar","baz":"qux"}"#),
        (#"{"/":9,"~1":10}"#, #"[{"op":"test","path":"/~01","value":10}]"#, #"{"/":9,"~1":10}"#),
        (
            #"{"foo":["bar"]}"#, #"[{"op":"add","path":"/foo/-","value":["abc","def"]}]"#,
            #"{"foo":["bar",["abc","def"]]}"#
        ),
        (#"{"a":1}"#, #"[{"op":"add","path":"","value":[2]}]"#, "[2]"),
        (#"{"a":1}"#, #"[{"op":"replace","path":"","value":3}]"#, "3"),
        (
            #"{"a":[1]}"#, #"[{"op":"copy","from":"/a","path":"/b"},{"op":"add","path":"/b/0","value":0}]"#,
            #"{"a":[1],"b":[0,1]}"#
        ),
        (#"{"a":1}"#, #"[{"op":"move","from":"/a","path":"/a"}]"#, #"{"a":1}"#),
        (#"{"a":1}"#, #"[{"op":"test","path":"/a","value":1.0}]"#, #"{"a":1}"#),
        (#"{"a":null}"#, #"[{"op":"test","path":"/a","value":null},{"op":"remove","path":"/a"}]"#, "{}"),
        (#"[0,{"a":[1]}]"#, #"[{"op":"replace","path":"/1/a/0","value":2}]"#, #"[0,{"a":[2]}]"#),
    ])
    func patchesOfTheStandardApply(document: String, patchText: String, result: String) throws {
        #expect(try patch(patchText).applied(to: parse(document)) == parse(result))
    }

    @Test(arguments: [
        (
            #"[{"op":"test","path":"/baz","value":"bar"}]"#,
            #"operation 0 at /baz: test failed: found "qux", expected "bar""#
        ),
        (#"[{"op":"add","path":"/x/y","value":1}]"#, "operation 0 at /x: there is nothing here"),
        (
            #"[{"op":"remove","path":"/foo"},{"op":"remove","path":"/foo"}]"#,
            "operation 1 at /foo: there is nothing here"
        ),
        (#"[{"op":"replace","path":"/nope","value":1}]"#, "operation 0 at /nope: there is nothing here"),
        (
            #"[{"op":"add","path":"/foo/4","value":1}]"#,
            "operation 0 at /foo/4: found index \"4\", expected 0 to 3 or -"
        ),
        (
            #"[{"op":"add","path":"/foo/01","value":1}]"#,
            "operation 0 at /foo/01: found index \"01\", expected 0 to 3 or -"
        ),
        (#"[{"op":"remove","path":"/foo/-"}]"#, "operation 0 at /foo/-: there is nothing here"),
        (#"[{"op":"add","path":"/baz/x","value":1}]"#, #"operation 0 at /baz/x: "qux" has no members"#),
        (#"[{"op":"remove","path":""}]"#, "operation 0 at the root: the whole document can't be removed"),
        (
            #"[{"op":"move","from":"/foo","path":"/foo/0"}]"#,
            "operation 0 at /foo/0: a value can't be moved into itself (from /foo)"
        ),
        (#"[{"op":"copy","from":"/nix","path":"/a"}]"#, "operation 0 at /nix: there is nothing here"),
        (
            #"[{"op":"test","path":"/foo/0","value":"1"}]"#,
            #"operation 0 at /foo/0: test failed: found 1, expected "1""#
        ),
        (#"{"op":"add"}"#, "patch: found an object, expected an array of operations"),
        (#"[1]"#, "operation 0: found 1, expected an object"),
        (#"[{"path":"/a"}]"#, "operation 0: \"op\" is missing: expected add, remove, replace, move, copy or test"),
        (#"[{"op":"add","value":1}]"#, "operation 0: \"path\" is missing: expected a JSON Pointer"),
        (#"[{"op":"add","path":"/a"}]"#, "operation 0: \"value\" is missing"),
        (#"[{"op":"move","path":"/a"}]"#, "operation 0: \"from\" is missing: expected a JSON Pointer"),
        (
            #"[{"op":"test","path":"a","value":1}]"#,
            #"operation 0: "path": found "a", expected a JSON Pointer such as /nodes/live"#
        ),
        (
            #"[{"op":"spam","path":"/a"}]"#,
            "operation 0: found op \"spam\", expected add, remove, replace, move, copy or test"
        ),
    ])
    func faultsNameOperationAndPointer(patchText: String, message: String) throws {
        let document = try parse(#"{"baz":"qux","foo":[1,2,3]}"#)
        let fault = #expect(throws: PatchFault.self) { try patch(patchText).applied(to: document) }
        #expect(fault?.description == message)
    }

    @Test func growthIsBounded() throws {
        let doubling = JSONPatch((0..<70).map { _ in .copy(from: ["a"], to: ["a", "b"]) })
        let deep = #expect(throws: PatchFault.self) { try doubling.applied(to: ["a": [:]]) }
        #expect(deep?.message.contains("nested more than 64 deep") == true)
        let bombs = JSONPatch(
            (0..<60).flatMap { i -> [JSONPatch.Operation] in
                [
                    .copy(from: ["a"], to: ["b"]), .add(["a"], []), .copy(from: ["b"], to: ["a", "0"]),
                    .copy(from: ["b"], to: ["a", "1"]),
                ]
            })
        let wide = #expect(throws: PatchFault.self) { try bombs.applied(to: ["a": [1, 2, 3]]) }
        #expect(wide?.message == "this patch carries more than 1000000 values")
        let many = JSON.array(Array(repeating: ["op": "remove", "path": "/a"], count: 4097))
        let fault = #expect(throws: PatchFault.self) { try JSONPatch(json: many) }
        #expect(fault?.isMalformed == true)
    }

    /// RFC 7396 appendix A.
    @Test(arguments: [
        (#"{"a":"b"}"#, #"{"a":"c"}"#, #"{"a":"c"}"#), (#"{"a":"b"}"#, #"{"b":"c"}"#, #"{"a":"b","b":"c"}"#),
        (#"{"a":"b"}"#, #"{"a":null}"#, "{}"), (#"{"a":"b","b":"c"}"#, #"{"a":null}"#, #"{"b":"c"}"#),
        (#"{"a":["b"]}"#, #"{"a":"c"}"#, #"{"a":"c"}"#), (#"{"a":"c"}"#, #"{"a":["b"]}"#, #"{"a":["b"]}"#),
        (#"{"a":{"b":"c"}}"#, #"{"a":{"b":"d","c":null}}"#, #"{"a":{"b":"d"}}"#),
        (#"{"a":[{"b":"c"}]}"#, #"{"a":[1]}"#, #"{"a":[1]}"#), (#"["a","b"]"#, #"["c","d"]"#, #"["c","d"]"#),
        (#"{"a":"b"}"#, #"["c"]"#, #"["c"]"#), (#"{"a":"foo"}"#, "null", "null"),
        (#"{"a":"foo"}"#, #""bar""#, #""bar""#),
        (#"{"e":null}"#, #"{"a":1}"#, #"{"e":null,"a":1}"#), ("[1,2]", #"{"a":"b","c":null}"#, #"{"a":"b"}"#),
        ("{}", #"{"a":{"bb":{"ccc":null}}}"#, #"{"a":{"bb":{}}}"#),
    ])
    func mergesOfTheStandard(target: String, change: String, result: String) throws {
        #expect(try parse(target).merging(parse(change)) == parse(result))
    }
}
