// What a small patch of a large document costs: applying it to its layer, folding the layers, checking and planning, beside
// JSONSerialization's reading of the same document, in alternating pairs. Foundation is the rival and nothing else here.
import Foundation
import Graph
import Media

/// Ten thousand nodes in 2500 channels: plain, and with every layer in use.
struct Planning {
    private let rounds: Int

    init(_ options: Options) { rounds = options.isShort ? 7 : 31 }

    func measure(into report: inout Report) throws(BenchError) {
        report.add(try figure("graph.plan", "patch one node of 10 000, ms; JSONSerialization", isLayered: false))
        report.add(try figure("graph.plan.layered", "with templates, site and an overlay, ms", isLayered: true))
    }

    private func figure(_ name: String, _ what: String, isLayered: Bool) throws(BenchError) -> Figure {
        var subject = try PlannedDocument(isLayered: isLayered)
        let data = Data(subject.text)
        let clock = ContinuousClock()
        var pairs: [(ours: Double, rival: Double)] = []
        for round in 0..<rounds {
            let start = clock.now
            let members = try? JSONSerialization.jsonObject(with: data) as? [String: Any]
            let read = clock.now
            guard members?["nodes"] != nil else { throw BenchError("JSONSerialization reads no nodes") }
            let begin = clock.now
            let plan = try subject.patch(channel: round * 71, bitRate: "\(round + 5)M")
            let end = clock.now
            guard plan.changedInPlace == ["v\(round * 71)"], plan.untouched.count == 4 * PlannedDocument.channels - 1
            else { throw BenchError("the plan of a one-node patch is another one: \(PlanCounts(plan))") }
            pairs.append((begin.duration(to: end) / .milliseconds(1), start.duration(to: read) / .milliseconds(1)))
        }
        return Figure(name, what, pairs: pairs)
    }
}

/// For messages.
private struct PlanCounts: CustomStringConvertible {
    let description: String

    init(_ plan: GraphPlan) {
        description =
            "\(plan.restarted.count) restarted, \(plan.changedInPlace.count) in place, "
            + "\(plan.untouched.count) untouched"
    }
}

/// A document with the graph that it is, as an engine keeps it.
private struct PlannedDocument {
    static let channels = 2500

    let text: [UInt8]
    private let surroundings: GraphSurroundings
    private var layered: LayeredDocument
    private var graph: ResolvedGraph

    init(isLayered: Bool) throws(BenchError) {
        let json = Self.document(isLayered)
        text = json.utf8(pretty: true)
        layered = LayeredDocument(GraphDocument(json))
        if isLayered {
            let changed = json.merging([
                "nodes": ["v9": ["settings": ["encoder": "other"]], "more": ["kind": "source"]]
            ])
            do throws(OwnershipFault) { try layered.setOverlay(of: "cam0", from: json, to: changed) } catch {
                throw BenchError("\(error)")
            }
        }
        let site: JSON = isLayered ? ["sink": ["window": 7]] : [:]
        guard case .success(let settings) = SiteSettings.read(site, Self.catalogue) else {
            throw BenchError("the site's settings are not taken")
        }
        surroundings = GraphSurroundings(site: isLayered ? settings : .none)
        switch layered.sum.validate(against: Self.catalogue, in: surroundings) {
        case .success(let valid): graph = valid
        case .failure(let found): throw BenchError("the document is not valid: \(found.faults[0])")
        }
        // The layered document has one node more.
        if isLayered { try removeExtra() }
    }

    private mutating func removeExtra() throws(BenchError) {
        layered.drop(["nodes", "more"])
        guard
            case .success(let valid) = layered.sum.validate(
                against: Self.catalogue, in: surroundings, reusing: graph)
        else { throw BenchError("what an overlay added can't be taken away") }
        graph = valid
    }

    /// What the engine does with a patch before anything that runs is touched.
    mutating func patch(channel: Int, bitRate: String) throws(BenchError) -> GraphPlan {
        let patch = JSONPatch([.add(["nodes", "v\(channel)", "settings"], ["bitrate": .string(bitRate)])])
        let base: GraphDocument
        do throws(PatchFault) { base = try layered.base.applying(patch) } catch { throw BenchError("\(error)") }
        do throws(OwnershipFault) { try layered.setBase(base, isForced: false) } catch { throw BenchError("\(error)") }
        switch layered.sum.validate(against: Self.catalogue, in: surroundings, reusing: graph) {
        case .failure(let found): throw BenchError("\(found.faults[0])")
        case .success(let next):
            let plan = GraphPlan.between(graph, next)
            graph = next
            return plan
        }
    }

    // MARK: What it holds

    private static let encoder = Setting<String>("encoder", default: "libx264", "Which.")
    private static let bitrate = Setting<BitRate>(
        "bitrate", default: BitRate(bitsPerSecond: 4_000_000), "Target.", isLive: true)
    private static let path = Setting<FilePath>(required: "path", "Where.")
    private static let window = Setting<Int>("window", default: 6, "Segments.", isLive: true)

    private static let catalogue = Catalogue([
        KindDeclaration(
            "source", "Gives.",
            outlets: .fixed([OutletDeclaration("video", .rawVideo), OutletDeclaration("audio", .rawAudio)]),
            pacing: { _ in .paced }),
        KindDeclaration(
            "video", "Encodes.", inlets: [InletDeclaration("video", [.rawVideo], isRequired: true)],
            outlets: .fixed([OutletDeclaration("video", .codedVideo)]), settings: .of(encoder, bitrate)),
        KindDeclaration(
            "audio", "Encodes.", inlets: [InletDeclaration("audio", [.rawAudio], isRequired: true)],
            outlets: .fixed([OutletDeclaration("audio", .codedAudio)]), settings: .of(encoder, bitrate)),
        KindDeclaration(
            "sink", "Takes.",
            inlets: [InletDeclaration("video", [.codedVideo]), InletDeclaration("audio", [.codedAudio])],
            settings: .of(path, window), claims: { [ResourceClaim(.outputPath, "\($0[path])", setting: "path")] }),
    ])

    private static func document(_ isLayered: Bool) -> JSON {
        var nodes: [JSONObject.Member] = []
        for i in 0..<channels {
            let coder: JSON = isLayered ? ["extends": "coder"] : ["kind": "video"]
            nodes.append(("cam\(i)", ["kind": "source"]))
            nodes.append(
                (
                    "v\(i)",
                    coder.merging([
                        "inputs": ["video": "cam\(i).video"], "settings": ["encoder": "libx264", "bitrate": "4M"],
                    ])
                ))
            nodes.append(
                (
                    "a\(i)",
                    [
                        "kind": "audio", "inputs": ["audio": "cam\(i).audio"],
                        "settings": ["encoder": "aac", "bitrate": "128k"],
                    ]
                ))
            nodes.append(
                (
                    "live\(i)",
                    [
                        "kind": "sink", "inputs": ["video": "v\(i)", "audio": "a\(i)"],
                        "settings": ["path": "channel\(i)"],
                    ]
                ))
        }
        return [
            "patchbay": 1, "templates": ["coder": ["kind": "video", "settings": ["encoder": "libx264"]]],
            "nodes": .object(JSONObject(nodes)),
        ]
    }
}
