// A URL of something on a network, taken apart: what libavformat is given, and what people may see. A pure value.
import Graph
import Media

/// `scheme://[user[:password]@]host[:port][/path][?query]`.
package struct NetworkURL: Sendable, Equatable {
    /// Lower case.
    package let scheme: String
    /// `user:password`, secret.
    private let credentials: String?
    /// Without the brackets of an IPv6 address.
    package let host: String
    package let port: UInt16?
    private let path: String
    /// Secret as a whole: keys and tokens travel there.
    private let query: String?
    /// The last component of the path, secret.
    private let key: String?

    /// Nil where it is none.
    package init?(_ text: String, key: String? = nil) {
        guard let colon = text.find("://") else { return nil }
        scheme = text[..<colon.lowerBound].lowercased()
        let rest = text[colon.upperBound...]
        let authorityEnd = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        let authority = rest[..<authorityEnd]
        let at = authority.lastIndex(of: "@")
        credentials = at.map { String(authority[..<$0]) }
        let place = authority[(at.map { authority.index(after: $0) } ?? authority.startIndex)...]
        guard let (host, port) = Self.split(place) else { return nil }
        (self.host, self.port) = (host, port)
        let question = rest.firstIndex(of: "?")
        path = String(rest[authorityEnd..<(question ?? rest.endIndex)])
        query = question.map { String(rest[rest.index(after: $0)...]) }
        self.key = key
        guard !scheme.isEmpty, scheme.utf8.allSatisfy({ (97...122).contains($0) || (48...57).contains($0) }),
            !text.utf8.contains(where: { $0 <= 32 || $0 == 127 })
        else { return nil }
    }

    private static func split(_ place: Substring) -> (String, UInt16?)? {
        let host: Substring
        var rest: Substring
        if place.first == "[" {
            guard let close = place.firstIndex(of: "]") else { return nil }
            host = place[place.index(after: place.startIndex)..<close]
            rest = place[place.index(after: close)...]
        } else {
            host = place.prefix { $0 != ":" }
            rest = place.dropFirst(host.count)
        }
        guard !rest.isEmpty else { return host.isEmpty ? nil : (String(host), nil) }
        guard rest.removeFirst() == ":", let port = UInt16(rest), port > 0 else { return nil }
        return (String(host), port)
    }

    /// The port, or the one that the scheme usually has.
    package var usualPort: UInt16? {
        if let port { return port }
        switch scheme {
        case "rtmp", "rtmpt": return 1935
        case "rtsp": return 554
        case "http": return 80
        case "https", "rtmps": return 443
        default: return nil
        }
    }

    private var place: String { (host.contains(":") ? "[\(host)]" : host) + (port.map { ":\($0)" } ?? "") }

    /// With everything: for libavformat, and nobody else.
    package var revealed: String {
        "\(scheme)://" + (credentials.map { $0 + "@" } ?? "") + place + target
    }

    /// What stands behind the authority.
    private var target: String {
        path + (key.map { (path.hasSuffix("/") ? "" : "/") + $0 } ?? "") + (query.map { "?" + $0 } ?? "")
    }

    /// For people: without credentials, key and query.
    package var shown: String {
        "\(scheme)://\(place)\(shownPath)" + (key == nil ? "" : "/\(Secret.mask)")
            + (query == nil ? "" : "?\(Secret.mask)")
    }

    /// RTMP has its key in the path: behind the application's name everything is secret.
    private var shownPath: String {
        guard scheme.hasPrefix("rtmp") else { return path }
        let parts = path.split(separator: "/")
        guard parts.count > 1 else { return path }
        return "/\(parts[0])/\(Secret.mask)"
    }

    /// The value of a parameter of the query.
    package func parameter(_ name: String) -> String? {
        (query ?? "").split(separator: "&").lazy.compactMap { pair -> String? in
            let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return halves.count == 2 && halves[0] == name ? String(halves[1]) : nil
        }.first
    }

    /// What must not be seen of it.
    package var secrets: [String] {
        // What stands behind the application in RTMP's path is a key, too.
        let inPath = scheme.hasPrefix("rtmp") ? path.split(separator: "/").dropFirst().map(String.init) : []
        let password = credentials?.split(separator: ":", maxSplits: 1).dropFirst().first.map(String.init)
        // Short values are numbers of seconds and the like, and stand in messages for much else.
        let values = (query ?? "").split(separator: "&").compactMap { $0.split(separator: "=", maxSplits: 1).last }
            .filter { $0.utf8.count > 3 }.map(String.init)
        return ([revealed, credentials, query, key, password].compactMap(\.self) + inPath + values)
            .filter { !$0.isEmpty }
    }

    /// `text` without what must not be seen.
    package func masked(_ text: String) -> String {
        secrets.reduce(text) { $0.substituting($1, by: Secret.mask) }
    }

    /// The name that publishers must give, nil where any will do: of RTMP what stands behind the application, of RTSP all
    /// that stands behind the authority.
    package var publisherName: String? {
        if scheme == "rtsp" { return target.utf8.count > 1 ? target : nil }
        guard scheme.hasPrefix("rtmp") else { return nil }
        let parts = target.split(separator: "/")
        return parts.count > 1 ? String(parts[parts.count - 1]) : nil
    }
}
