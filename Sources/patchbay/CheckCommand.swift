// `patchbay check`: says everything that is wrong with a graph file, and opens nothing but what checking needs.
import Engine
import Graph

enum CheckCommand {
    static let command = Command(
        "check", ["GRAPH"], "Checks a graph file: all faults at once, exit code 65.",
        [
            Option("site", "FILE", "Settings by kind, as run takes them."),
            Option("set", "NODE.SETTING=VALUE", isRepeatable: true, "Sets a setting, as run does."),
            Option("json", "Prints the faults as JSON on standard output."),
        ]
    ) { arguments in
        let path = arguments.operands[0]
        do throws(GraphFileError) {
            let file = try GraphFile(
                path: path, site: arguments.text("site"), setting: arguments.all("set"), Kinds.catalogue)
            let edges = file.graph.edges.count
            if arguments.has("json") {
                writeToStandardOutput("{\"faults\":[]}\n")
            } else {
                writeToStandardOutput(
                    "\(path): \(file.graph.name): \(file.graph.nodes.count) nodes, \(edges) edges, good\n")
            }
            return .success
        } catch {
            if arguments.has("json") {
                writeToStandardOutput((["faults": error.json] as JSON).pretty + "\n")
            } else {
                writeToStandardError(error.description + "\n")
            }
            return .badDocument
        }
    }
}
