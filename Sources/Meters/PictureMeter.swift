// What can be said of a picture by a look at a sample of it: whether it is black, and whether anything has moved.
//
// The picture is cut into cells of 16 × 16 pixels, and of each cell two runs of 16 luma samples are read: an eighth of
// the picture, which is what 1/20 of a decoder's time allows. A cell is remembered as the mean of its samples, as a hash of
// them, and as they are: the stroke of a clock's digit moves no mean, but single samples from black to white. Motion is judged against the last pictures that moved, not against the picture before, so that a slow
// pan adds up; a picture that was frozen and encoded again changes a little at each key frame and stays within the
// bounds; noise of a camera on a still scene changes most cells by very little in most pictures, which a frozen
// picture never does.
package import Media

/// Looks at the pictures of one track. Nothing is allocated after `init`; one thread.
package struct PictureMeter {
    /// What a look showed.
    package struct Look: Equatable, Sendable {
        /// At least 98 % of the cells are dark, or 90 % and the rest (a station's logo) doesn't move.
        package let isBlack: Bool
        /// Nothing moved since the picture that `stillSince` names.
        package let isStill: Bool
        /// PTS of the last picture that moved, nanoseconds.
        package let stillSince: Int64
        /// Mean luma of what was looked at, 0 (black of a full range signal) to 255.
        package let brightness: Int
    }

    /// Part of a picture that is not looked at (a running clock); fractions of width and height, from the top left.
    package struct Mask: Hashable, Sendable {
        package let x: Double, y: Double, width: Double, height: Double
        package init(x: Double, y: Double, width: Double, height: Double) {
            (self.x, self.y, self.width, self.height) = (x, y, width, height)
        }
        fileprivate func covers(_ column: Int, _ row: Int, of columns: Int, _ rows: Int) -> Bool {
            let (left, right) = (Double(column) / Double(columns), Double(column + 1) / Double(columns))
            let (top, bottom) = (Double(row) / Double(rows), Double(row + 1) / Double(rows))
            return right > x && left < x + width && bottom > y && top < y + height
        }
    }

    /// As many cells that moved a little are a picture that moved.
    private static let someCells = 3
    /// What a single sample must change by: a digit of a clock makes it more than 200, what an encoder does to a frozen
    /// picture at 2 Mb/s 49.
    private static let strokeChange: UInt8 = 96
    /// Pictures of which one half must show changes in more than 40 % of the cells to be a camera's noise.
    private static let noisePictures = 16

    private let geometry: Geometry
    private let watched: Int
    private var cells: [Cell]
    /// The two runs of each cell, 8 bits a sample: of the last picture that moved, and of the last picture.
    private var reference: [SIMD16<UInt8>]
    private var latest: [SIMD16<UInt8>]
    private var stillSince: Int64?
    /// One bit a picture, the newest lowest: whether so many cells had changed, by little.
    private var noise: UInt32 = 0

    /// Single pictures far apart change by nothing that tells a camera's noise from what an encoder did.
    private let knowsNoise: Bool

    /// - Parameters:
    ///   - masks: what is left out; a cell that one touches is.
    ///   - isSparse: pictures are far apart, such as key frames.
    package init(_ format: VideoFormat, masks: [Mask] = [], isSparse: Bool = false) {
        geometry = Geometry(format)
        knowsNoise = !isSparse
        let (columns, rows) = (geometry.columns, geometry.rows)
        cells = Array(repeating: Cell(), count: columns * rows)
        reference = Array(repeating: SIMD16(), count: 2 * columns * rows)
        latest = reference
        for row in 0..<rows {
            for column in 0..<columns {
                cells[row * columns + column].isMasked = masks.contains { $0.covers(column, row, of: columns, rows) }
            }
        }
        watched = cells.count { !$0.isMasked }
    }

    /// Looks at a picture.
    /// - Parameters:
    ///   - picture: the whole buffer, laid out as the format says.
    ///   - pts: nanoseconds.
    package mutating func look(at picture: UnsafeRawBufferPointer, pts: Int64) -> Look {
        guard let start = picture.baseAddress else { return nothing(pts) }
        return look(from: start + geometry.offset, stride: geometry.stride, pts: pts)
    }

    /// Looks at a picture that lies otherwise than the format says.
    /// - Parameters:
    ///   - plane: the first byte of the plane that luma lies in (green, of red, green and blue), as many lines as the
    ///     picture has.
    ///   - stride: bytes from one line to the next.
    ///   - pts: nanoseconds.
    package mutating func look(atPlane plane: UnsafeRawPointer, stride: Int, pts: Int64) -> Look {
        look(from: plane + geometry.offsetInPlane, stride: stride, pts: pts)
    }

    /// The plane that is looked at.
    package var plane: Int { geometry.plane }

    private func nothing(_ pts: Int64) -> Look {
        Look(isBlack: false, isStill: false, stillSince: pts, brightness: 0)
    }

    private mutating func look(from start: UnsafeRawPointer, stride: Int, pts: Int64) -> Look {
        guard watched > 0 else { return nothing(pts) }
        let tally = read(start, stride)
        let isFirst = stillSince == nil
        let isMotion = tally.large > 0 || tally.some >= Self.someCells || tally.hasStroke
        noise = noise << 1 | (!isMotion && tally.changed * 10 > watched * 4 ? 1 : 0)
        let recent = noise & (1 << Self.noisePictures - 1)
        let hasMoved = isFirst || isMotion || knowsNoise && recent.nonzeroBitCount * 2 >= Self.noisePictures
        if hasMoved {
            stillSince = pts
            remember()
        }
        let isDark = tally.dark * 50 >= watched * 49
        let isDarkWithLogo = tally.dark * 10 >= watched * 9 && tally.brightMotion == 0 && !isFirst
        return Look(
            isBlack: isDark || isDarkWithLogo, isStill: !hasMoved, stillSince: stillSince ?? pts,
            brightness: tally.brightness / (watched * Geometry.samples))
    }

    private mutating func read(_ start: UnsafeRawPointer, _ stride: Int) -> Tally {
        let geometry = geometry
        var tally = Tally()
        // Without the checks of arrays: this is what the time of a look goes to.
        var beyond = SIMD8<UInt16>()
        let weights = Weights()
        cells.withUnsafeMutableBufferPointer { cells in
            reference.withUnsafeBufferPointer { reference in
                latest.withUnsafeMutableBufferPointer { latest in
                    for row in 0..<geometry.rows {
                        let line = start + row * Geometry.side * stride
                        for column in 0..<geometry.columns {
                            let index = row * geometry.columns + column
                            guard !cells[index].isMasked else { continue }
                            let place = line + column * Geometry.side * geometry.step
                            let upper = geometry.samples(place + Geometry.lines.0 * stride)
                            let lower = geometry.samples(place + Geometry.lines.1 * stride)
                            latest[2 * index] = upper
                            latest[2 * index + 1] = lower
                            let run = Run(upper, lower)
                            beyond |= run.beyond(
                                Self.strokeChange, from: Run(reference[2 * index], reference[2 * index + 1]))
                            tally.count(&cells[index], run.sum, run.hash(weights), darkest: geometry.darkest)
                        }
                    }
                }
            }
        }
        tally.hasStroke = beyond.max() & Run.sign != 0
        return tally
    }

    /// Takes this picture as the one that later ones are compared with.
    private mutating func remember() {
        for index in cells.indices { cells[index].reference = cells[index].latest }
        swap(&reference, &latest)
    }
}

