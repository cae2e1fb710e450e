// What a document says of `sink.hls`.
import Files
package import Graph
import Media

/// Settings of `sink.hls`.
package struct HLSSettings: NodeSettings {
    static let path = Setting<FilePath>(
        required: "path", "Where it is served and written: /live/PATH/index.m3u8, and live/PATH/ in the data folder.")
    static let segment = Setting(
        "segment", default: MediaTime.seconds(2), "A segment ends on the first key frame at or after this length."
    ).within(.milliseconds(500)...(.seconds(60)))
    static let window = Setting("window", default: 6, "Segments that a playlist lists.", unit: "segments")
        .within(3...1000)

    package static let declarations: [SettingDeclaration] = .of(path, segment, window)

    let path: String
    let segment: MediaTime
    let window: Int

    package init(_ values: SettingValues) {
        path = values[Self.path].text
        segment = values[Self.segment]
        window = values[Self.window]
    }

    /// What is wrong with the path.
    static func check(_ values: SettingValues) -> [SettingFault] {
        let path = values[Self.path].text
        do throws(OutputPathError) { try OutputRoots.checkWords(path) } catch {
            return [
                SettingFault(
                    "path", found: error.message, expected: "a path below live/ in the data folder",
                    remedy: "write it as in \"channel1\" or \"sports/main\"")
            ]
        }
        return []
    }
}
