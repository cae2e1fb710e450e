// Rings that another process scribbles over while they are used. In a process of its own, whose crash is its exit status.
import CLinux
import Foundation
import Rings
import Testing

@Suite struct FuzzTests {
    let folder: RingFolder
    init() throws { folder = try RingFolder() }

    @Test func nobodyCrashesOrHangsOverAScribbledRing() throws {
        let mutations = 1_000_000
        let seed: UInt64 = 0x5EED_0008
        let peer = try Peer("fuzz", folder.ring(), "\(mutations)", "\(seed)")
        let line = try #require(peer.line(within: 900_000), "no end, or a crash (seed \(seed))")
        print("nobodyCrashesOrHangsOverAScribbledRing seed \(seed): \(line)")
        #expect(line.hasPrefix("mutations \(mutations) taken "))
        #expect(peer.status() == 0)
        #expect(try folder.names() == [])
    }
}
