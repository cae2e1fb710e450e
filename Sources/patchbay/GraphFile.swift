// A graph document from a file, with what `--set` changes, checked. Blocking: for the start of commands.
import CLinux
import Engine
import Graph

/// Why a graph file can't be used.
enum GraphFileError: Error {
    /// It can't be read; in words.
    case unreadable(String)
    case notJSON(path: String, JSONFault)
    case invalid(path: String, DocumentFaults)

    /// One line a fault, as compilers write them: `graph.json:3:7: /nodes/live: …`.
    var description: String {
        switch self {
        case .unreadable(let message): message
        case .notJSON(let path, let fault):
            "\(path):\(fault.position.line):\(fault.position.column): \(fault.message)"
        case .invalid(let path, let faults): faults.faults.map { Self.line($0, path) }.joined(separator: "\n")
        }
    }

    private static func line(_ fault: DocumentFault, _ path: String) -> String {
        if let origin = fault.origin {
            let place = origin.position.map { ":\($0.line):\($0.column)" } ?? ""
            return "\(origin.file)\(place): \(origin.pointer): \(fault.detail) (used by \"\(origin.instance)\")"
        }
        let place = fault.position.map { ":\($0.line):\($0.column)" } ?? ""
        let pointer = fault.pointer.tokens.isEmpty ? "document" : "\(fault.pointer)"
        return "\(path)\(place): \(pointer): \(fault.detail)"
    }

    /// For `--json`: an array of faults.
    var json: JSON {
        switch self {
        case .unreadable(let message): [["pointer": "", "detail": .string(message)]]
        case .notJSON(_, let fault):
            [
                [
                    "pointer": "", "detail": .string(fault.message), "line": .number(JSONNumber(fault.position.line)),
                    "column": .number(JSONNumber(fault.position.column)),
                ]
            ]
        case .invalid(_, let faults): faults.json
        }
    }
}

/// A document that has been checked, and the graph that it describes.
struct GraphFile {
    let document: GraphDocument
    let graph: ResolvedGraph

    /// Files larger than this are refused, bytes.
    private static let largest = JSONLimits().bytes

    /// - Parameters:
    ///   - site: the file of the site's settings, nil without one.
    ///   - assignments: `node.setting=value`, applied in their order.
    init(
        path: String, site: String? = nil, setting assignments: [String], _ catalogue: Catalogue
    ) throws(GraphFileError) {
        let surroundings = try GraphSurroundings(ofGraph: path, site: site, catalogue)
        var document = try Self.document(path)
        var faults: [DocumentFault] = []
        for assignment in assignments {
            do throws(DocumentFaults) { document = try document.setting(assignment, catalogue, in: surroundings) } catch
            {
                faults += error.faults
            }
        }
        switch document.validate(against: catalogue, in: surroundings) {
        case .success(let valid) where faults.isEmpty: (self.document, graph) = (document, valid)
        case .success: throw .invalid(path: path, DocumentFaults(faults))
        case .failure(let found): throw .invalid(path: path, DocumentFaults(faults + found.faults))
        }
    }

    /// A file's document, not yet checked.
    static func document(_ path: String) throws(GraphFileError) -> GraphDocument {
        let text = JSONText(try read(path), syntax: .relaxed)
        do throws(JSONFault) { return try GraphDocument(text) } catch { throw .notJSON(path: path, error) }
    }

    /// The folder that a graph file's sub-graphs are looked up in.
    static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// What stands around it.
    var surroundings: GraphSurroundings { graph.flat.surroundings }

    /// All bytes of a file, `-` for standard input.
    private static func read(_ path: String) throws(GraphFileError) -> [UInt8] {
        let descriptor = path == "-" ? dup(0) : linux_open(path, O_RDONLY, 0)
        guard descriptor >= 0 else {
            throw .unreadable("\(path): can't be read: \(errorText(-descriptor)); name a graph file")
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = CLinux.read(descriptor, &piece, piece.count)
            if count < 0, linux_errno() == EINTR { continue }
            guard count >= 0 else { throw .unreadable("\(path): can't be read: \(errorText(linux_errno()))") }
            if count == 0 { return bytes }
            bytes += piece.prefix(count)
            guard bytes.count <= largest else {
                throw .unreadable("\(path): is larger than \(largest >> 20) MiB, which no graph is")
            }
        }
    }
}

/// The C library's words for an error number.
func errorText(_ number: Int32) -> String {
    linux_error_text(number).map { String(cString: $0) } ?? "error \(number)"
}
