// What a document says of `sink.record`.
import Files
package import Graph
import Media

/// Settings of `sink.record`.
package struct RecordSettings: NodeSettings {
    static let path = Setting<FilePath>(
        required: "path",
        "The folder below the output root. Files in it are called by the UTC time of their first frame, "
            + "20261121T063000.000Z.mp4, and end in .part until they are closed.")
    static let root = Setting(
        "root", default: OutputRoots.recordings,
        "The output root: recordings is the folder of that name in the data folder, others come from --root NAME=DIR.")
    static let segment = Setting<MediaTime?>(
        "segment", default: nil,
        "A file ends on the first key frame at or after this length; without it all goes into one file."
    ).within(MediaTime.seconds(1)...(.seconds(86_400)))

    package static let declarations: [SettingDeclaration] = .of(path, root, segment)

    let path: String
    let root: String
    let segment: MediaTime?

    package init(_ values: SettingValues) {
        path = values[Self.path].text
        root = values[Self.root]
        segment = values[Self.segment]
    }

    /// What is wrong with the path.
    static func check(_ values: SettingValues) -> [SettingFault] {
        let path = values[Self.path].text
        do throws(OutputPathError) { try OutputRoots.checkWords(path) } catch {
            return [
                SettingFault(
                    "path", found: error.message, expected: "a path below an output root",
                    remedy: "write it as in \"news\" or \"studio1/clean\"")
            ]
        }
        return []
    }
}
