// Text among an encoder's options may name files that the encoder writes (`stats`, `x265-params`): documents that come
// over HTTP may not bring any. What the start-up file set stays. Any thread.
import AV
import Graph

enum EncoderOptionRules {
    /// A fault for each option that `new` brings, that `old` does not have and that may name a file.
    static func faults(in new: GraphDocument, besides old: GraphDocument?) -> [DocumentFault] {
        let before = old?.json["nodes"]
        return (new.json["nodes"]?.object?.members ?? []).flatMap { id, node -> [DocumentFault] in
            guard let settings = node["settings"], let options = settings["options"]?.object else { return [] }
            let encoder = settings["encoder"]?.string ?? "libx264"
            let known = before?[id]?["settings"]
            let isSameEncoder = (known?["encoder"]?.string ?? "libx264") == encoder
            return options.members.compactMap { name, value in
                if isSameEncoder, known?["options"]?[name] == value { return nil }
                guard !isPlainOption(name, ofVideoEncoder: encoder) else { return nil }
                return DocumentFault(
                    JSONPointer(["nodes", id, "settings", "options", name]),
                    found: "found \"\(name)\", in which \(encoder) may find names of files",
                    expected: "over HTTP expected options that are numbers or plain words",
                    remedy: "leave it out, or set it in the file that the engine starts with")
            }
        }
    }
}
