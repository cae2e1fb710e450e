// One input's pictures: those that wait, leased where they lie, and how they become the output's. On the node's lane.
import AV
import Engine
import Media
import Rings

/// Carries a non-copyable scaler.
private final class ScalerBox {
    let scaler: PictureScaler
    init(_ scaler: consuming PictureScaler) { self.scaler = scaler }
}

/// How pictures of one format become those of another: copied, or converted.
final class PictureFit {
    private let source: VideoFormat
    private let target: VideoFormat
    private let box: ScalerBox?
    var isConversion: Bool { box != nil }
    var description: String { "\(source) to \(target)" }

    init(from source: VideoFormat, to target: VideoFormat) throws(AVFault) {
        (self.source, self.target) = (source, target)
        let isSame = source.picture.size == target.picture.size && source.pixelFormat == target.pixelFormat
        box = isSame ? nil : ScalerBox(try PictureScaler(from: source, to: target))
    }

    /// - Returns: false where the grain is shorter than its format says.
    func write(_ bytes: UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer) -> Bool {
        guard let base = bytes.baseAddress, let start = room.baseAddress, bytes.count >= source.planes.size,
            room.count >= target.planes.size
        else { return false }
        if let box {
            box.scaler.convert(base, into: start)
        } else {
            target.copy(from: bytes, as: source.planes, into: room)
        }
        return true
    }
}

/// A leased picture and how it is shown: its input may have another format by then.
struct HeldPicture: ~Copyable {
    let lease: FrameLease
    /// Nil while the output's format is open.
    let fit: PictureFit?
}

final class PictureFeed {
    let name: String
    let inlet: Inlet
    /// What the input gives; nil before it gives anything.
    private(set) var format: VideoFormat?
    /// Nil while the output's format is open, and for pictures that can't be shown.
    private(set) var fit: PictureFit?
    /// Why they can't.
    private(set) var refusal: String?
    // At most three wait (PictureSwitch.queueLimit).
    private var first: HeldPicture?
    private var second: HeldPicture?
    private var third: HeldPicture?

    init(_ name: String, _ inlet: Inlet) {
        (self.name, self.inlet) = (name, inlet)
        // Three that wait, the one that was shown last, the one that is being taken.
        inlet.declare(leases: PictureSwitch.queueLimit + 2)
    }

    func append(_ lease: consuming FrameLease) {
        let held = HeldPicture(lease: lease, fit: fit)
        if first == nil {
            first = consume held
        } else if second == nil {
            second = consume held
        } else {
            third = consume held
        }
    }

    func takeOldest() -> HeldPicture? {
        let oldest = first.take()
        first = second.take()
        second = third.take()
        return oldest
    }

    func close() {
        first = nil
        second = nil
        third = nil
    }

    /// The input gives another format from the next picture on.
    func changed(_ format: VideoFormat, target: VideoFormat?, converts: Bool) {
        self.format = format
        fit(to: target, converts: converts)
    }

    /// Finds out how the input's pictures become the output's.
    func fit(to target: VideoFormat?, converts: Bool) {
        (fit, refusal) = (nil, nil)
        guard let format, let target else { return }
        do throws(AVFault) {
            let fit = try PictureFit(from: format, to: target)
            if fit.isConversion, !converts {
                refusal = "\(format), where the output has \(target)"
            } else {
                self.fit = fit
            }
        } catch { refusal = error.message }
    }
}
