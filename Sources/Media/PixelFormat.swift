// The pixel formats that rings carry: libav's names, and where each component of a pixel lies.

/// A pixel format by libav's name. Only formats of this table travel in rings; a test compares it with libav's own.
public struct PixelFormat: Hashable, Sendable, CustomStringConvertible {
    /// Where one component (Y, Cb, Cr or R, G, B, A) of a pixel lies.
    public struct Component: Hashable, Sendable {
        /// Index of the plane.
        public let plane: Int
        /// Bytes from one sample of this component to the next.
        public let step: Int
        /// Bytes from the start of the line to the first sample.
        public let offset: Int
        /// Bits that a sample is shifted up within its 8- or 16-bit word.
        public let shift: Int
    }

    /// libav's name, as in `ffmpeg -pix_fmts`.
    public let name: String
    /// Significant bits of a sample.
    public let bits: Int
    /// log2 of the horizontal and vertical chroma subsampling.
    public let chromaShiftX: Int, chromaShiftY: Int
    public let isRGB: Bool
    /// Y, Cb, Cr (or R, G, B), then A where there is one.
    public let components: [Component]

    public var description: String { name }
    public var planeCount: Int { (components.map { $0.plane }.max() ?? 0) + 1 }
    /// Bytes of a sample's word.
    public var wordSize: Int { bits > 8 ? 2 : 1 }

    public static func == (a: PixelFormat, b: PixelFormat) -> Bool {
        a.name.utf8.elementsEqual(b.name.utf8)
    }
    public func hash(into hasher: inout Hasher) { hasher.combine(name) }

    /// Finds a format by libav's name.
    public init?(_ name: some StringProtocol) {
        // By bytes: names are ASCII, and comparing text by Unicode's rules would put its tables into the C library.
        guard let known = Self.all.first(where: { $0.name.utf8.elementsEqual(name.utf8) }) else { return nil }
        self = known
    }

    /// Whether `plane` holds only subsampled chroma.
    public func isChroma(plane: Int) -> Bool {
        !isRGB && components.enumerated().contains { (1...2).contains($0.offset) && $0.element.plane == plane }
            && !components.enumerated().contains { $0.offset == 0 && $0.element.plane == plane }
    }

    /// Bytes of one line of `plane` in a picture `width` pixels wide, without padding.
    public func lineSize(plane: Int, width: Int) -> Int {
        let pairs = (width + (1 << chromaShiftX) - 1) >> chromaShiftX
        let steps = components.lazy.filter { $0.plane == plane }.map { $0.step }
        if isChroma(plane: plane) { return pairs * (steps.min() ?? wordSize) }
        // Packed 4:2:2 keeps two pixels in four bytes, the step of its chroma: an odd width takes a whole pair more.
        let isPackedPairs = planeCount == 1 && chromaShiftX == 1
        return isPackedPairs ? pairs * (steps.max() ?? wordSize) : width * (steps.min() ?? wordSize)
    }

    /// Lines of `plane` in a picture `height` pixels high.
    public func lineCount(plane: Int, height: Int) -> Int {
        isChroma(plane: plane) ? (height + (1 << chromaShiftY) - 1) >> chromaShiftY : height
    }
}

extension PixelFormat {
    /// Every format that rings carry, in the order in which `patchbay kinds` lists them.
    public static let all: [PixelFormat] =
        planar() + [
            semiPlanar("nv12", 8, 1, 1), semiPlanar("nv16", 8, 1, 0), semiPlanar("p010le", 10, 1, 1, shift: 6),
            semiPlanar("p210le", 10, 1, 0, shift: 6),
            packed("uyvy422", 8, false, 1, [(2, 1), (4, 0), (4, 2)]),
            packed("yuyv422", 8, false, 1, [(2, 0), (4, 1), (4, 3)]),
            packed("rgb24", 8, true, 0, [(3, 0), (3, 1), (3, 2)]),
            packed("bgr24", 8, true, 0, [(3, 2), (3, 1), (3, 0)]),
            packed("rgba", 8, true, 0, [(4, 0), (4, 1), (4, 2), (4, 3)]),
            packed("bgra", 8, true, 0, [(4, 2), (4, 1), (4, 0), (4, 3)]),
            packed("gray", 8, false, 0, [(1, 0)]),
            packed("gray10le", 10, false, 0, [(2, 0)]),
        ]

    public static let yuv420p = planar("yuv420p", 8, 1, 1, order: [0, 1, 2], isRGB: false)

    private static func planar() -> [PixelFormat] {
        var formats: [PixelFormat] = []
        for (bits, suffix) in [(8, ""), (10, "10le"), (12, "12le")] {
            for (chroma, x, y) in [("420", 1, 1), ("422", 1, 0), ("444", 0, 0)] {
                formats.append(planar("yuv\(chroma)p\(suffix)", bits, x, y, order: [0, 1, 2], isRGB: false))
            }
        }
        formats.append(planar("yuva420p", 8, 1, 1, order: [0, 1, 2, 3], isRGB: false))
        for (bits, suffix) in [(8, ""), (10, "10le")] {
            formats.append(planar("gbrp\(suffix)", bits, 0, 0, order: [2, 0, 1], isRGB: true))
        }
        return formats
    }

    private static func planar(
        _ name: String, _ bits: Int, _ x: Int, _ y: Int, order: [Int], isRGB: Bool
    ) -> PixelFormat {
        let step = bits > 8 ? 2 : 1
        return PixelFormat(
            name: name, bits: bits, chromaShiftX: x, chromaShiftY: y, isRGB: isRGB,
            components: order.map { Component(plane: $0, step: step, offset: 0, shift: 0) })
    }

    private static func semiPlanar(_ name: String, _ bits: Int, _ x: Int, _ y: Int, shift: Int = 0) -> PixelFormat {
        let word = bits > 8 ? 2 : 1
        return PixelFormat(
            name: name, bits: bits, chromaShiftX: x, chromaShiftY: y, isRGB: false,
            components: [
                Component(plane: 0, step: word, offset: 0, shift: shift),
                Component(plane: 1, step: 2 * word, offset: 0, shift: shift),
                Component(plane: 1, step: 2 * word, offset: word, shift: shift),
            ])
    }

    private static func packed(
        _ name: String, _ bits: Int, _ isRGB: Bool, _ x: Int, _ components: [(step: Int, offset: Int)]
    ) -> PixelFormat {
        PixelFormat(
            name: name, bits: bits, chromaShiftX: x, chromaShiftY: 0, isRGB: isRGB,
            components: components.map { Component(plane: 0, step: $0.step, offset: $0.offset, shift: 0) })
    }

    private init(name: String, bits: Int, chromaShiftX: Int, chromaShiftY: Int, isRGB: Bool, components: [Component]) {
        self.name = name
        self.bits = bits
        self.chromaShiftX = chromaShiftX
        self.chromaShiftY = chromaShiftY
        self.isRGB = isRGB
        self.components = components
    }
}
