// A request as a value: what the pure parts decide on. Holds nothing of a connection.

/// The methods that some route knows; everything else is answered 405 (RFC 9110 section 9).
package enum Method: String, Sendable, CaseIterable {
    case get = "GET"
    case head = "HEAD"
    case options = "OPTIONS"
    case patch = "PATCH"
    case put = "PUT"
    case post = "POST"
    case delete = "DELETE"
}

/// Header fields in order of arrival, names in lower case.
package struct Headers: Sendable, Equatable {
    private(set) var fields: [(name: String, value: String)] = []

    package init(_ fields: [(String, String)] = []) { for (name, value) in fields { add(name, value) } }

    package mutating func add(_ name: String, _ value: String) { fields.append((name.lowercased(), value)) }

    /// The first value of a field. `name` is in lower case.
    package subscript(_ name: String) -> String? { fields.first { $0.name == name }?.value }

    /// All values of a field. `name` is in lower case.
    package func all(_ name: String) -> [String] { fields.filter { $0.name == name }.map(\.value) }

    package static func == (left: Headers, right: Headers) -> Bool {
        left.fields.elementsEqual(right.fields) { $0 == $1 }
    }
}

/// One request, its body complete.
package struct Request: Sendable {
    /// As sent; nil method means one that no route knows.
    package var method: Method?
    package var target: RequestTarget
    package var headers: Headers
    package var body: [UInt8]

    package init(_ method: Method?, _ target: RequestTarget, headers: Headers = Headers(), body: [UInt8] = []) {
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
    }
}

extension Request {
    /// The body's media type without parameters, in lower case; empty where none is given (RFC 9110 section 8.3).
    var mediaType: String {
        (headers["content-type"] ?? "").prefix { $0 != ";" }.lowercased().filter { $0 != " " && $0 != "\t" }
    }
}
