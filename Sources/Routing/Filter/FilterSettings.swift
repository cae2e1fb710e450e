import AV
// What `filter` can be told.
package import Graph

/// Settings of `filter`.
package struct FilterSettings: NodeSettings {
    static let description = Setting<String>(
        required: "description",
        "Filters as libavfilter writes them. One input is [in]; several have the names that \"inputs\" gives them.")
    static let text = Setting<String?>(
        "text", default: nil, "What every drawtext of the description says, in place of its own.", isLive: true)
    static let commands = Setting<[String: String]>(
        "commands", default: [:],
        "Changes of a running filter: \"hue s\": \"0\" sets s of every hue, \"hue@left s\" that of one.", isLive: true)
    static let threads = Setting("threads", default: 0, "Threads of the filters; 0 lets them choose.").within(0...128)

    package static let declarations: [SettingDeclaration] = .of(description, text, commands, threads)

    let description: String
    let text: String?
    let commands: [String: String]
    let threads: Int

    package init(_ values: SettingValues) {
        description = values[Self.description]
        text = values[Self.text]
        commands = values[Self.commands]
        threads = values[Self.threads]
    }

    /// One order to running filters.
    struct Command: Hashable {
        let target: String
        let name: String
        let value: String
    }

    /// All that the settings order, in the order of their names.
    var orders: [Command] {
        let written = commands.sorted { $0.key < $1.key }.compactMap { Self.command($0.key, $0.value) }
        return written
            + (text.map { [Command(target: "drawtext", name: "reinit", value: "text=\(Self.quoted($0))")] } ?? [])
    }

    static func command(_ key: String, _ value: String) -> Command? {
        let words = key.split(separator: " ")
        guard words.count == 2 else { return nil }
        return Command(target: String(words[0]), name: String(words[1]), value: value)
    }

    /// A text as libavfilter's options take it.
    private static func quoted(_ text: String) -> String {
        text.reduce(into: "") { result, character in
            if "\\':".contains(character) { result.append("\\") }
            result.append(character)
        }
    }

    static func faults(_ values: SettingValues) -> [SettingFault] {
        let misnamed = values[commands].keys.sorted().filter { command($0, "") == nil }.map { key in
            SettingFault(
                "commands", found: "found the name \"\(key)\"", expected: "expected a filter and what to change",
                remedy: "write \"hue s\": \"0\"")
        }
        guard let named = filters(in: values[description]) else {
            return misnamed + [
                SettingFault(
                    "description", found: "found \"\(values[description].prefix(80))\"",
                    expected: "expected filters such as \"scale=1280:720,hflip\"",
                    remedy: "look for a quote or a bracket that is not closed")
            ]
        }
        return misnamed
            + named.filter { !hasFilter($0.name) }.map {
                SettingFault(
                    "description", found: "found the filter \"\($0.name)\"",
                    expected: "expected filters of this libavfilter", remedy: "`ffmpeg -filters` lists them")
            }
    }
}
