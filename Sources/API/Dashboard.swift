// The page at `/`: one self-contained file, compiled into the program (Resources/dashboard.html).

/// The dashboard as a representation, made once.
enum Dashboard {
    static let representation: Representation = {
        let bytes = SharedBytes(PackageResources.dashboard_html)
        return Representation(
            body: .memory(bytes, 0..<bytes.count), contentType: "text/html; charset=utf-8", caching: .noCache,
            entityTag: tag(of: PackageResources.dashboard_html))
    }()

    /// What the page may do: talk to this server and play its media, nothing else; nobody may frame it.
    static let contentSecurityPolicy = """
        default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; \
        media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'
        """

    /// FNV-1a, 64 bits: tells one build's page from another's.
    private static func tag(of bytes: [UInt8]) -> String {
        String(bytes.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }, radix: 16)
    }
}
