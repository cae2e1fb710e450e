// Entity tags and the conditions made with them (RFC 9110 sections 8.8.3 and 13).

/// A list of entity tags, as `If-None-Match` and `If-Match` carry it.
package struct EntityTagList: Equatable, Sendable {
    /// One tag, without its quotes.
    package struct Tag: Equatable, Sendable {
        package var text: String
        package var isWeak: Bool
    }

    package var tags: [Tag] = []
    /// `*`: whatever exists.
    package var matchesAnything = false

    /// Reads the header's value; nil if it is malformed.
    package init?(_ header: String) {
        var rest = Substring(header)
        func skip(_ characters: String) { rest = rest.drop { characters.contains($0) } }
        skip(" \t")
        if rest == "*" {
            matchesAnything = true
            return
        }
        while !rest.isEmpty {
            let isWeak = rest.hasPrefix("W/")
            if isWeak { rest = rest.dropFirst(2) }
            guard rest.popFirst() == "\"", let end = rest.firstIndex(of: "\"") else { return nil }
            tags.append(Tag(text: String(rest[..<end]), isWeak: isWeak))
            rest = rest[rest.index(after: end)...]
            skip(" \t")
            guard rest.isEmpty || rest.first == "," else { return nil }
            skip(", \t")
        }
        if tags.isEmpty { return nil }
    }

    /// Weak comparison: for `If-None-Match`.
    package func matches(_ entityTag: String) -> Bool {
        matchesAnything || tags.contains { $0.text == entityTag }
    }
}

extension Request {
    /// Whether the client holds what has this tag already, so that 304 is the answer.
    func holds(_ entityTag: String) -> Bool {
        headers["if-none-match"].flatMap(EntityTagList.init)?.matches(entityTag) ?? false
    }

    /// The revision that a patch insists on; nil if it doesn't.
    /// - Throws: `.malformed`, or `.revisionMismatch` for a weak tag, which never matches here (strong comparison).
    func requiredRevision() throws(APIProblem) -> String? {
        let values = headers.all("if-match")
        guard let header = values.first else { return nil }
        guard values.count == 1, let list = EntityTagList(header), list.tags.count <= 1 else {
            throw APIProblem(.malformed, "If-Match must hold one entity tag in quotes, as ETag gave it, or “*”.")
        }
        if list.tags.first?.isWeak == true {
            throw APIProblem(.revisionMismatch, "If-Match holds a weak entity tag; send the ETag of GET /v1/graph.")
        }
        return list.tags.first?.text
    }
}
