// Hostile input: mutated documents and patches must give a value or an explanation, never a crash.
import Graph
import Testing

@Suite struct FuzzTests {
    private static let alphabet = Array(#"{}[]",:.0129-+eE\u/*tfn~ "#.utf8) + [0, 0x0A, 0x80, 0xC3, 0xFF]
    private static let words = [
        "null", "\"from\"", "{\"from\":\"h264\"}", "\"kind\"", "\"decode\"", "[]", "{}", "1e999", "-0", "\"live\"",
        "\"live.video\"",
        "\"tracks\"", "\"nodes\"", "\"\\uD800\"", "\"sink.null\"", "[[[[[[[[", "//", "/*",
    ].map { Array($0.utf8) }

    private func mutate(_ bytes: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let at = Int.random(in: 0...bytes.count, using: &random)
            let end = min(bytes.count, at + Int.random(in: 0...12, using: &random))
            switch Int.random(in: 0..<5, using: &random) {
            case 0: bytes.removeSubrange(at..<end)
            case 1: bytes.insert(Self.alphabet.randomElement(using: &random) ?? 0, at: at)
            case 2: bytes.replaceSubrange(at..<end, with: Self.words.randomElement(using: &random) ?? [])
            case 3: bytes.insert(contentsOf: bytes[at..<end], at: Int.random(in: 0...bytes.count, using: &random))
            default: if at < bytes.count { bytes[at] = UInt8.random(in: 0...255, using: &random) }
            }
        }
        return bytes
    }

    @Test(arguments: [11, 12] as [UInt64])
    func mutatedDocumentsAreReadOrExplained(seed: UInt64) throws {
        print("document fuzz, seed \(seed)")
        var random = SeededGenerator(seed)
        let good = Array(firstLight.utf8)
        let valid = try graph(firstLight)
        for _ in 0..<30_000 {
            let text = JSONText(mutate(good, &random), syntax: .relaxed)
            do throws(JSONFault) {
                let document = try GraphDocument(text)
                #expect(try reparsed(document.json) == document.json)
                switch document.validate(against: catalogue, reusing: valid) {
                case .success(let graph): _ = GraphPlan.between(valid, graph)
                case .failure(let faults): #expect(!faults.description.isEmpty)
                }
                _ = document.flattened(in: GraphSurroundings()).redacted(catalogue)
            } catch {
                #expect(error.position.line >= 1 && !error.message.isEmpty)
            }
        }
    }

    private func reparsed(_ json: JSON) throws(JSONFault) -> JSON { try JSONText(json.compact).parse() }

    /// Whole values moved about in a valid document: gets past the parser and deep into validation.
    @Test(arguments: [21, 22] as [UInt64])
    func rearrangedDocumentsAreCheckedOrExplained(seed: UInt64) throws {
        print("structure fuzz, seed \(seed)")
        var random = SeededGenerator(seed)
        let document = try document(firstLight)
        let valid = try document.validate(against: catalogue).get()
        let pointers = try #require(document.text).positions().keys.map(\.tokens).sorted {
            $0.lexicographicallyPrecedes($1)
        }
        let values: [JSON] = [
            nil, true, 1, "", "h264", "live", [], [:], ["from": "camera"], ["x": "h264"], "camera.audio", -1, "*",
        ]
        for _ in 0..<20_000 {
            var operations: [JSONPatch.Operation] = []
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let at = JSONPointer(pointers.randomElement(using: &random) ?? [])
                let other = JSONPointer(pointers.randomElement(using: &random) ?? [])
                switch Int.random(in: 0..<6, using: &random) {
                case 0: operations.append(.remove(at))
                case 1: operations.append(.copy(from: at, to: other))
                case 2: operations.append(.move(from: at, to: other))
                case 3: operations.append(.add(at / "tracks", values.randomElement(using: &random) ?? .null))
                case 4: operations.append(.test(at, document.json[at] ?? .null))
                default: operations.append(.replace(at, values.randomElement(using: &random) ?? .null))
                }
            }
            do throws(PatchFault) {
                let next = try document.applying(JSONPatch(operations))
                switch next.validate(against: catalogue, reusing: valid) {
                case .success(let graph): _ = GraphPlan.between(valid, graph)
                case .failure(let faults): #expect(!faults.description.isEmpty)
                }
            } catch {
                #expect(!error.description.isEmpty)
            }
        }
    }

    @Test func mutatedPatchesAreReadOrExplained() throws {
        let seed: UInt64 = 31
        print("patch fuzz, seed \(seed)")
        var random = SeededGenerator(seed)
        let good = Array(
            #"[{"op":"add","path":"/nodes/x","value":{"kind":"decode"}},{"op":"move","from":"/nodes/x","path":"/a~1b"},{"op":"test","path":"/name","value":"first-light"},{"op":"copy","from":"/nodes","path":"/programs/-"},{"op":"remove","path":"/nodes/live/inputs/video"}]"#
                .utf8)
        let document = try document(firstLight).json
        for _ in 0..<20_000 {
            do {
                let patch = try JSONPatch(json: JSONText(mutate(good, &random)).parse())
                #expect(try patch.applied(to: document).depth <= 64)
            } catch let fault as PatchFault {
                #expect(!fault.description.isEmpty)
            } catch let fault as JSONFault {
                #expect(!fault.description.isEmpty)
            }
        }
    }

    /// A patch of additions, replacements and removals, undone by the patch that it implies.
    @Test func aPatchAndItsInverseLeaveTheDocument() throws {
        let seed: UInt64 = 41
        print("inverse, seed \(seed)")
        var random = SeededGenerator(seed)
        let document = try document(firstLight).json
        let pointers = JSONText(document.compact).positions().keys.filter { !$0.tokens.isEmpty }
            .sorted { $0.tokens.lexicographicallyPrecedes($1.tokens) }
        for _ in 0..<2000 {
            let at = try #require(pointers.randomElement(using: &random))
            let old = try #require(document[at])
            let pairs: [(JSONPatch.Operation, JSONPatch.Operation)] = [
                (.replace(at, 7), .replace(at, old)), (.remove(at), .add(at, old)), (.add(at, []), .replace(at, old)),
                (.move(from: at, to: ["elsewhere"]), .move(from: ["elsewhere"], to: at)),
                (.copy(from: at, to: ["elsewhere"]), .remove(["elsewhere"])),
            ]
            let (change, inverse) = try #require(pairs.randomElement(using: &random))
            let changed = try JSONPatch([change]).applied(to: document)
            #expect(changed != document || old == 7)
            #expect(try JSONPatch([inverse]).applied(to: changed) == document)
        }
    }
}
