// Looks at pictures, and remembers since when what they show has been so. One thread.
import CRingLayout
package import Media
package import Meters

package struct PictureLook: Sendable {
    /// Since when the picture has been black, and has stood still: monotonic nanoseconds, 0 where it isn't so.
    package struct Finding: Equatable, Sendable {
        package let blackSince: Int64
        package let frozenSince: Int64
    }

    private var meter: PictureMeter
    /// Of how many pictures one is looked at: every second one of those that come at more than 40 a second.
    private let stride: Int
    private var passed = 0
    /// What the last look found: it holds until the next.
    private var newest = Finding(blackSince: 0, frozenSince: 0)
    /// PTS of the first picture that was black, nil where the newest isn't.
    private var firstBlack: Int64?

    package init(_ format: VideoFormat, masks: [PictureMeter.Mask]) {
        meter = PictureMeter(format, masks: masks)
        stride = (format.picture.rate?.period.nanoseconds ?? .max) < 25_000_000 ? 2 : 1
    }

    /// For key frames alone.
    package init(sparse format: VideoFormat, masks: [PictureMeter.Mask]) {
        meter = PictureMeter(format, masks: masks, isSparse: true)
        stride = 1
    }

    /// The plane that is looked at.
    package var plane: Int { meter.plane }

    /// - Parameters:
    ///   - picture: the whole buffer, laid out as the format says.
    ///   - pts: nanoseconds.
    ///   - arrival: monotonic nanoseconds.
    package mutating func look(at picture: UnsafeRawBufferPointer, pts: Int64, _ arrival: Int64) -> Finding {
        isPassedOver() ? newest : finding(meter.look(at: picture, pts: pts), pts, arrival)
    }

    /// The same of a picture that lies otherwise, by its plane of luma.
    package mutating func look(
        atPlane plane: UnsafeRawPointer, stride: Int, pts: Int64, _ arrival: Int64
    ) -> Finding {
        isPassedOver() ? newest : finding(meter.look(atPlane: plane, stride: stride, pts: pts), pts, arrival)
    }

    private mutating func isPassedOver() -> Bool {
        passed = (passed + 1) % stride
        return stride > 1 && passed == 0
    }

    private mutating func finding(_ look: PictureMeter.Look, _ pts: Int64, _ arrival: Int64) -> Finding {
        firstBlack = look.isBlack ? firstBlack ?? pts : nil
        newest = Finding(
            blackSince: firstBlack.map { begin(pts, $0, arrival) } ?? 0,
            frozenSince: look.isStill ? begin(pts, look.stillSince, arrival) : 0)
        return newest
    }
}

/// When what has been so since `first` began, by the stream's times: monotonic nanoseconds, never 0.
private func begin(_ pts: Int64, _ first: Int64, _ arrival: Int64) -> Int64 {
    pts == .min || first == .min ? max(1, arrival) : max(1, arrival - max(0, pts &- first))
}

extension Measurements {
    package func note(_ finding: PictureLook.Finding) {
        self[.black] = finding.blackSince
        self[.frozen] = finding.frozenSince
    }

    func note(_ look: SoundMeter.Look, _ grain: Grain, _ arrival: Int64) {
        self[.silent] = look.isSilent ? begin(grain.pts, look.silentSince, arrival) : 0
        self[.clips] = (self[.clips] ?? 0) &+ Int64(look.clips)
        if look.clips > 0 || self[.clipped] == nil { self[.clipped] = look.clips > 0 ? arrival : 0 }
    }
}
