// The smallest fragmented MP4 that says when it starts, how long it is and whether it starts on a key frame.

func box(_ type: String, _ content: [UInt8]...) -> [UInt8] {
    let body = content.flatMap { $0 }
    return number(body.count + 8, 4) + Array(type.utf8) + body
}

func number(_ value: some BinaryInteger, _ size: Int) -> [UInt8] {
    (0..<size).reversed().map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
}

enum TinyMP4 {
    static func initSegment(timescale: Int, isVideo: Bool) -> [UInt8] {
        let tkhd = box("tkhd", number(0, 12), number(1, 4), number(0, 68))
        let mdhd = box("mdhd", number(0, 12), number(timescale, 4), number(0, 8))
        let hdlr = box("hdlr", number(0, 8), Array((isVideo ? "vide" : "soun").utf8), number(0, 13))
        let trex = box("trex", number(0, 4), number(1, 4), number(1, 4), number(0, 12))
        return box("ftyp", Array("iso6".utf8), number(0, 4))
            + box("moov", box("trak", tkhd, box("mdia", mdhd, hdlr)), box("mvex", trex))
    }

    static func segment(
        start: Int64, durations: [Int64], isKey: Bool = true, offset: Int64 = 0, bytesASample: Int = 100
    ) -> [UInt8] {
        let tfhd = box("tfhd", number(0x02_0000, 4), number(1, 4))
        let tfdt = box("tfdt", number(1 << 24, 4), number(start, 8))
        let first = number(isKey ? 0x0200_0000 : 0x0101_0000, 4)
        let samples = durations.flatMap { number($0, 4) + number(offset, 4) }
        let trun = box("trun", number(0x0100_0905, 4), number(durations.count, 4), number(0, 4), first, samples)
        return box("moof", box("mfhd", number(0, 8)), box("traf", tfhd, tfdt, trun))
            + box("mdat", Array(repeating: 0, count: durations.count * bytesASample))
    }
}
