// The graphs of `graphs/` are good, whatever the kinds become.
import Foundation
import Graph
import Testing

@testable import patchbay

@Suite struct GraphsTests {
    private static let folder =
        (0..<3).reduce(#filePath) { path, _ in (path as NSString).deletingLastPathComponent } + "/graphs"
    private static let names = (FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? [])
        .filter {
            $0.hasSuffix(".json")
        }

    @Test func allAreThere() {
        for name in ["first-light", "srt-to-hls", "restream", "file-transcode"] {
            #expect(Self.names.contains("\(name).json"))
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
