// Sound of one format into blocks of another that join on without a gap, each with the time of its first sample.
internal import CFFmpeg
package import Media

/// Converts sound and cuts it into blocks of `target.blockSamples`. One thread at a time.
package struct SoundReblocker: ~Copyable {
    private var gatherer: SampleGatherer
    private let source: AudioFormat
    private let target: AudioFormat
    /// Time of the sample that `taken` counts from, nanoseconds; nil until sound comes.
    private var origin: Int64?
    /// Samples that were given out since `origin`.
    private var taken: Int64 = 0

    /// - Throws: where libswresample can't do it.
    package init(from source: AudioFormat, to target: AudioFormat) throws(AVFault) {
        let gatherer = try SampleGatherer(from: source, to: target, frameSamples: target.blockSamples)
        (self.source, self.target) = (source, target)
        self.gatherer = gatherer
    }

    /// Where sound that joins on begins, nanoseconds; nil before the first and after `finish`.
    package var expected: Int64? { origin.map { $0 &+ time(of: taken + Int64(gatherer.count)) } }

    private func time(of samples: Int64) -> Int64 { MediaTime(ticks: samples, timeBase: target.timeBase).nanoseconds }

    /// Adds `samples` of each channel at `base`; the first begin at `pts` (nanoseconds), the others join on. False where
    /// memory is out.
    package mutating func add(_ base: UnsafeRawPointer, samples: Int, pts: Int64) -> Bool {
        guard (0...source.blockSamples).contains(samples) else { return false }
        if origin == nil { (origin, taken) = (pts, 0) }
        return gatherer.add(base, samples)
    }

    /// Sound breaks off here: what is held becomes a last block, filled up with silence. To be taken before more is added.
    package mutating func finish() -> Bool {
        guard gatherer.drain() else { return false }
        let rest = gatherer.count % target.blockSamples
        return rest == 0 || gatherer.addSilence(target.blockSamples - rest)
    }

    /// Another time begins: `finish`, take what there is, then this.
    package mutating func restart() { origin = nil }

    /// Whether a block is there to be taken.
    package var hasBlock: Bool { gatherer.count >= target.blockSamples }

    /// Time of the next block's first sample, nanoseconds; nil before sound comes.
    package var nextStart: Int64? { origin.map { $0 &+ time(of: taken) } }

    /// Moves the next block to `base`, laid out as the target's format says. False where there is none.
    package mutating func take(into base: UnsafeMutableRawPointer) -> Bool {
        guard hasBlock, gatherer.take(target.blockSamples, into: base) else { return false }
        taken += Int64(target.blockSamples)
        return true
    }

    /// Leaves the next block out; time goes on.
    package mutating func skip() {
        guard hasBlock else { return }
        gatherer.drop(target.blockSamples)
        taken += Int64(target.blockSamples)
    }
}
