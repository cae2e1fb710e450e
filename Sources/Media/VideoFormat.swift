// Raw video: geometry, colour and how a picture lies in a buffer.

/// The order of fields in a frame (ISO/IEC 23091-2 leaves it to the container; raw values as in the ring layout).
public enum FieldOrder: UInt32, Sendable, CaseIterable {
    case unknown = 0
    case progressive, topFirst, bottomFirst
}

/// Colour description; the numbers are the code points of ISO/IEC 23091-2 (H.273), 2 is "unspecified".
public struct ColourTags: Hashable, Sendable {
    public var primaries: UInt32 = 2
    public var transfer: UInt32 = 2
    public var matrix: UInt32 = 2
    /// 0 unknown, 1 limited (16…235), 2 full.
    public var range: UInt32 = 0
    /// libav's AVChromaLocation, 0 unknown, 1 left.
    public var chromaLocation: UInt32 = 0

    public init() {}

    /// BT.709, limited range, chroma sited left: what HD is unless told otherwise.
    public static var bt709: ColourTags {
        var tags = ColourTags()
        (tags.primaries, tags.transfer, tags.matrix, tags.range, tags.chromaLocation) = (1, 1, 1, 1, 1)
        return tags
    }
}

/// Static HDR metadata: SMPTE ST 2086 mastering display and CTA-861.3 content light levels.
public struct HDRMetadata: Hashable, Sendable {
    public struct Chromaticity: Hashable, Sendable {
        /// CIE 1931 coordinates in units of 0.00002.
        public var x: UInt16, y: UInt16
        public init(x: UInt16, y: UInt16) {
            self.x = x
            self.y = y
        }
    }
    public struct MasteringDisplay: Hashable, Sendable {
        public var red: Chromaticity, green: Chromaticity, blue: Chromaticity, white: Chromaticity
        /// In units of 0.0001 cd/m².
        public var maximumLuminance: UInt32, minimumLuminance: UInt32
        public init(
            red: Chromaticity, green: Chromaticity, blue: Chromaticity, white: Chromaticity,
            maximumLuminance: UInt32, minimumLuminance: UInt32
        ) {
            self.red = red
            self.green = green
            self.blue = blue
            self.white = white
            self.maximumLuminance = maximumLuminance
            self.minimumLuminance = minimumLuminance
        }
    }
    public struct ContentLight: Hashable, Sendable {
        /// MaxCLL and MaxFALL, cd/m².
        public var maximum: UInt16, maximumAverage: UInt16
        public init(maximum: UInt16, maximumAverage: UInt16) {
            self.maximum = maximum
            self.maximumAverage = maximumAverage
        }
    }
    public var masteringDisplay: MasteringDisplay?
    public var contentLight: ContentLight?
    public init(masteringDisplay: MasteringDisplay? = nil, contentLight: ContentLight? = nil) {
        self.masteringDisplay = masteringDisplay
        self.contentLight = contentLight
    }
}

/// What raw and coded video share: the picture as it is to be shown.
public struct PictureFormat: Hashable, Sendable {
    /// Displayed, pixels.
    public var size: PictureSize
    /// Nil where it is not known.
    public var rate: FrameRate?
    public var sampleAspect: Rational?
    public var fieldOrder: FieldOrder
    public var colour: ColourTags
    public var hdr: HDRMetadata

    public init(
        size: PictureSize, rate: FrameRate?, sampleAspect: Rational? = nil, fieldOrder: FieldOrder = .progressive,
        colour: ColourTags = ColourTags(), hdr: HDRMetadata = HDRMetadata()
    ) {
        self.size = size
        self.rate = rate
        self.sampleAspect = sampleAspect
        self.fieldOrder = fieldOrder
        self.colour = colour
        self.hdr = hdr
    }
}

/// Where the planes of a picture lie in a buffer.
public struct PlaneLayout: Hashable, Sendable {
    /// Bytes from the start of the buffer, multiples of 64.
    public var offsets: [Int]
    /// Bytes from one line to the next, multiples of 64.
    public var strides: [Int]
    /// Bytes of the whole picture.
    public var size: Int

    public init(offsets: [Int], strides: [Int], size: Int) {
        self.offsets = offsets
        self.strides = strides
        self.size = size
    }

    /// The plain layout of a picture `width` × `height`: lines padded to 64 bytes, planes one after the other.
    /// `spare` bytes stand behind each plane, since SIMD code of decoders and scalers may touch beyond a plane's end.
    public init(_ format: PixelFormat, width: Int, height: Int, spare: Int = 64) {
        offsets = []
        strides = []
        size = 0
        for plane in 0..<format.planeCount {
            let stride = (format.lineSize(plane: plane, width: width) + 63) & ~63
            offsets.append(size)
            strides.append(stride)
            size += (stride * format.lineCount(plane: plane, height: height) + spare + 63) & ~63
        }
    }
}

/// The format of a raw video ring.
public struct VideoFormat: Hashable, Sendable, CustomStringConvertible {
    public var picture: PictureFormat
    public var pixelFormat: PixelFormat
    /// Allocated, pixels: decoders want more than is shown.
    public var codedSize: PictureSize
    public var planes: PlaneLayout

    /// - Parameter codedSize: defaults to the displayed size.
    public init(
        picture: PictureFormat, pixelFormat: PixelFormat, codedSize: PictureSize? = nil, planes: PlaneLayout? = nil
    ) {
        let coded = codedSize ?? picture.size
        self.picture = picture
        self.pixelFormat = pixelFormat
        self.codedSize = coded
        self.planes = planes ?? PlaneLayout(pixelFormat, width: coded.width, height: coded.height)
    }

    public var description: String {
        let rate = picture.rate.map { " \($0) fps" } ?? ""
        let interlaced = picture.fieldOrder == .topFirst || picture.fieldOrder == .bottomFirst
        return "\(picture.size) \(pixelFormat)\(rate)\(interlaced ? " interlaced" : "")"
    }
}
