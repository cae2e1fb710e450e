// A sub-graph: a file whose nodes stand in a document once for each `"use"` of it, under the instance's name, with
// parameters in place of `${name}`. The file is a graph document with `parameters` and `exports` besides. Values and
// immutable objects: any thread.

/// A sub-graph's file, read. A class so that instances of it share it, and are known to without looking.
package final class Subgraph: Sendable {
    /// Normalised.
    package let path: String
    package let document: GraphDocument
    /// Declared with their defaults; null where one must be given.
    let parameters: JSONObject
    /// `video` → `h264.video`: what may be named from outside as `ch1.video`.
    let exports: JSONObject

    package init(path: String, _ document: GraphDocument) {
        self.path = path
        self.document = document
        parameters = document.json["parameters"]?.object ?? JSONObject()
        exports = document.json["exports"]?.object ?? JSONObject()
    }

    /// The folder that the files used in it are looked up in.
    var folder: String { SubgraphPath.folder(of: path) }
}

/// Why a sub-graph's file can't be had.
package enum SubgraphFault: Error, Sendable {
    /// In words.
    case unreadable(String)
    case notJSON(JSONFault)
}

/// Where sub-graphs' files come from. May block on the disk the first time that a file is asked for; asked again, it
/// gives the same object.
package protocol SubgraphSource: AnyObject, Sendable {
    func subgraph(at path: String) -> Result<Subgraph, SubgraphFault>
}

/// What stands around a document and decides with it what its graph is.
package struct GraphSurroundings: Sendable {
    package var site: SiteSettings
    /// Nil where no sub-graphs can be used.
    package var subgraphs: (any SubgraphSource)?
    /// Where the files are looked up that the document uses.
    package var folder: String

    package init(
        site: SiteSettings = .none, subgraphs: (any SubgraphSource)? = nil, folder: String = "."
    ) {
        self.site = site
        self.subgraphs = subgraphs
        self.folder = folder
    }
}

/// Paths as text.
enum SubgraphPath {
    static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// `name` beside what lies in `folder`, without `.` and without `..` where that can be taken away.
    static func resolved(_ name: String, beside folder: String) -> String {
        let whole = name.hasPrefix("/") ? name : folder + "/" + name
        var parts: [Substring] = []
        for part in whole.split(separator: "/") where part != "." {
            if part == "..", let last = parts.last, last != ".." { parts.removeLast() } else { parts.append(part) }
        }
        return (whole.hasPrefix("/") ? "/" : "") + parts.joined(separator: "/")
    }
}
