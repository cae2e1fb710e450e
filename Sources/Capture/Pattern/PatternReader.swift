// Reads back what the pattern source burned in: frame numbers and flashes from pictures, beeps from sound. For tests
// and benchmarks, which get both from any player's pipe. Pure functions, any thread.
package import Media

/// A reader of 8-bit pictures whose luma plane comes first with no padding: `gray` or `yuv420p` as `ffmpeg -f rawvideo`
/// writes them.
package struct PatternReader: Sendable {
    /// What one picture says.
    package struct Picture: Hashable, Sendable {
        /// The burned number, nil where its check byte is wrong.
        package let number: UInt32?
        package let isFlash: Bool

        package init(number: UInt32?, isFlash: Bool) {
            self.number = number
            self.isFlash = isFlash
        }
    }

    /// Of the pictures that are read, and of those that were painted.
    package let size: PictureSize, painted: PictureSize

    /// - Parameter painted: where the pictures have been scaled since, the size that the pattern had.
    package init(size: PictureSize, painted: PictureSize? = nil) {
        self.size = size
        self.painted = painted ?? size
    }

    /// Reads one picture; both answers are negative for one that is too short to hold the luma plane.
    package func read(_ picture: Span<UInt8>) -> Picture {
        guard picture.count >= size.width * size.height else { return Picture(number: nil, isFlash: false) }
        let number = FrameNumber.read(width: painted.width) { x, y in
            Int(picture[y * size.height / painted.height * size.width + x * size.width / painted.width])
        }
        return Picture(number: number, isFlash: isFlash(picture))
    }

    /// A flash is white all over, below the frame number: 24 x 24 points, at most one in 16 darker than luma 200.
    private func isFlash(_ picture: Span<UInt8>) -> Bool {
        let row = FrameNumber.side(width: painted.width) * size.height / painted.height
        let top = min(row + 4, size.height - 1)
        var dark = 0
        for row in 0..<24 {
            let y = top + (size.height - top) * row / 24
            for column in 0..<24 where picture[y * size.width + size.width * column / 24] < 200 { dark += 1 }
        }
        return dark <= 36
    }

    /// The samples on which beeps begin, in one channel of `f32` sound.
    package static func beeps(_ samples: Span<Float>, sampleRate: Int) -> [Int] {
        onsets(count: samples.count, sampleRate: sampleRate) { samples[$0].magnitude }
    }

    /// The samples on which beeps begin, in one channel of `s16` sound.
    package static func beeps(_ samples: Span<Int16>, sampleRate: Int) -> [Int] {
        onsets(count: samples.count, sampleRate: sampleRate) { Float(samples[$0].magnitude) / 32768 }
    }

    /// A beep begins at the crest of its wave, so its first sample is the first at half the beep's level or above; a
    /// codec's band limit turns the edge symmetrically about that point. The sweep stays 14 dB below. Levels are taken
    /// from the loudest sample, since a down-mix may have changed them.
    private static func onsets(count: Int, sampleRate: Int, level: (Int) -> Float) -> [Int] {
        var peak: Float = 0
        for index in 0..<count { peak = max(peak, level(index)) }
        guard peak > 0.05 else { return [] }
        var found: [Int] = []
        var lastLoud = -sampleRate
        for index in 0..<count where level(index) >= peak / 2 {
            if index - lastLoud > sampleRate / 10 { found.append(index) }
            lastLoud = index
        }
        return found
    }
}
