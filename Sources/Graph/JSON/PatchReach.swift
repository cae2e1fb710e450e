// What a patch reads and writes, and whether that touches what others changed meanwhile: the ground on which a patch
// against an older revision may still be applied. Conservative: a place inside an array stands for the whole array, and
// a place overlaps with all that it lies in and all that lies in it. Values: any thread.

/// The places that a change depends on or changes.
package struct PatchReach: Sendable, Equatable {
    package let places: [JSONPointer]

    package init(_ places: [JSONPointer]) { self.places = places }

    /// Of a JSON Patch that is to be applied to `document`. What `test`, `move` and `copy` look at counts as well.
    package init(of patch: JSONPatch, on document: JSON) {
        places = patch.operations.flatMap { operation in
            switch operation {
            case .move(let from, let to), .copy(let from, let to): [from, to]
            default: [operation.pointer]
            }
        }.map { document.outsideArrays($0) }
    }

    /// Of a JSON Merge Patch.
    package init(ofMerging patch: JSON, on document: JSON) {
        var places: [JSONPointer] = []
        func visit(_ value: JSON, _ path: [String]) {
            guard let members = value.object?.members, !members.isEmpty else {
                places.append(document.outsideArrays(JSONPointer(path)))
                return
            }
            for (key, value) in members { visit(value, path + [key]) }
        }
        visit(patch, [])
        self.places = places
    }

    /// The first of `others` that this reach touches.
    package func overlap(with others: some Sequence<JSONPointer>) -> JSONPointer? {
        others.first { other in places.contains { $0.isPrefix(of: other) || other.isPrefix(of: $0) } }
    }
}

extension JSON {
    /// `pointer`, cut off at the first array that it leads into.
    fileprivate func outsideArrays(_ pointer: JSONPointer) -> JSONPointer {
        var value = self
        for (i, token) in pointer.tokens.enumerated() {
            switch value {
            case .array: return JSONPointer(Array(pointer.tokens[..<i]))
            case .object(let object):
                guard let member = object[token] else { return pointer }
                value = member
            default: return pointer
            }
        }
        return pointer
    }
}

/// What the latest revisions changed: enough to tell whether a change made on an older one still fits. Bounded: who
/// comes with a revision from before that must look again.
package struct RevisionTrail: Sendable {
    /// Revisions that are remembered.
    package static let length = 256
    /// A revision that changed more places than this counts as one that changed everything.
    static let placesOfOne = 256

    private var steps: [(revision: String, places: [JSONPointer])] = []
    /// The revision before the first step.
    private var origin: String

    package init(from revision: String) { origin = revision }

    /// The latest revision.
    package var current: String { steps.last?.revision ?? origin }

    /// A commit led to `revision` by `difference`, which holds no `move` or `copy`.
    package mutating func append(_ revision: String, _ difference: JSONPatch) {
        let places = difference.operations.map(\.pointer)
        steps.append((revision, places.count > Self.placesOfOne ? [[]] : places))
        guard steps.count > Self.length else { return }
        origin = steps.removeFirst().revision
    }

    /// The places that changed after `revision`; nil where it is none of those remembered.
    package func places(since revision: String) -> [JSONPointer]? {
        if revision == current { return [] }
        if revision == origin { return steps.flatMap(\.places) }
        guard let step = steps.lastIndex(where: { $0.revision == revision }) else { return nil }
        return steps[(step + 1)...].flatMap(\.places)
    }
}
