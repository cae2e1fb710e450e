// Text among an encoder's options may name files that the encoder writes (`stats`, `x265-params`): documents that come
// over HTTP may not bring any. What the start-up file set stays. Any thread.
import AV
import Graph

enum EncoderOptionRules {
    /// A fault for each option that a change brings and that may name a file.
    static func faults(in changes: [GraphDocument.NodeChange]) -> [DocumentFault] {
        changes.flatMap { id, node, old -> [DocumentFault] in
            guard let settings = node["settings"], let options = settings["options"]?.object else { return [] }
            let encoder = settings["encoder"]?.string ?? "libx264"
            let known = old?["settings"]
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