/// The samples of a cell, in words of which each has one: what the compiler has instructions for, where it calls functions
/// for most of what there is for vectors of bytes.
private struct Run {
    private let words: (SIMD8<UInt16>, SIMD8<UInt16>, SIMD8<UInt16>, SIMD8<UInt16>)
    static let sign: UInt16 = 0x8000

    @inline(__always) init(_ upper: SIMD16<UInt8>, _ lower: SIMD16<UInt8>) {
        let (a, b) = (unsafeBitCast(upper, to: SIMD8<UInt16>.self), unsafeBitCast(lower, to: SIMD8<UInt16>.self))
        words = (a & 0xFF, a &>> 8, b & 0xFF, b &>> 8)
    }

    @inline(__always) var sum: UInt16 { (words.0 &+ words.1 &+ words.2 &+ words.3).sum }

    @inline(__always) func hash(_ weights: Weights) -> UInt16 {
        (words.0 &* weights.words.0 &+ words.1 &* weights.words.1 &+ words.2 &* weights.words.2 &+ words.3
            &* weights.words.3).sum
    }

    /// The sign of a word is set where a sample differs by more than `distance` either way.
    @inline(__always) func beyond(_ distance: UInt8, from other: Run) -> SIMD8<UInt16> {
        let limit = SIMD8<UInt16>(repeating: UInt16(distance))
        @inline(__always) func signs(_ a: SIMD8<UInt16>, _ b: SIMD8<UInt16>) -> SIMD8<UInt16> {
            let change = a &- b
            return (limit &- change) | (limit &+ change)
        }
        return signs(words.0, other.words.0) | signs(words.1, other.words.1) | signs(words.2, other.words.2)
            | signs(words.3, other.words.3)
    }
}

