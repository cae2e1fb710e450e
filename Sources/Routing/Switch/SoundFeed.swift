// One input's sound: the block that waits, leased where it lies, or converted into memory of its own. On the node's lane.
import AV
import CRingLayout
import Engine
import Media
import Rings

private final class ReblockerBox {
    var reblocker: SoundReblocker
    init(_ reblocker: consuming SoundReblocker) { self.reblocker = reblocker }
}

/// What a look for an input's next block gave.
enum SoundArrival {
    case block(time: Int64, samples: Int, rate: Int)
    /// Something was taken that is no block yet.
    case taken
    case nothing
}

final class SoundFeed {
    let name: String
    let inlet: Inlet
    private(set) var format: AudioFormat?
    private(set) var refusal: String?
    private(set) var conversion: String?
    private var target: AudioFormat?
    /// The block that waits, where no conversion is needed.
    private var lease: FrameLease?
    /// The format of the lease.
    private var leaseFormat: AudioFormat?
    private var box: ReblockerBox?
    /// A converted block that waits.
    private var room: UnsafeMutableRawBufferPointer?
    private var hasRoom = false
    /// What the newest block carried.
    private(set) var grain = Grain.empty()

    init(_ name: String, _ inlet: Inlet) { (self.name, self.inlet) = (name, inlet) }
    deinit { room?.deallocate() }

    private var isSame: Bool {
        guard let format, let target else { return false }
        return (format.sampleFormat, format.sampleRate, format.layout)
            == (target.sampleFormat, target.sampleRate, target.layout)
    }

    /// The input gives another format from the next block on.
    func changed(_ format: AudioFormat, target: AudioFormat?, converts: Bool) {
        self.format = format
        fit(to: target, converts: converts)
    }

    func fit(to target: AudioFormat?, converts: Bool) {
        self.target = target
        (refusal, conversion, box) = (nil, nil, nil)
        guard let format, let target, !isSame else { return }
        guard converts else {
            refusal = "\(format), where the output has \(target)"
            return
        }
        do throws(AVFault) {
            box = ReblockerBox(try SoundReblocker(from: format, to: target))
            conversion = "\(format) to \(target)"
            if room == nil { room = .allocate(byteCount: target.bufferSize, alignment: 64) }
        } catch { refusal = error.message }
    }

    /// Whether what waits was leased before the output's format was known, and has to be converted.
    var hasUnfitLease: Bool { lease != nil && !isSame }

    // MARK: Blocks

    /// Looks for a block that can wait; there is none that waits.
    func look() -> SoundArrival {
        if let box, box.reblocker.hasBlock { return takeConverted(box) }
        switch inlet.takeFrame() {
        case .nothing: return .nothing
        case .lapped: return .taken
        case .frame(let lease):
            guard refusal == nil, let format else { return .taken }
            guard let time = lease.grain.presentation?.nanoseconds,
                lease.bytes.count >= format.extent(ofSamples: Int(lease.grain.samples))
            else {
                return .taken
            }
            let samples = min(Int(lease.grain.samples), format.blockSamples)
            guard samples > 0 else { return .taken }
            grain = lease.grain
            if let box { return convert(lease, time, samples, box) }
            self.lease = consume lease
            leaseFormat = format
            return .block(time: time, samples: samples, rate: format.sampleRate)
        }
    }

    private func convert(_ lease: borrowing FrameLease, _ time: Int64, _ samples: Int, _ box: ReblockerBox)
        -> SoundArrival
    {
        guard let base = lease.bytes.baseAddress else { return .taken }
        if let expected = box.reblocker.expected, (time &- expected).magnitude > UInt64(SoundSwitch.tolerance) {
            // What is held is another piece of sound: less than a block, and silence joins it.
            _ = box.reblocker.finish()
            while box.reblocker.hasBlock { box.reblocker.skip() }
            box.reblocker.restart()
        }
        guard box.reblocker.add(base, samples: samples, pts: time), box.reblocker.hasBlock else { return .taken }
        return takeConverted(box)
    }

    private func takeConverted(_ box: ReblockerBox) -> SoundArrival {
        guard let target, let base = room?.baseAddress, let time = box.reblocker.nextStart,
            box.reblocker.take(into: base)
        else { return .nothing }
        hasRoom = true
        return .block(time: time, samples: target.blockSamples, rate: target.sampleRate)
    }

    /// The block that waits; nil where none does.
    var block: SampleBlock? {
        if hasRoom, let target, let base = room?.baseAddress {
            return SampleBlock(base: UnsafeRawPointer(base), format: target)
        }
        guard let leaseFormat, let base = lease?.bytes.baseAddress else { return nil }
        return SampleBlock(base: base, format: leaseFormat)
    }

    /// The block that waits is of no further use.
    func drop() {
        lease = nil
        hasRoom = false
    }
}
