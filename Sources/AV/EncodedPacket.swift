// A packet that an encoder lends.
package struct EncodedPacket {
    /// In normal form; at least 64 bytes behind it can be read. Valid until the encoder receives again.
    package let bytes: UnsafeRawBufferPointer
    /// Nanoseconds on the timeline of what was sent.
    package let pts: Int64
    package let dts: Int64
    package let duration: Int64
    /// As sent with the picture; 0 for sound.
    package let token: Int64
    package let isKey: Bool
    package let isDisposable: Bool

    /// What there is before the first packet.
    static var none: EncodedPacket {
        EncodedPacket(
            bytes: UnsafeRawBufferPointer(start: nil, count: 0), pts: 0, dts: 0, duration: 0, token: 0, isKey: false,
            isDisposable: false)
    }
}

/// What receiving from an encoder came to.
package enum EncoderOutcome: Sendable {
    /// With `formatChanged`, `format` has become another: parameter sets that were known only with the first packet.
    case packet(formatChanged: Bool)
    /// Send first.
    case none
    /// All that was sent before `finish` has been received.
    case end
    case failed(AVFault)
}
