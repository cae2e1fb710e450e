// The highest level of sound between its samples: four times as many are interpolated by the filter of ITU-R BS.1770-5, annex
// 2. libebur128 does the same by 49 taps for each sample that comes; here what can't hold a new peak is not interpolated at
// all.

/// Hears the channels of one track, each contiguous. Allocates when it is made; one thread.
package struct TruePeakMeter: ~Copyable {
    /// Samples that a value between two is made of.
    private static let taps = 12
    /// No value between samples is above the largest around it by more: the sum of the magnitudes of a phase's taps.
    private static let gain: Float = 2.03
    /// Samples that are left out together.
    private static let run = 32

    /// The four phases of a tap side by side.
    private let kernel: UnsafeMutablePointer<Float>
    /// Of each channel the end of the block before, and room for a block.
    private let windows: UnsafeMutablePointer<Float>
    private let length: Int
    private let channels: Int
    /// Since the beginning, of all channels; 1 is full scale.
    package private(set) var peak: Float = 0

    /// - Parameter room: samples of the longest block.
    package init(channels: Int, room: Int) {
        self.channels = max(channels, 0)
        length = Self.taps - 1 + max(room, 0)
        windows = .allocate(capacity: max(self.channels * length, 1))
        windows.initialize(repeating: 0, count: max(self.channels * length, 1))
        kernel = .allocate(capacity: 4 * Self.taps)
        for (tap, phases) in Self.filter.enumerated() {
            for phase in 0..<4 { kernel[4 * tap + phase] = phases[phase] }
        }
    }

    deinit {
        windows.deallocate()
        kernel.deallocate()
    }

    /// Where the samples of a channel's next block go.
    package func window(_ channel: Int) -> UnsafeMutablePointer<Float> { windows + channel * length + Self.taps - 1 }

    /// Hears what was put into the windows.
    /// - Parameter count: samples of each channel, no more than there is room for.
    package mutating func hear(_ count: Int) {
        for channel in 0..<channels {
            let start = windows + channel * length
            search(start, count)
            start.update(from: start + count, count: Self.taps - 1)
        }
    }

    private mutating func search(_ start: UnsafePointer<Float>, _ count: Int) {
        var place = 0
        while place < count {
            let samples = min(Self.run, count - place)
            let highest = highest(start + place, samples + Self.taps - 1)
            if highest * Self.gain > peak { peak = max(peak, highest, interpolated(start + place, samples)) }
            place += samples
        }
    }

    private func highest(_ start: UnsafePointer<Float>, _ count: Int) -> Float {
        var (highest, i): (Float, Int) = (0, 0)
        while i < count {
            let magnitude = abs(start[i])
            if magnitude > highest { highest = magnitude }
            i += 1
        }
        return highest
    }

    /// The highest magnitude between the samples.
    private func interpolated(_ start: UnsafePointer<Float>, _ count: Int) -> Float {
        var (highest, i): (Float, Int) = (0, 0)
        while i < count {
            var (a, b, c, d): (Float, Float, Float, Float) = (0, 0, 0, 0)
            var (sample, tap) = (start + i, UnsafePointer(kernel))
            let end = sample + Self.taps
            while sample < end {
                let value = sample[0]
                a += tap[0] * value
                b += tap[1] * value
                c += tap[2] * value
                d += tap[3] * value
                sample += 1
                tap += 4
            }
            highest = max(highest, max(max(abs(a), abs(b)), max(abs(c), abs(d))))
            i += 1
        }
        return highest
    }

    /// BS.1770-5, annex 2, table 1: of each tap the four phases.
    private static let filter: [[Float]] = [
        [0.001708984375, -0.0291748046875, -0.0189208984375, -0.00830078125],
        [0.010986328125, 0.029296875, 0.0330810546875, 0.014892578125],
        [-0.0196533203125, -0.0517578125, -0.0582275390625, -0.026611328125],
        [0.033203125, 0.089111328125, 0.1015625, 0.047607421875],
        [-0.0594482421875, -0.16650390625, -0.2003173828125, -0.102294921875],
        [0.1373291015625, 0.465087890625, 0.77978515625, 0.97216796875],
        [0.97216796875, 0.77978515625, 0.465087890625, 0.1373291015625],
        [-0.102294921875, -0.2003173828125, -0.16650390625, -0.0594482421875],
        [0.047607421875, 0.1015625, 0.089111328125, 0.033203125],
        [-0.026611328125, -0.0582275390625, -0.0517578125, -0.0196533203125],
        [0.014892578125, 0.0330810546875, 0.029296875, 0.010986328125],
        [-0.00830078125, -0.0189208984375, -0.0291748046875, 0.001708984375],
    ]
}
