// What the checker says.

/// A breach of RFC 8216 (or of ISO/IEC 14496-12 in a segment).
package struct Finding: Hashable, Sendable, CustomStringConvertible {
    /// Of RFC 8216, as "6.2.2".
    package var section: String
    /// The playlist or segment, relative to the multivariant playlist.
    package var resource: String
    package var message: String

    package var description: String { "RFC 8216 \(section): \(resource): \(message)" }
}
