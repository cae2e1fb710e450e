// Copies a raw picture from one place to another that has lines of another pitch: decoders pad their pictures otherwise
// than rings do.

extension VideoFormat {
    /// Copies the picture of this pixel format and size that lies at `source` as `planes` say into `room`, laid out as
    /// this format says. Nothing where either is too short.
    package func copy(
        from source: UnsafeRawBufferPointer, as planes: PlaneLayout, into room: UnsafeMutableRawBufferPointer
    ) {
        guard source.count >= planes.size, room.count >= self.planes.size else { return }
        if planes == self.planes {
            UnsafeMutableRawBufferPointer(rebasing: room[..<planes.size]).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: source[..<planes.size]))
            return
        }
        for plane in 0..<pixelFormat.planeCount {
            let line = pixelFormat.lineSize(plane: plane, width: picture.size.width)
            for y in 0..<pixelFormat.lineCount(plane: plane, height: picture.size.height) {
                let from = planes.offsets[plane] + y * planes.strides[plane]
                let to = self.planes.offsets[plane] + y * self.planes.strides[plane]
                UnsafeMutableRawBufferPointer(rebasing: room[to..<(to + line)]).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: source[from..<(from + line)]))
            }
        }
    }
}
