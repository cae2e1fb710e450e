// Who may ask: the token, and the rules that keep a web page of somebody else from using the browser of somebody here
// (DNS rebinding by Host, cross-site requests by Origin). Pure; decided before a body is read.
import Media

/// The rules of one listener.
package struct AccessPolicy: Sendable {
    /// What a route asks of a request.
    package enum Requirement: Sendable {
        /// Everything below: the control API.
        case control
        /// The dashboard's page itself, which holds no secret and has to load before it can ask for the token.
        case page
        /// Live content: any Host and Origin.
        case media
        /// Whether the process answers: no token.
        case liveness
    }

    /// The key of the cookie that lets a `<video>` element, which can't send a token, read `/live`.
    package static let mediaCookie = "patchbay_live"

    private let token: String?
    private let hosts: Set<String>
    private let port: UInt16
    /// Good for `/live` alone and for as long as the process lives, so that the token itself never is in a cookie (which
    /// a browser would send to every port of the host).
    private let mediaKey: String

    /// - Parameters:
    ///   - listen: the address with the port that was bound.
    ///   - token: what `Authorization: Bearer` must carry; nil on a listener that needs none.
    ///   - hostName: the machine's own name, allowed as Host.
    ///   - mediaKey: unguessable, and new for each process.
    package init(listen: ListenAddress, token: String?, hostName: String?, mediaKey: String) {
        self.token = token
        self.port = listen.port
        self.mediaKey = mediaKey
        var hosts: Set = ["localhost", "127.0.0.1", "[::1]"]
        hosts.insert(listen.isIPv6 ? "[\(listen.host)]" : listen.host)
        if let hostName, !hostName.isEmpty { hosts.insert(hostName.lowercased()) }
        self.hosts = hosts
    }

    /// Lets a request pass, or says why not.
    package func check(_ request: Request, for requirement: Requirement) throws(APIProblem) {
        if requirement != .media {
            try checkHost(request)
            try checkOrigin(request)
        }
        switch requirement {
        case .control: try checkToken(request)
        case .media where !hasMediaCookie(request): try checkToken(request)
        case .media, .page, .liveness: break
        }
    }

    /// The cookie that a client which has shown the token is given; nil where none is needed.
    package func mediaCookie(for request: Request) -> String? {
        guard token != nil, !hasMediaCookie(request) else { return nil }
        return "\(Self.mediaCookie)=\(mediaKey); Path=/live; HttpOnly; SameSite=Strict"
    }

    // MARK: Host and Origin

    private func checkHost(_ request: Request) throws(APIProblem) {
        let values = request.headers.all("host")
        guard values.count <= 1 else { throw APIProblem(.malformed, "The request has more than one Host.") }
        // A browser always sends Host; without one (HTTP/1.0) there is nobody to protect. With a token a rebinding page
        // gets nowhere, and the machine may have any name.
        guard token == nil, let host = values.first else { return }
        guard hosts.contains(Self.split(host).host) else {
            throw APIProblem(
                .forbidden,
                "Host “\(host)” is not this engine's: use localhost, the address it listens on, or the machine's name.")
        }
    }

    private func checkOrigin(_ request: Request) throws(APIProblem) {
        guard let origin = request.headers["origin"] else { return }
        guard let schemeEnd = origin.find("://") else { throw Self.foreign(origin) }
        let authority = origin[schemeEnd.upperBound...].lowercased()
        if authority == request.headers["host"]?.lowercased() { return }
        let (host, port) = Self.split(authority)
        guard hosts.contains(host), port == self.port || port == nil && self.port == 80 else {
            throw Self.foreign(origin)
        }
    }

    private static func foreign(_ origin: String) -> APIProblem {
        APIProblem(.forbidden, "Origin “\(origin)” is another site; only /live may be used from there.")
    }

    /// Host in lower case (IPv6 in brackets) and port of an authority; a port that is no number makes it no known host.
    private static func split(_ authority: String) -> (host: String, port: UInt16?) {
        let text = authority.lowercased()
        guard let colon = text.lastIndex(of: ":"), !text[colon...].contains("]") else { return (text, nil) }
        guard let port = UInt16(text[text.index(after: colon)...]) else { return (text, nil) }
        return (String(text[..<colon]), port)
    }

    // MARK: Token

    private func checkToken(_ request: Request) throws(APIProblem) {
        guard let token else { return }
        guard let header = request.headers["authorization"] else {
            throw APIProblem(
                .unauthorized, "Send “Authorization: Bearer TOKEN”; the engine printed where its token lies.")
        }
        let scheme = "bearer "
        guard header.lowercased().hasPrefix(scheme) else {
            throw APIProblem(.unauthorized, "Authorization must be of scheme Bearer.")
        }
        let given = header.dropFirst(scheme.count).drop { $0 == " " }
        guard Self.isEqual(Array(given.utf8), Array(token.utf8)) else {
            throw APIProblem(.unauthorized, "The token is not this engine's; the engine printed where its token lies.")
        }
    }

    private func hasMediaCookie(_ request: Request) -> Bool {
        let wanted = Array("\(Self.mediaCookie)=\(mediaKey)".utf8)
        return request.headers.all("cookie").contains { header in
            header.split(separator: ";").contains { Self.isEqual(Array($0.drop { $0 == " " }.utf8), wanted) }
        }
    }

    /// Takes the same time wherever the difference is, so that a token can't be found out byte by byte.
    static func isEqual(_ given: [UInt8], _ secret: [UInt8]) -> Bool {
        var difference = UInt8(given.count == secret.count ? 0 : 1)
        for index in secret.indices { difference |= secret[index] ^ (index < given.count ? given[index] : 0) }
        return difference == 0
    }
}