/// Of a cell's hash. Odd, and different: samples that change places change it.
private struct Weights {
    let words: (SIMD8<UInt16>, SIMD8<UInt16>, SIMD8<UInt16>, SIMD8<UInt16>) = (
        SIMD8(0x9E37, 0x85EB, 0xC2B3, 0x27D5, 0x1657, 0xD3A3, 0x7F4B, 0x4F1D),
        SIMD8(0x6A09, 0xBB67, 0x3C6F, 0xA54F, 0x510F, 0x9B05, 0x1F83, 0x5BE1),
        SIMD8(0xCBBB, 0x629B, 0x9159, 0x152F, 0x6733, 0x8EB5, 0xDB0D, 0x47B5),
        SIMD8(0xAE5F, 0x2F8B, 0xE6D1, 0x7137, 0xB5C1, 0x3957, 0x59F1, 0x923F)
    )
}

extension SIMD8<UInt16> {
    /// Of all words, as `wrappedSum`, for which a function is called.
    @inline(__always) fileprivate var sum: UInt16 {
        let four = lowHalf &+ highHalf
        let two = four.lowHalf &+ four.highHalf
        return two.x &+ two.y
    }
}

/// What is remembered of a part of the picture.
private struct Cell {
    /// Sum of the samples, 8 bits each, of the last picture that moved.
    var reference: UInt16 = 0
    /// The same of the last picture, and a hash of its samples.
    var latest: UInt16 = 0
    var hash: UInt16 = 0
    var isMasked = false
}

/// What the cells showed beside what is remembered of them.
private struct Tally {
    var dark = 0, some = 0, large = 0, changed = 0
    var brightness = 0
    /// Whether a single sample has changed by so much that it is motion.
    var hasStroke = false
    /// Cells that are not dark and have moved.
    var brightMotion = 0

    /// What a cell's mean must change by to be one of few that moved, or the only one; levels of 255.
    private static let (someChange, largeChange) = (8 * Geometry.samples, 24 * Geometry.samples)

    @inline(__always)
    mutating func count(_ cell: inout Cell, _ sum: UInt16, _ hash: UInt16, darkest: UInt16) {
        let change = abs(Int(sum) - Int(cell.reference))
        let isSome = change > Self.someChange
        brightness += Int(sum)
        dark += sum <= darkest ? 1 : 0
        brightMotion += isSome && sum > darkest ? 1 : 0
        some += isSome ? 1 : 0
        large += change > Self.largeChange ? 1 : 0
        changed += hash != cell.hash ? 1 : 0
        (cell.latest, cell.hash) = (sum, hash)
    }
}

/// Where the samples of a format lie.
private struct Geometry {
    /// Side of a cell, and samples in a run.
    static let side = 16
    /// Lines of a cell that are read.
    static let lines = (4, 11)
    static let samples = 32

    let rows: Int, columns: Int
    let plane: Int
    /// Bytes: from the start of the buffer, and from that of the plane.
    let offset: Int, offsetInPlane: Int
    let stride: Int, step: Int
    private let word: Int
    /// Bits beyond eight, and those that the format is shifted up by.
    private let excess: UInt16
    /// Sum of a cell that is no more than dark.
    let darkest: UInt16

    init(_ format: VideoFormat) {
        let pixel = format.pixelFormat
        // Of red, green and blue, green is what luma is mostly made of.
        let luma = pixel.components[pixel.isRGB ? 1 : 0]
        (plane, offsetInPlane) = (luma.plane, luma.offset)
        offset = format.planes.offsets[luma.plane] + luma.offset
        stride = format.planes.strides[luma.plane]
        (step, word) = (luma.step, pixel.wordSize)
        excess = UInt16(pixel.bits - 8 + luma.shift)
        (columns, rows) = (format.picture.size.width / Self.side, format.picture.size.height / Self.side)
        // A tenth of the way from black to white.
        let isFull = pixel.isRGB || format.picture.colour.range == 2
        darkest = UInt16((isFull ? 25 : 38) * Self.samples)
    }

    /// A run of samples, 8 bits each.
    @inline(__always)
    func samples(_ place: UnsafeRawPointer) -> SIMD16<UInt8> {
        if word == 1, step == 1 { return place.loadUnaligned(as: SIMD16<UInt8>.self) }
        var run = SIMD16<UInt8>()
        for i in run.indices {
            let sample = place + i * step
            run[i] =
                word == 1
                ? sample.load(as: UInt8.self)
                : UInt8(truncatingIfNeeded: min(255, sample.loadUnaligned(as: UInt16.self) >> excess))
        }
        return run
    }
}
