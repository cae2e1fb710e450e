// What is wrong with a document, said so that a person can mend it. Values: any thread.

/// One thing that is wrong.
package struct DocumentFault: Error, Sendable, Equatable, CustomStringConvertible {
    package let pointer: JSONPointer
    /// In the file, where the document came from one.
    package var position: TextPosition?
    /// Where it is in a sub-graph's file; `pointer` names the use then.
    package var origin: FaultOrigin?
    package let found: String
    package let expected: String
    /// What to do.
    package let remedy: String

    package init(
        _ pointer: JSONPointer, position: TextPosition? = nil, found: String, expected: String, remedy: String
    ) {
        self.pointer = pointer
        self.position = position
        self.found = found
        self.expected = expected
        self.remedy = remedy
    }

    /// Found, expected and remedy, without the place.
    package var detail: String { "\(found); \(expected): \(remedy)" }

    package var description: String {
        if let origin {
            let line = origin.position.map { ", \($0)" } ?? ""
            return "\(origin.file)\(line), \(origin.pointer) (used by \"\(origin.instance)\"): \(detail)"
        }
        let place = pointer.tokens.isEmpty ? "document" : "\(pointer)"
        return (position.map { "\($0), " } ?? "") + "\(place): \(detail)"
    }

    /// For `application/problem+json` and `--json`.
    package var json: JSON {
        var members: [JSONObject.Member] = [
            ("pointer", .string("\(pointer)")), ("found", .string(found)), ("expected", .string(expected)),
            ("remedy", .string(remedy)), ("detail", .string(description)),
        ]
        if let position {
            members += [("line", .number(JSONNumber(position.line))), ("column", .number(JSONNumber(position.column)))]
        }
        if let origin {
            members += [
                ("file", .string(origin.file)), ("instance", .string(origin.instance)),
                ("filePointer", .string("\(origin.pointer)")),
            ]
            if let position = origin.position { members.append(("fileLine", .number(JSONNumber(position.line)))) }
        }
        return .object(JSONObject(members))
    }
}

/// All that is wrong with a document, in the order of the document as far as possible; never empty.
package struct DocumentFaults: Error, Sendable, Equatable, CustomStringConvertible {
    package let faults: [DocumentFault]

    package init(_ faults: [DocumentFault]) { self.faults = faults }

    /// One line a fault.
    package var description: String { faults.map(\.description).joined(separator: "\n") }
    package var json: JSON { .array(faults.map(\.json)) }
}

/// Collects faults; past `limit` it only counts, so that a hostile document costs little.
struct FaultList {
    static let limit = 100

    /// Those that are listed.
    private(set) var faults: [DocumentFault] = []
    private(set) var count = 0
    var isEmpty: Bool { count == 0 }
    var isFull: Bool { count >= Self.limit }

    mutating func add(_ pointer: JSONPointer, _ found: String, _ expected: String, _ remedy: String) {
        if !isFull { faults.append(DocumentFault(pointer, found: found, expected: expected, remedy: remedy)) }
        count += 1
    }

    /// A name that nothing has, with the nearest one that something has. Among very many names it is only looked for
    /// for the first faults, so that a document of thousands of nodes with as many mistakes is still answered at once.
    mutating func addUnknown(
        _ what: String, _ name: String, among known: @autoclosure () -> [String], at pointer: JSONPointer
    ) {
        guard !isFull else {
            count += 1
            return
        }
        let known = known()
        let list = known.prefix(20).joined(separator: ", ") + (known.count > 20 ? ", …" : "")
        add(
            pointer, "unknown \(what) \"\(name.prefix(80))\"",
            known.isEmpty ? "expected none" : "expected one of \(list)",
            (known.count <= 500 || count < 5 ? nearest(to: name, among: known) : nil).map { "did you mean \"\($0)\"?" }
                ?? "remove or rename it")
    }

    /// How many more there are than listed.
    var rest: [DocumentFault] {
        guard count > faults.count else { return [] }
        return [
            DocumentFault(
                [], found: "\(count - faults.count) more faults", expected: "only \(faults.count) are listed",
                remedy: "mend these first")
        ]
    }

    var finished: [DocumentFault] { faults + rest }
}
