// `patchbay kinds`: what nodes there are, from their declarations.
import Graph

enum KindsCommand {
    static let command = Command(
        "kinds", ["[KIND]"], "Lists the kinds of nodes; one with its ports and settings.",
        [
            Option("json", "Prints JSON Schema: of whole documents, or of a node of the kind."),
            Option("all", "Prints every kind with its ports and settings."),
        ]
    ) { (arguments) async throws(UsageError) in
        let catalogue = Kinds.catalogue
        let isJSON = arguments.has("json")
        guard let name = arguments.operands.first else {
            let text = isJSON ? catalogue.schema.pretty : arguments.has("all") ? catalogue.manual : catalogue.listing
            writeToStandardOutput(text + "\n")
            return .success
        }
        guard let kind = catalogue[name] else {
            let names = catalogue.kinds.map(\.name).joined(separator: ", ")
            throw UsageError("there is no kind \"\(name)\"; expected one of \(names).")
        }
        writeToStandardOutput((isJSON ? kind.schema.pretty : kind.manual) + "\n")
        return .success
    }
}
