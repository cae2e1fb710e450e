// JSON Patch (RFC 6902). A patch applies whole or not at all: it makes a new value and leaves the old one alone. What
// it makes is bounded in depth and size, since `copy` could otherwise double a document with every operation. Any thread.

/// Why a patch is malformed or does not apply.
package struct PatchFault: Error, Sendable, Equatable, CustomStringConvertible {
    /// Index of the operation, nil where the patch as a whole is meant.
    package let operation: Int?
    /// What the operation points at.
    package let pointer: JSONPointer?
    package let message: String
    /// The patch itself is malformed (400); otherwise it does not fit the document (409 or 422).
    package let isMalformed: Bool

    package var description: String {
        let place = operation.map { "operation \($0)" } ?? "patch"
        return place + (pointer.map { $0.tokens.isEmpty ? " at the root" : " at \($0)" } ?? "") + ": \(message)"
    }
}

/// A list of operations.
package struct JSONPatch: Sendable, Equatable {
    package enum Operation: Sendable, Equatable {
        case add(JSONPointer, JSON)
        case remove(JSONPointer)
        case replace(JSONPointer, JSON)
        case move(from: JSONPointer, to: JSONPointer)
        case copy(from: JSONPointer, to: JSONPointer)
        case test(JSONPointer, JSON)

        /// What the operation changes or looks at.
        package var pointer: JSONPointer {
            switch self {
            case .add(let pointer, _), .remove(let pointer), .replace(let pointer, _), .test(let pointer, _),
                .move(_, let pointer), .copy(_, let pointer):
                pointer
            }
        }
    }

    package static let maximumOperations = 4096
    /// Values that all `copy` and `move` operations of a patch together may carry: what bounds its work and its result.
    package static let maximumCarriedValues = 1_000_000

    package let operations: [Operation]

    package init(_ operations: [Operation]) { self.operations = operations }

    /// Reads a patch document.
    package init(json: JSON) throws(PatchFault) {
        guard let list = json.array else {
            throw Self.malformed(nil, "found \(json.phrase), expected an array of operations")
        }
        guard list.count <= Self.maximumOperations else {
            throw Self.malformed(nil, "found \(list.count) operations, expected at most \(Self.maximumOperations)")
        }
        var operations: [Operation] = []
        operations.reserveCapacity(list.count)
        for (i, element) in list.enumerated() { operations.append(try Self.operation(element, i)) }
        self.operations = operations
    }

    private static func operation(_ json: JSON, _ i: Int) throws(PatchFault) -> Operation {
        guard let object = json.object else { throw malformed(i, "found \(json.phrase), expected an object") }
        guard let name = object["op"]?.string else {
            throw malformed(i, "\"op\" is missing: expected add, remove, replace, move, copy or test")
        }
        let path = try pointer("path", object, i)
        switch name {
        case "add": return .add(path, try value(object, i))
        case "remove": return .remove(path)
        case "replace": return .replace(path, try value(object, i))
        case "move": return .move(from: try pointer("from", object, i), to: path)
        case "copy": return .copy(from: try pointer("from", object, i), to: path)
        case "test": return .test(path, try value(object, i))
        default: throw malformed(i, "found op \"\(name)\", expected add, remove, replace, move, copy or test")
        }
    }

    private static func pointer(_ key: String, _ object: JSONObject, _ i: Int) throws(PatchFault) -> JSONPointer {
        guard let text = object[key]?.string else {
            throw malformed(i, "\"\(key)\" is missing: expected a JSON Pointer")
        }
        guard let pointer = JSONPointer(text) else {
            throw malformed(i, "\"\(key)\": found \"\(text)\", expected a JSON Pointer such as /nodes/live")
        }
        return pointer
    }

    private static func value(_ object: JSONObject, _ i: Int) throws(PatchFault) -> JSON {
        guard let value = object["value"] else { throw malformed(i, "\"value\" is missing") }
        return value
    }

    private static func malformed(_ operation: Int?, _ message: String) -> PatchFault {
        PatchFault(operation: operation, pointer: nil, message: message, isMalformed: true)
    }
}

// MARK: Applying

extension JSONPatch {
    /// The document with all operations applied in order; throws at the first that does not apply.
    package func applied(to document: JSON, limits: JSONLimits = JSONLimits()) throws(PatchFault) -> JSON {
        var result = document
        var budget = Self.maximumCarriedValues
        for (i, operation) in operations.enumerated() {
            do throws(EditFault) {
                result = try Self.apply(operation, to: result, depth: limits.depth, budget: &budget)
            } catch {
                throw PatchFault(
                    operation: i, pointer: error.pointer ?? operation.pointer, message: error.message,
                    isMalformed: false)
            }
        }
        return result
    }

