// The protocol's models hold in every interleaving, and stop holding when any one safeguard is taken away: so that the
// explorer is known to look where it matters.
import Testing

@Suite struct ModelTests {
    @Test(arguments: [
        FrameRingModel(depth: 1, buffers: 3, grains: 3),
        FrameRingModel(depth: 2, buffers: 3, grains: 4, readers: 1, decoderClaims: 1),
        FrameRingModel(depth: 1, buffers: 2, grains: 3, readers: 1, decoderClaims: 2),
        FrameRingModel(depth: 1, buffers: 2, grains: 2, readers: 1, mortals: 1),
        FrameRingModel(depth: 1, buffers: 3, grains: 3, readers: 1, mortals: 1, decoderClaims: 1),
        FrameRingModel(depth: 2, buffers: 3, grains: 4),
        FrameRingModel(depth: 1, buffers: 3, grains: 2, mortals: 1),
        FrameRingModel(depth: 1, buffers: 3, grains: 2, decoderClaims: 1),
    ])
    func framesHoldInEveryInterleaving(model: FrameRingModel) {
        let result = model.explore()
        print("\(model): \(result.states) states")
        #expect(result.violation == nil)
        #expect(result.states > 100, "the model is not empty")
    }

    @Test(arguments: [
        (FrameSafeguards.secondSlotLoad, FrameRingModel(buffers: 2, readers: 1)),
        (.claimByExchange, FrameRingModel(buffers: 2, readers: 1, decoderClaims: 1)),
        (.slotBeforeWindow, FrameRingModel(buffers: 2, readers: 1, decoderClaims: 1)),
        (.lockBeforeSweep, FrameRingModel(buffers: 2, readers: 1)),
        (.windowBeforeUnhold, FrameRingModel(buffers: 2, readers: 1, decoderClaims: 1)),
    ])
    func framesFailWithoutASafeguard(removed: FrameSafeguards, model: FrameRingModel) {
        var weakened = model
        weakened.safeguards.remove(removed)
        #expect(weakened.explore().violation != nil)
        #expect(model.explore().violation == nil, "and hold with it, in the same world")
    }

    @Test(arguments: [UInt8(1), 2])
    func packetsHoldInEveryInterleaving(capacity: UInt8) {
        let result = PacketRingModel(capacity: capacity).explore()
        print("packet ring of \(capacity): \(result.states) states")
        #expect(result.violation == nil)
        #expect(result.states > 100, "the model is not empty")
    }

    @Test(arguments: [
        PacketSafeguards.saysSoFirst, .writerFence, .readerFence, .releasedHead, .validation,
    ])
    func packetsFailWithoutASafeguard(removed: PacketSafeguards) {
        #expect(PacketRingModel(safeguards: .all.subtracting(removed)).explore().violation != nil)
    }
}
