// Drawing rectangles into a picture of any pixel format of Media's table.
//
// A canvas is geometry only; the memory is lent to each call. Invariant: nothing is written outside the displayed
// size, whatever rectangle is asked for. No call allocates. Pure values, any thread.
import CLinux
internal import Media

/// A rectangle of pixels: columns and lines.
struct PatternArea {
    var x: Range<Int>
    var y: Range<Int>

    init(x: Range<Int>, y: Range<Int>) {
        self.x = x
        self.y = y
    }
}

/// The code values of one colour in the components' order (Y, Cb, Cr or R, G, B, then A), not yet shifted.
typealias PatternInk = SIMD4<UInt16>

/// Where the samples of a picture lie, and how rectangles of them are filled.
struct PatternCanvas: Sendable {
    /// Where one component of the picture lies.
    private struct Lane {
        /// Bytes from the start of the picture to the first sample, from line to line, from sample to sample.
        var offset = 0, stride = 0, step = 0
        var shift = 0, shiftX = 0, shiftY = 0
        var isWide = false
    }

    let width: Int, height: Int
    private var lanes = InlineArray<4, Lane>(repeating: Lane())
    private let laneCount: Int
    /// Lanes that tell greys apart: luma alone, or R, G and B.
    private let greyLanes: Int

    /// - Parameter size: what is drawn on, at most the format's coded size.
    init(_ format: VideoFormat, size: PictureSize) {
        let pixel = format.pixelFormat
        (width, height) = (size.width, size.height)
        laneCount = pixel.components.count
        greyLanes = pixel.isRGB ? 3 : 1
        for (index, component) in pixel.components.enumerated() {
            let isChroma = !pixel.isRGB && (1...2).contains(index)
            lanes[index] = Lane(
                offset: format.planes.offsets[component.plane] + component.offset,
                stride: format.planes.strides[component.plane], step: component.step, shift: component.shift,
                shiftX: isChroma ? pixel.chromaShiftX : 0, shiftY: isChroma ? pixel.chromaShiftY : 0,
                isWide: pixel.wordSize == 2)
        }
    }

    /// Fills `area` with `ink`. Subsampled chroma is filled wherever the area touches it.
    func fill(_ area: PatternArea, _ ink: PatternInk, in memory: UnsafeMutableRawPointer) {
        fill(area, ink, lanes: laneCount, every: 1, in: memory)
    }

    /// Fills `area`, whose chroma is neutral already, with a grey: the chroma is left alone.
    /// - Parameter every: 2 fills every other line, from the area's first line on: one field.
    func fillGrey(_ area: PatternArea, _ ink: PatternInk, every: Int = 1, in memory: UnsafeMutableRawPointer) {
        fill(area, ink, lanes: greyLanes, every: every, in: memory)
    }

    /// Copies the area's first line over its others.
    func repeatFirstLine(of area: PatternArea, in memory: UnsafeMutableRawPointer) {
        let area = clip(area)
        guard !area.x.isEmpty, !area.y.isEmpty else { return }
        for index in 0..<laneCount { repeatFirstLine(of: area, lanes[index], every: 1, in: memory) }
    }

    private func fill(
        _ area: PatternArea, _ ink: PatternInk, lanes count: Int, every: Int, in memory: UnsafeMutableRawPointer
    ) {
        let area = clip(area)
        guard !area.x.isEmpty, !area.y.isEmpty else { return }
        // First lines of all components before any line is copied: packed formats have them in the same bytes.
        for index in 0..<count { writeFirstLine(of: area, lanes[index], ink[index], in: memory) }
        for index in 0..<count { repeatFirstLine(of: area, lanes[index], every: every, in: memory) }
    }

    private func clip(_ area: PatternArea) -> PatternArea {
        PatternArea(x: area.x.clamped(to: 0..<width), y: area.y.clamped(to: 0..<height))
    }

    private func writeFirstLine(
        of area: PatternArea, _ lane: Lane, _ code: UInt16, in memory: UnsafeMutableRawPointer
    ) {
        let samples = shifted(area.x, by: lane.shiftX)
        let line = memory + lane.offset + (area.y.lowerBound >> lane.shiftY) * lane.stride
        if lane.isWide {
            let word = (code << UInt16(lane.shift)).littleEndian
            for sample in samples { line.storeBytes(of: word, toByteOffset: sample * lane.step, as: UInt16.self) }
        } else if lane.step == 1 {
            memset(line + samples.lowerBound, Int32(code), samples.count)
        } else {
            let byte = UInt8(truncatingIfNeeded: code)
            for sample in samples { line.storeBytes(of: byte, toByteOffset: sample * lane.step, as: UInt8.self) }
        }
    }

    private func repeatFirstLine(of area: PatternArea, _ lane: Lane, every: Int, in memory: UnsafeMutableRawPointer) {
        let samples = shifted(area.x, by: lane.shiftX)
        let lines = shifted(area.y, by: lane.shiftY)
        let start = memory + lane.offset + samples.lowerBound * lane.step
        let bytes = (samples.count - 1) * lane.step + (lane.isWide ? 2 : 1)
        let first = start + lines.lowerBound * lane.stride
        var line = lines.lowerBound + every
        while line < lines.upperBound {
            memcpy(start + line * lane.stride, first, bytes)
            line += every
        }
    }

    /// The samples that cover `pixels` where each stands for 2^`shift` of them.
    private func shifted(_ pixels: Range<Int>, by shift: Int) -> Range<Int> {
        pixels.lowerBound >> shift..<(pixels.upperBound + (1 << shift) - 1) >> shift
    }
}