    private static func apply(
        _ operation: Operation, to document: JSON, depth: Int, budget: inout Int
    ) throws(EditFault) -> JSON {
        switch operation {
        case .add(let pointer, let value):
            try bound(value, at: pointer, depth: depth)
            return try document.adding(value, at: pointer)
        case .remove(let pointer): return try document.removing(pointer)
        case .replace(let pointer, let value):
            try bound(value, at: pointer, depth: depth)
            return try document.replacing(pointer, by: value)
        case .move(let from, let to):
            guard from != to else { return try document.existing(from, as: document) }
            guard !from.isPrefix(of: to) else { throw EditFault("a value can't be moved into itself (from \(from))") }
            let value = try carry(from, in: document, budget: &budget)
            try bound(value, at: to, depth: depth)
            return try document.removing(from).adding(value, at: to)
        case .copy(let from, let to):
            let value = try carry(from, in: document, budget: &budget)
            try bound(value, at: to, depth: depth)
            return try document.adding(value, at: to)
        case .test(let pointer, let expected):
            let value = try document.value(at: pointer)
            guard value == expected else {
                throw EditFault("test failed: found \(value.phrase), expected \(expected.phrase)")
            }
            return document
        }
    }

    /// What a `copy` or `move` carries. Counted first, since values that copies share can be far larger than memory.
    private static func carry(
        _ from: JSONPointer, in document: JSON, budget: inout Int
    ) throws(EditFault) -> JSON {
        let value = try document.value(at: from)
        budget -= value.count(upTo: budget)
        guard budget >= 0 else { throw EditFault("this patch carries more than \(maximumCarriedValues) values") }
        return value
    }

    private static func bound(_ value: JSON, at pointer: JSONPointer, depth: Int) throws(EditFault) {
        guard pointer.tokens.count + value.depth <= depth else {
            throw EditFault("the document would be nested more than \(depth) deep")
        }
    }
}

/// Why an edit of one place is not possible.
struct EditFault: Error {
    /// Where, if it is not the place that was to be edited.
    var pointer: JSONPointer?
    let message: String

    init(_ message: String, at pointer: JSONPointer? = nil) {
        self.message = message
        self.pointer = pointer
    }
}

extension JSON {
    fileprivate func value(at pointer: JSONPointer) throws(EditFault) -> JSON {
        guard let value = self[pointer] else { throw EditFault("there is nothing here", at: pointer) }
        return value
    }

    fileprivate func existing(_ pointer: JSONPointer, as result: JSON) throws(EditFault) -> JSON {
        _ = try value(at: pointer)
        return result
    }

    func adding(_ value: JSON, at pointer: JSONPointer) throws(EditFault) -> JSON {
        try editing(pointer) { parent, token throws(EditFault) in
            guard let token else { return value }
            switch parent {
            case .object(let object): return .object(object.setting(token, to: value))
            case .array(var elements):
                guard let index = token == "-" ? elements.count : JSON.arrayIndex(token), index <= elements.count else {
                    throw EditFault("found index \"\(token)\", expected 0 to \(elements.count) or -")
                }
                elements.insert(value, at: index)
                return .array(elements)
            default: throw EditFault("\(parent.phrase) has no members")
            }
        }
    }

    func removing(_ pointer: JSONPointer) throws(EditFault) -> JSON {
        try editing(pointer) { parent, token throws(EditFault) in
            guard let token else { throw EditFault("the whole document can't be removed") }
            guard parent[[token]] != nil else { throw EditFault("there is nothing here") }
            switch parent {
            case .object(let object): return .object(object.removing(token))
            case .array(var elements):
                if let index = JSON.arrayIndex(token) { elements.remove(at: index) }
                return .array(elements)
            default: return parent
            }
        }
    }

    func replacing(_ pointer: JSONPointer, by value: JSON) throws(EditFault) -> JSON {
        try editing(pointer) { parent, token throws(EditFault) in
            guard let token else { return value }
            guard parent[[token]] != nil else { throw EditFault("there is nothing here") }
            return parent.withExisting(token, value)
        }
    }

    /// Rebuilds the path down to the parent of what `pointer` names; `edit` gets that parent and the last token (nil:
    /// the document itself is meant). As deep as the document at most.
    private func editing(
        _ pointer: JSONPointer, at level: Int = 0, _ edit: (JSON, String?) throws(EditFault) -> JSON
    ) throws(EditFault) -> JSON {
        guard let last = pointer.tokens.last else { return try edit(self, nil) }
        if level == pointer.tokens.count - 1 { return try edit(self, last) }
        let token = pointer.tokens[level]
        guard let child = self[[token]] else {
            throw EditFault("there is nothing here", at: JSONPointer(Array(pointer.tokens[...level])))
        }
        return withExisting(token, try child.editing(pointer, at: level + 1, edit))
    }

    /// This object or array with the member or element `token`, which is there, set to `value`.
    private func withExisting(_ token: String, _ value: JSON) -> JSON {
        switch self {
        case .object(let object): return .object(object.setting(token, to: value))
        case .array(var elements):
            if let index = JSON.arrayIndex(token), index < elements.count { elements[index] = value }
            return .array(elements)
        default: return self
        }
    }
}
