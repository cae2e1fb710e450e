// Overlays: what control nodes own is neither removed nor reset by a change of the base, and takes nothing from it.
import Graph
import Testing

private func patched(_ json: JSON, _ operations: JSONPatch.Operation...) throws -> JSON {
    try JSONPatch(operations).applied(to: json)
}

@Suite struct LayerTests {
    private static let base: JSON = [
        "patchbay": 1,
        "nodes": [
            "cam": ["kind": "source.pattern"], "other": ["kind": "source.pattern"],
            "h264": [
                "kind": "encode.video", "inputs": ["video": "cam.video"],
                "settings": ["encoder": "libx264", "bitrate": "4M"],
            ],
            "watch": ["kind": "sink.null", "inputs": ["in": "other.video"]],
        ],
    ]

    private func layered() -> LayeredDocument { LayeredDocument(GraphDocument(Self.base)) }

    private func set(
        _ layered: inout LayeredDocument, _ owner: String, _ operations: JSONPatch.Operation...
    ) throws {
        let sum = layered.sum.json
        try layered.setOverlay(of: owner, from: sum, to: JSONPatch(operations).applied(to: sum))
    }

    @Test func theSumHasBoth() throws {
        var layered = layered()
        try set(
            &layered, "watch", .replace(["nodes", "h264", "settings", "bitrate"], "2M"),
            .add(["nodes", "h264", "lane"], "fast"),
            .add(["nodes", "rec"], ["kind": "sink.record", "inputs": ["video": "h264"], "settings": ["path": "r"]]))
        #expect(layered.base.json == Self.base)
        let sum = layered.sum.json
        #expect(sum["nodes"]?["h264"]?["settings"] == ["encoder": "libx264", "bitrate": "2M"])
        #expect(sum["nodes"]?["rec"]?["kind"] == "sink.record" && sum["nodes"]?["h264"]?["lane"] == "fast")
        #expect(
            layered.owners == [
                "/nodes/h264/settings/bitrate": "watch", "/nodes/h264/lane": "watch", "/nodes/rec": "watch",
            ])
        // What no overlay touches is the base's own.
        let cam = try #require(sum["nodes"]?["cam"]?.object)
        #expect(try cam.isIdentical(to: #require(layered.base.json["nodes"]?["cam"]?.object)))
        // Taken back, the base shows again.
        try set(&layered, "watch", .remove(["nodes", "h264", "settings", "bitrate"]), .remove(["nodes", "rec"]))
        #expect(layered.sum.json["nodes"]?["h264"]?["settings"]?["bitrate"] == "4M")
        try set(&layered, "watch", .remove(["nodes", "h264", "lane"]))
        #expect(layered.sum.json == Self.base && layered.owners == nil)
    }

    @Test func valuesInsideAnAddedNodeBelongToItsOwner() throws {
        var layered = layered()
        let rec: JSON = ["kind": "sink.record", "inputs": ["video": "h264"], "settings": ["path": "r"]]
        try set(&layered, "watch", .add(["nodes", "rec"], rec))
        try set(&layered, "watch", .replace(["nodes", "rec", "settings", "path"], "s"))
        try set(&layered, "watch", .add(["nodes", "rec", "settings", "segment"], "4s"))
        #expect(layered.sum.json["nodes"]?["rec"]?["settings"] == ["path": "s", "segment": "4s"])
        try set(&layered, "watch", .remove(["nodes", "rec", "settings", "segment"]))
        #expect(layered.owners == ["/nodes/rec": "watch"])
        #expect(layered.sum.json["nodes"]?["rec"]?["settings"] == ["path": "s"])
    }

    @Test func aControlNodeTakesNothingFromOthers() throws {
        var layered = layered()
        try set(&layered, "watch", .replace(["nodes", "h264", "settings", "bitrate"], "2M"))
        for (owner, operation) in [
            ("other", JSONPatch.Operation.replace(["nodes", "h264", "settings", "bitrate"], "3M")),
            ("other", .remove(["nodes", "h264", "settings", "bitrate"])),
            ("other", .remove(["nodes", "cam"])), ("watch", .remove(["nodes", "h264", "settings", "encoder"])),
            ("watch", .remove(["nodes", "h264"])), ("watch", .add(["name"], "mine")),
            ("watch", .replace([], ["patchbay": 1])),
        ] {
            let before = layered
            #expect(throws: OwnershipFault.self, "\(owner) \(operation)") { try set(&layered, owner, operation) }
            #expect(layered.hasOverlays(of: before))
        }
        try set(&layered, "other", .replace(["nodes", "h264", "settings", "encoder"], "x"))
        #expect(layered.layers.map(\.owner) == ["watch", "other"])
    }

    @Test func theBaseResetsNothing() throws {
        var layered = layered()
        try set(
            &layered, "watch", .replace(["nodes", "h264", "settings", "bitrate"], "2M"),
            .add(["nodes", "rec"], ["kind": "sink.null", "inputs": ["in": "cam.video"]]))
        // A whole new base, without the values that the overlay set: they stay.
        var new = try patched(Self.base, .replace(["nodes", "h264", "settings", "bitrate"], "6M"))
        try layered.setBase(GraphDocument(new), isForced: false)
        #expect(layered.sum.json["nodes"]?["h264"]?["settings"]?["bitrate"] == "2M")
        #expect(layered.sum.json["nodes"]?["rec"] != nil && layered.groundless == nil)
        new = try patched(new, .remove(["nodes", "h264", "settings"]))
        try layered.setBase(GraphDocument(new), isForced: false)
        #expect(layered.sum.json["nodes"]?["h264"]?["settings"] == ["bitrate": "2M"])
        // The name of an added node is taken.
        let taking = try patched(new, .add(["nodes", "rec"], ["kind": "sink.null"]))
        let fault = #expect(throws: OwnershipFault.self) {
            try layered.setBase(GraphDocument(taking), isForced: false)
        }
        #expect(fault?.owner == "watch" && fault?.pointer == ["nodes", "rec"])
        try layered.setBase(GraphDocument(taking), isForced: true)
        #expect(layered.sum.json["nodes"]?["rec"] == ["kind": "sink.null"])
        #expect(layered.owners == ["/nodes/h264/settings/bitrate": "watch"])
        // Force wins where both set the same.
        new = try patched(taking, .add(["nodes", "h264", "settings"], ["bitrate": "8M"]))
        try layered.setBase(GraphDocument(new), isForced: true)
        #expect(layered.sum.json["nodes"]?["h264"]?["settings"]?["bitrate"] == "8M" && layered.owners == nil)
    }

    @Test("Force takes a value back that the base has already, under the overlay")
    func forcedBack() throws {
        var layered = LayeredDocument(GraphDocument(Self.base))
        let bitRate: JSONPointer = ["nodes", "h264", "settings", "bitrate"]
        let set = try patched(Self.base, .replace(bitRate, "8M"))
        try layered.setOverlay(of: "watch", from: Self.base, to: set)
        try layered.setBase(layered.base, isForced: false, named: [bitRate])
        #expect(layered.owners == ["/nodes/h264/settings/bitrate": "watch"])
        try layered.setBase(layered.base, isForced: true, named: [bitRate])
        #expect(layered.owners == nil && layered.sum.json == Self.base)
    }

    @Test func groundThatIsGoneIsSeen() throws {
        var layered = layered()
        try set(&layered, "watch", .replace(["nodes", "h264", "settings", "bitrate"], "2M"))
        try layered.setBase(GraphDocument(patched(Self.base, .remove(["nodes", "h264"]))), isForced: false)
        #expect(layered.groundless?.owner == "watch")
        #expect(layered.groundless?.place == ["nodes", "h264", "settings", "bitrate"])
        layered.drop(["nodes", "h264", "settings", "bitrate"])
        #expect(layered.groundless == nil && layered.owners == nil)
        layered = self.layered()
        try set(&layered, "watch", .add(["nodes", "rec"], ["kind": "sink.null", "inputs": ["in": "cam.video"]]))
        try layered.setBase(GraphDocument(patched(Self.base, .remove(["nodes", "cam"]))), isForced: false)
        guard case .failure(let found) = layered.sum.validate(against: catalogue) else {
            Issue.record("a reader of nothing is no graph")
            return
        }
        #expect(layered.ground(of: found.faults)?.owner == "watch")
        layered.keepOverlays { $0 != "watch" }
        #expect(layered.owners == nil)
    }

    /// Whatever operators and control nodes do in turn: bases are what operators wrote, overlays what control nodes
    /// wrote, and each value of the sum is the overlay's where there is one, else the base's.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func randomLayers(seed: UInt64) throws {
        print("layer walk, seed \(seed)")
        var random = SeededGenerator(seed)
        var layered = layered()
        var expected: [String: [String: String]] = ["watch": [:], "other": [:]]
        let keys = (0..<6).map { "k\($0)" }
        for step in 0..<2000 {
            let key = keys.randomElement(using: &random) ?? "k0"
            let place: JSONPointer = ["nodes", "h264", "settings", key]
            let value = "\(step)"
            if Bool.random(using: &random) {
                let operation: JSONPatch.Operation =
                    Bool.random(using: &random) || layered.base.json[place] == nil
                    ? .add(place, .string(value)) : .remove(place)
                let new = try patched(layered.base.json, operation)
                try layered.setBase(GraphDocument(new), isForced: false)
                #expect(layered.base.json == new)
            } else {
                let owner = Bool.random(using: &random) ? "watch" : "other"
                let rival = owner == "watch" ? "other" : "watch"
                let isTaking = Int.random(in: 0..<3, using: &random) == 0
                guard isTaking == false || layered.sum.json[place] != nil else { continue }
                do {
                    if isTaking { try set(&layered, owner, .remove(place)) }
                    if !isTaking { try set(&layered, owner, .add(place, .string(value))) }
                    #expect(expected[rival]?[key] == nil)
                    #expect(!isTaking || expected[owner]?[key] != nil)
                    expected[owner]?[key] = isTaking ? nil : value
                } catch is OwnershipFault {
                    #expect(expected[rival]?[key] != nil || isTaking)
                }
            }
            for key in keys {
                let owned = expected["watch"]?[key] ?? expected["other"]?[key]
                let base = layered.base.json["nodes"]?["h264"]?["settings"]?[key]
                #expect(layered.sum.json["nodes"]?["h264"]?["settings"]?[key] == owned.map(JSON.string) ?? base)
            }
        }
    }
}
