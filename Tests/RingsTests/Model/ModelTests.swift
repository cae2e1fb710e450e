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
        FrameRingModel(depth: 1, buffers: 3, grains: 3, readers: 1, writerDeaths: 1),
        FrameRingModel(depth: 1, buffers: 2, grains: 2, readers: 2, writerDeaths: 1),
        FrameRingModel(depth: 2, buffers: 3, grains: 3, readers: 1, writerDeaths: 2),
        FrameRingModel(depth: 2, buffers: 4, grains: 3, readers: 1, writerDeaths: 1),
        FrameRingModel(depth: 1, buffers: 2, grains: 2, readers: 1, decoderClaims: 1, writerDeaths: 1),
        FrameRingModel(depth: 1, buffers: 2, grains: 2, readers: 1, mortals: 1, writerDeaths: 1),
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
        (.lockBeforeAdoption, FrameRingModel(buffers: 3, readers: 1, writerDeaths: 1)),
        (
            .poolKeepsLock,
            FrameRingModel(buffers: 2, grains: 2, readers: 1, decoderClaims: 1, writerDeaths: 1)
        ),
        (.clearsHeld, FrameRingModel(buffers: 2, readers: 1, writerDeaths: 1)),
        (.rebuildsWindow, FrameRingModel(buffers: 2, readers: 1, writerDeaths: 1)),
        (.claimsAfterAdoption, FrameRingModel(buffers: 2, grains: 2, readers: 1, decoderClaims: 1, writerDeaths: 1)),
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

    @Test(arguments: [UInt8(1), 2])
    func packetsHoldWhereverTheirWriterDies(capacity: UInt8) {
        let whole = PacketRingModel(capacity: capacity)
        var states = 0
        for death in 0..<whole.storeCount {
            let result = PacketRingModel(capacity: capacity, writerDiesAt: death).explore()
            states += result.states
            #expect(result.violation == nil, "dead after \(death) stores")
        }
        print(
            "packet ring of \(capacity), its writer dead after each of \(whole.storeCount) stores: \(states) states"
        )
    }

    @Test(arguments: [PacketSafeguards.keepsOldest, .headDecides, .lockOrders])
    func packetsFailWithoutASafeguardOfAdoption(removed: PacketSafeguards) {
        let safeguards = PacketSafeguards.all.subtracting(removed)
        let violations = (0..<PacketRingModel().storeCount).compactMap {
            PacketRingModel(safeguards: safeguards, writerDiesAt: $0).explore().violation
        }
        #expect(!violations.isEmpty)
    }

    @Test(arguments: [
        PacketSafeguards.saysSoFirst, .writerFence, .readerFence, .releasedHead, .validation,
    ])
    func packetsFailWithoutASafeguard(removed: PacketSafeguards) {
        #expect(PacketRingModel(safeguards: .all.subtracting(removed)).explore().violation != nil)
    }
}
