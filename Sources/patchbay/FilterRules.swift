// Some filters open files, devices or sockets (`movie`, `lut3d`, `zmq`): documents that come over HTTP may not bring any.
// What the start-up file set stays. Any thread.
import AV
import Graph
import Media

enum FilterRules {
    /// A fault for each description and each command that a change brings and that may open something.
    static func faults(in changes: [GraphDocument.NodeChange]) -> [DocumentFault] {
        changes.flatMap { id, node, old -> [DocumentFault] in
            guard node["kind"]?.string == "filter", let settings = node["settings"] else { return [] }
            let known = old?["kind"]?.string == "filter" ? old?["settings"] : nil
            return descriptionFaults(id, settings, known) + commandFaults(id, settings, known)
        }
    }

    private static func descriptionFaults(_ id: String, _ settings: JSON, _ known: JSON?) -> [DocumentFault] {
        guard let description = settings["description"]?.string, known?["description"]?.string != description,
            let named = filters(in: description)
        else { return [] }
        // One that does not exist opens nothing; validation says so.
        return named.filter { hasFilter($0.name) && !isHarmless($0) }.map { filter in
            fault(
                ["nodes", id, "settings", "description"],
                "the filter \"\(filter.name)\" with \"\(filter.options.prefix(80))\"")
        }
    }

    /// Filters of the start-up file take orders, and may be told of files by them.
    private static func commandFaults(_ id: String, _ settings: JSON, _ known: JSON?) -> [DocumentFault] {
        (settings["commands"]?.object?.members ?? []).compactMap { name, value in
            guard known?["commands"]?[name] != value else { return nil }
            let text = name + " " + (value.string ?? "")
            guard ["file", "path", "plot", "reinit"].contains(where: { text.lowercased().find($0) != nil }) else {
                return nil
            }
            return fault(["nodes", id, "settings", "commands", name], "the command \"\(text.prefix(80))\"")
        }
    }

    private static func fault(_ pointer: [String], _ found: String) -> DocumentFault {
        DocumentFault(
            JSONPointer(pointer), found: "found \(found), which may open files or devices",
            expected: "over HTTP expected filters that only compute",
            remedy: "leave it out, or set it in the file that the engine starts with")
    }
}
