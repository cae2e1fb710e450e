// Where decoders put pictures, and whom encoders give leases back to. A video ring's writer end is such a store.
package import Media

/// Buffers of one format, claimed to be filled in place.
package protocol PictureStore: AnyObject, Sendable {
    /// Constant for the life of the store.
    var format: VideoFormat { get }
    /// A free buffer, held by the caller until released; nil when none is free. Any thread.
    func claim() -> Int32?
    /// The first byte of a buffer. Any thread.
    func address(of buffer: Int32) -> UnsafeMutableRawPointer
    /// Ends the hold of a claim. Any thread.
    func release(_ buffer: Int32)
}

/// Lent pictures out; takes them back.
package protocol PictureLender: AnyObject, Sendable {
    /// The encoder has let go of `buffer`. Any thread.
    func giveBack(_ buffer: Int32)
}
