// Pictures of another size and pixel format, sound of another format in blocks of another length.
import AV
import Media
import Testing

@Suite struct ConversionTests {
    private func format(_ width: Int, _ height: Int, _ pixels: String, _ fields: FieldOrder) throws -> VideoFormat {
        let picture = PictureFormat(
            size: PictureSize(width: width, height: height), rate: Rational(25, 1), fieldOrder: fields)
        return VideoFormat(picture: picture, pixelFormat: try #require(PixelFormat(pixels)))
    }

    /// A picture of one colour has that colour everywhere, whatever its size and format become, and nothing is written
    /// behind it.
    @Test(
        arguments: [(64, 64), (1280, 720), (33, 17), (2, 2)], [FieldOrder.progressive, .topFirst])
    func aPlainPictureStaysPlain(size: (Int, Int), fields: FieldOrder) throws {
        let source = try format(640, 360, "yuv422p10le", fields)
        let target = try format(size.0, size.1, "uyvy422", .progressive)
        let scaler = try PictureScaler(from: source, to: target)
        let input = UnsafeMutableRawBufferPointer.allocate(byteCount: source.planes.size, alignment: 64)
        let output = UnsafeMutableRawBufferPointer.allocate(byteCount: target.planes.size + 64, alignment: 64)
        defer {
            input.deallocate()
            output.deallocate()
        }
        let samples = input.bindMemory(to: UInt16.self)
        for index in samples.indices {
            samples[index] =
                index * 2 < source.planes.offsets[1] ? 400 : index * 2 < source.planes.offsets[2] ? 600 : 300
        }
        output.initializeMemory(as: UInt8.self, repeating: 0xEE)
        scaler.convert(UnsafeRawPointer(samples.baseAddress!), into: output.baseAddress!)
        for y in 0..<size.1 {
            let line = output[(y * target.planes.strides[0])...]
            for pair in 0..<size.0 / 2 {
                let at = line.startIndex + 4 * pair
                #expect(abs(Int(line[at]) - 150) <= 1 && abs(Int(line[at + 2]) - 75) <= 1)
                #expect(abs(Int(line[at + 1]) - 100) <= 1 && abs(Int(line[at + 3]) - 100) <= 1)
            }
        }
        #expect(output[target.planes.size...].allSatisfy { $0 == 0xEE })
    }

    /// Blocks join on, the last one is filled up, and another piece of sound begins at its own time.
    @Test func soundIsCutIntoBlocksThatJoinOn() throws {
        let source = AudioFormat(sampleFormat: .fltp, sampleRate: 44_100, layout: .stereo, blockSamples: 1024)
        let target = AudioFormat(sampleFormat: .s16, sampleRate: 48_000, layout: .stereo, blockSamples: 960)
        var reblocker = try SoundReblocker(from: source, to: target)
        let input = [Float](repeating: 0.5, count: 2048)
        var output = [Int16](repeating: 0, count: 960 * 2)
        for start in [7_000_000_000, 90_000_000_000] as [Int64] {
            #expect(reblocker.expected == nil)
            var times: [Int64] = []
            func take() {
                while reblocker.hasBlock {
                    if let time = reblocker.nextStart { times.append(time) }
                    let isTaken = output.withUnsafeMutableBytes { reblocker.take(into: $0.baseAddress!) }
                    #expect(isTaken)
                    if times.count == 5 { #expect(output.allSatisfy { abs(Int($0) - 16_384) < 200 }) }
                }
            }
            for block in 0..<43 as Range<Int64> {
                let time = start + block * 1024 * 1_000_000_000 / 44_100
                if let expected = reblocker.expected { #expect(abs(expected - time) < 5_000_000) }
                let isAdded = input.withUnsafeBytes { reblocker.add($0.baseAddress!, samples: 1024, pts: time) }
                #expect(isAdded)
                take()
            }
            let isFinished = reblocker.finish()
            #expect(isFinished)
            take()
            reblocker.restart()
            #expect(times.first == start)
            #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 == 20_000_000 })
            // 43 blocks are 998.5 ms.
            #expect(times.count == 50)
        }
    }
}
