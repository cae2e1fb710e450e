// The graphs of `graphs/` are good, whatever the kinds become.
import Foundation
import Graph
import GraphHarness
import Testing

@testable import patchbay

@Suite struct GraphsTests {
    private static let folder =
        (0..<3).reduce(#filePath) { path, _ in (path as NSString).deletingLastPathComponent } + "/graphs"
    private static let names = (FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? [])
        .filter {
            // What stands in a folder below is a part of one that uses it.
            $0.hasSuffix(".json") && !$0.contains("/")
        }

    @Test func allAreThere() {
        for name in ["first-light", "srt-to-hls", "restream", "file-transcode", "channels", "two-cameras", "failover"] {
            #expect(Self.names.contains("\(name).json"))
        }
    }

    @Test func channelsAreOneFileAndALineEach() throws {
        let graph = try GraphFile(
            path: "\(Self.folder)/channels.json", setting: ["two/h264.bitrate=700k"], Kinds.catalogue
        )
        .graph
        #expect(graph.nodes.count == 13)
        #expect(graph["two/h264"]?.resolvedSettings["bitrate"] == "700k")
        #expect(graph["tape"]?.inlets.map(\.from.description) == ["one/h264.video", "one/aac.audio"])
    }

    @Test func whatIsWrongWithAPartNamesItsFileAndItsUse() throws {
        let scratch = try Scratch()
        let part = try String(contentsOfFile: "\(Self.folder)/parts/channel.json", encoding: .utf8)
        try FileManager.default.createDirectory(atPath: scratch.file("parts"), withIntermediateDirectories: true)
        try part.replacing("libx264", with: "libx26").write(
            toFile: scratch.file("parts/channel.json"), atomically: true, encoding: .utf8)
        try FileManager.default.copyItem(atPath: "\(Self.folder)/channels.json", toPath: scratch.file("channels.json"))
        let site = scratch.file("site.json")
        do throws(GraphFileError) {
            _ = try GraphFile(path: scratch.file("channels.json"), setting: [], Kinds.catalogue)
            Issue.record("an unknown encoder was taken")
        } catch {
            let lines = error.description.split(separator: "\n")
            #expect(lines.count == 3)
            #expect(lines[0].hasPrefix("\(scratch.file("parts/channel.json")):10:"), "\(lines[0])")
            #expect(lines[0].contains(": /nodes/h264/settings") && lines[0].hasSuffix("(used by \"one\")"))
        }
        try "{ \"sink.hls\": {\n  \"segmnt\": \"4s\" } }".write(toFile: site, atomically: true, encoding: .utf8)
        do throws(GraphFileError) {
            _ = try GraphFile(path: "\(Self.folder)/channels.json", site: site, setting: [], Kinds.catalogue)
            Issue.record("a setting that nothing reads was taken")
        } catch {
            #expect(error.description.hasPrefix("\(site):2:13: /sink.hls/segmnt: unknown setting"))
        }
    }

    @Test(arguments: names) func isGood(name: String) throws {
        // The one setting that is left to the user.
        let settings = name == "file-transcode.json" ? ["in.path=\(#filePath)"] : []
        do throws(GraphFileError) {
            let file = try GraphFile(path: "\(Self.folder)/\(name)", setting: settings, Kinds.catalogue)
            #expect(file.graph.name + ".json" == name)
            #expect(!file.graph.nodes.isEmpty)
        } catch { Issue.record("\(error.description)") }
    }
}
