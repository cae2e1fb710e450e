// Differences lead from one value to the other and back, whatever the values; rebasing takes a patch exactly where its
// places are nobody else's.
import Graph
import Testing

private func json(_ text: String) throws -> JSON { try JSONText(text).parse() }

@Suite struct DifferenceTests {
    @Test(arguments: [
        ("{}", "{}", "[]"),
        (#"{"a":1,"b":2}"#, #"{"b":2,"a":1}"#, "[]"),
        (#"{"a":1}"#, #"{"a":1.0}"#, "[]"),
        (#"{"a":1}"#, #"{"a":2}"#, #"[{"op":"replace","path":"/a","value":2}]"#),
        (
            #"{"a":1,"b":{"c":1}}"#, #"{"b":{"d":null}}"#,
            #"[{"op":"remove","path":"/a"},{"op":"remove","path":"/b/c"},{"op":"add","path":"/b/d","value":null}]"#
        ),
        (#"{"a":[1,2]}"#, #"{"a":[1,2,3]}"#, #"[{"op":"replace","path":"/a","value":[1,2,3]}]"#),
        (#"{"a/b":{"~":1}}"#, #"{"a/b":{"~":2}}"#, #"[{"op":"replace","path":"/a~1b/~0","value":2}]"#),
        ("[1]", "{}", #"[{"op":"replace","path":"","value":{}}]"#),
    ])
    func tableOfDifferences(old: String, new: String, expected: String) throws {
        let difference = JSONPatch.difference(from: try json(old), to: try json(new))
        #expect(difference.json.compact == expected)
        #expect(try JSONPatch(json: difference.json) == difference)
        #expect(try difference.applied(to: json(old)) == json(new))
    }

    @Test func orderOfMembersIsKeptWhereNoneIsAdded() throws {
        let old = try json(#"{"a":1,"b":{"x":1,"y":2},"c":3}"#)
        let patch = JSONPatch([.replace(["b", "x"], 5), .replace(["a"], 0)])
        let back = try patch.inverse(on: old).applied(to: patch.applied(to: old))
        #expect(back.compact == old.compact)
        let removal = JSONPatch([.remove(["c"])])
        #expect(try removal.inverse(on: old).applied(to: removal.applied(to: old)).compact == old.compact)
    }

    @Test func aDifferenceOfVeryManyPlacesCanBeReadAgain() throws {
        let old = JSON.object(JSONObject((0..<5000).map { ("n\($0)", 1) }))
        let new = JSON.object(JSONObject((0..<5000).map { ("n\($0)", 2) }))
        let difference = JSONPatch.difference(from: old, to: new)
        #expect(try JSONPatch(json: difference.json).applied(to: old) == new)
    }

    // MARK: Random walks

    private static func value(_ random: inout SeededGenerator, depth: Int) -> JSON {
        switch Int.random(in: 0..<(depth > 0 ? 7 : 4), using: &random) {
        case 0: return .null
        case 1: return .bool(.random(using: &random))
        case 2: return .number(JSONNumber(Int.random(in: 0..<4, using: &random)))
        case 3: return .string(["", "a", "é~/", "long text with \"quotes\""].randomElement(using: &random) ?? "")
        case 4:
            return .array((0..<Int.random(in: 0..<4, using: &random)).map { _ in value(&random, depth: depth - 1) })
        default:
            var object = JSONObject()
            for _ in 0..<Int.random(in: 0..<14, using: &random) {
                object = object.setting(key(&random), to: value(&random, depth: depth - 1))
            }
            return .object(object)
        }
    }

    private static func key(_ random: inout SeededGenerator) -> String {
        ["a", "b", "c", "/", "~", "0", "-", "ä", "k1", "k2", "k3", "k4", "k5"].randomElement(using: &random) ?? "a"
    }

    private static func place(in value: JSON, _ random: inout SeededGenerator) -> JSONPointer {
        var (pointer, value) = (JSONPointer(), value)
        while Int.random(in: 0..<4, using: &random) > 0 {
            switch value {
            case .object(let object):
                guard let member = object.members.randomElement(using: &random), Bool.random(using: &random) else {
                    return pointer / key(&random)
                }
                (pointer, value) = (pointer / member.key, member.value)
            case .array(let elements):
                guard let i = elements.indices.randomElement(using: &random) else { return pointer / "-" }
                (pointer, value) = (pointer / "\(i)", elements[i])
            default: return pointer
            }
        }
        return pointer
    }

    private static func operation(on value: JSON, _ random: inout SeededGenerator) -> JSONPatch.Operation {
        let place = place(in: value, &random)
        switch Int.random(in: 0..<6, using: &random) {
        case 0: return .remove(place)
        case 1: return .replace(place, Self.value(&random, depth: 2))
        case 2: return .move(from: Self.place(in: value, &random), to: place)
        case 3: return .copy(from: Self.place(in: value, &random), to: place)
        case 4: return .test(place, value[place] ?? .null)
        default: return .add(place, Self.value(&random, depth: 2))
        }
    }

    /// A patch of up to three operations that applies to the value, nil where none was found.
    private static func patch(on value: JSON, _ random: inout SeededGenerator) -> (JSONPatch, JSON)? {
        var (operations, result): ([JSONPatch.Operation], JSON) = ([], value)
        for _ in 0..<Int.random(in: 1..<4, using: &random) {
            let operation = operation(on: result, &random)
            guard let next = try? JSONPatch([operation]).applied(to: result), next.depth < 12 else { continue }
            operations.append(operation)
            result = next
        }
        return operations.isEmpty ? nil : (JSONPatch(operations), result)
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func differencesAndInversesOfRandomValues(seed: UInt64) throws {
        print("difference walk, seed \(seed)")
        var random = SeededGenerator(seed)
        for _ in 0..<1500 {
            let (old, new) = (Self.value(&random, depth: 4), Self.value(&random, depth: 4))
            #expect(try JSONPatch.difference(from: old, to: new).applied(to: old) == new)
            guard let (patch, result) = Self.patch(on: old, &random) else { continue }
            #expect(try patch.inverse(on: old).applied(to: result) == old)
        }
    }

    /// Where the reach of a patch is clear of what another changed, the order of the two does not matter. So the
    /// patch that was made on the older revision does on the newer one what its author saw.
    @Test(arguments: [4, 5, 6] as [UInt64])
    func disjointPatchesCommute(seed: UInt64) throws {
        print("rebase walk, seed \(seed)")
        var random = SeededGenerator(seed)
        var (disjoint, overlapping) = (0, 0)
        for _ in 0..<4000 {
            let base = Self.value(&random, depth: 4)
            guard let (mine, mineAlone) = Self.patch(on: base, &random),
                let (_, theirs) = Self.patch(on: base, &random)
            else { continue }
            var trail = RevisionTrail(from: "1")
            trail.append("2", .difference(from: base, to: theirs))
            let changed = try #require(trail.places(since: "1"))
            guard PatchReach(of: mine, on: theirs).overlap(with: changed) == nil else {
                overlapping += 1
                continue
            }
            disjoint += 1
            let rebased = try mine.applied(to: theirs)
            #expect(try JSONPatch.difference(from: base, to: theirs).applied(to: mineAlone) == rebased)
        }
        #expect(disjoint > 100 && overlapping > 100)
    }
}

@Suite struct RebaseTests {
    private let document: JSON = [
        "name": "x",
        "nodes": [
            "h264": ["kind": "encode.video", "settings": ["gop": "1s", "bitrate": "4M"]],
            "watch": ["settings": ["rules": [1, 2], "every": "1m"]],
        ],
    ]

    @Test(
        arguments: [
            // Another node, another setting: clear.
            (#"[{"op":"add","path":"/nodes/new","value":{}}]"#, "/nodes/h264/settings/bitrate", nil),
            (
                #"[{"op":"replace","path":"/nodes/h264/settings/gop","value":"2s"}]"#, "/nodes/h264/settings/bitrate",
                nil
            ),
            // The same, above it, below it.
            (
                #"[{"op":"replace","path":"/nodes/h264/settings/gop","value":"2s"}]"#, "/nodes/h264/settings/gop",
                "itself"
            ),
            (#"[{"op":"remove","path":"/nodes/h264"}]"#, "/nodes/h264/settings/gop", "below"),
            (#"[{"op":"replace","path":"/nodes/h264/settings/gop","value":"2s"}]"#, "/nodes/h264", "above"),
            // What is only looked at.
            (#"[{"op":"test","path":"/nodes/h264/kind","value":"x"}]"#, "/nodes/h264/kind", "test"),
            (#"[{"op":"copy","from":"/nodes/h264","path":"/nodes/b"}]"#, "/nodes/h264/settings/gop", "copy"),
            (#"[{"op":"move","from":"/nodes/h264","path":"/nodes/b"}]"#, "/nodes/h264/settings/gop", "move"),
            // An array is one place.
            (
                #"[{"op":"add","path":"/nodes/watch/settings/rules/-","value":1}]"#, "/nodes/watch/settings/rules",
                "array"
            ),
            (#"[{"op":"remove","path":"/nodes/watch/settings/rules/1"}]"#, "/nodes/watch/settings/rules", "array"),
            (#"[{"op":"remove","path":"/nodes/watch/settings/rules/1"}]"#, "/nodes/watch/settings/every", nil),
            // The whole document.
            (#"[{"op":"replace","path":"","value":{}}]"#, "/name", "root"),
        ] as [(String, String, String?)])
    func overlaps(patch: String, changed: String, why: String?) throws {
        let reach = PatchReach(of: try JSONPatch(json: json(patch)), on: document)
        let place = try #require(JSONPointer(changed))
        #expect((reach.overlap(with: [place]) != nil) == (why != nil), "\(why ?? "disjoint")")
    }

    @Test func mergesReachTheirLeaves() {
        let reach = PatchReach(
            ofMerging: ["nodes": ["h264": ["settings": ["gop": "2s"]], "old": .null, "watch": [:]]], on: document)
        #expect(
            reach.places.map(\.description) == ["/nodes/h264/settings/gop", "/nodes/old", "/nodes/watch"])
        #expect(reach.overlap(with: [["nodes", "h264", "settings", "bitrate"]]) == nil)
        #expect(reach.overlap(with: [["nodes", "old", "settings"]]) != nil)
    }

    @Test func theTrailIsBounded() throws {
        var trail = RevisionTrail(from: "0")
        #expect(trail.places(since: "0") == [] && trail.places(since: "1") == nil)
        for i in 1...(RevisionTrail.length + 10) {
            trail.append("\(i)", JSONPatch([.add(["nodes", "n\(i)"], 1)]))
        }
        #expect(trail.current == "\(RevisionTrail.length + 10)")
        #expect(trail.places(since: "9") == nil)
        #expect(trail.places(since: "10")?.count == RevisionTrail.length)
        #expect(trail.places(since: "\(RevisionTrail.length + 9)") == [["nodes", "n\(RevisionTrail.length + 10)"]])
        trail.append("many", JSONPatch((0..<1000).map { .add(["\($0)"], 1) }))
        #expect(trail.places(since: "\(RevisionTrail.length + 10)") == [[]])
    }
}
