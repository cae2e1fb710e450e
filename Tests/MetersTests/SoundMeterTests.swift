import Media
import Meters
import Testing

@Suite("Listening to sound") struct SoundMeterTests {
    private func format(_ sample: SampleFormat) -> AudioFormat {
        AudioFormat(sampleFormat: sample, sampleRate: 48_000, layout: .stereo, blockSamples: 480)
    }

    /// A block whose second channel holds `values` over and over.
    private func block(_ format: AudioFormat, _ values: [Double]) -> [UInt8] {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: format.bufferSize, alignment: 64)
        defer { memory.deallocate() }
        for channel in 0..<2 {
            for i in 0..<format.blockSamples {
                let size = format.sampleFormat.sampleSize
                let place =
                    format.sampleFormat.isPlanar
                    ? channel * format.planeSize + i * size : (2 * i + channel) * size
                let value = channel == 0 ? 0 : values[i % values.count]
                switch format.sampleFormat {
                case .u8, .u8p: memory[place] = UInt8(clamping: Int(value * 128 + 128))
                case .s16, .s16p:
                    memory.storeBytes(
                        of: Int16(clamping: Int(value * 32768)), toByteOffset: place, as: Int16.self)
                case .s32, .s32p:
                    memory.storeBytes(
                        of: Int32(clamping: Int(value * 2_147_483_648)), toByteOffset: place, as: Int32.self)
                case .flt, .fltp: memory.storeBytes(of: Float(value), toByteOffset: place, as: Float.self)
                case .dbl, .dblp: memory.storeBytes(of: value, toByteOffset: place, as: Double.self)
                }
            }
        }
        return Array(memory)
    }

    @Test("Peak, silence and clips of each sample format", arguments: SampleFormat.allCases)
    func formats(_ sample: SampleFormat) {
        let format = format(sample)
        var meter = SoundMeter(format)
        func look(_ values: [Double], _ pts: Int64) -> SoundMeter.Look {
            block(format, values).withUnsafeBytes { meter.look(at: $0, samples: 480, pts: pts) }
        }
        let loud = look([0.5, -0.25], 0)
        #expect(
            abs(loud.peak - 0.5) < 0.01 && !loud.isSilent && loud.clips == 0
                && loud.silentSince == 10_000_000)
        let silent = look([0.0004], 10_000_000)
        #expect(silent.isSilent && silent.silentSince == 10_000_000)
        #expect(look([0], 20_000_000).silentSince == 10_000_000)
        // Four of eight samples at full scale: a clip each; two are none.
        #expect(look([1, 1, 1, 1, 0, 0, 0, 0].map { -$0 }, 30_000_000).clips == 60)
        #expect(look([-1, -1, 0, 0], 40_000_000).clips == 0)
    }

    @Test("Quiet speech is not silence; a level may be set") func levels() {
        let format = format(.fltp)
        var (usual, strict) = (SoundMeter(format), SoundMeter(format, silence: -40))
        block(format, [0.003, -0.002]).withUnsafeBytes {
            #expect(!usual.look(at: $0, samples: 480, pts: 0).isSilent)
            #expect(strict.look(at: $0, samples: 480, pts: 0).isSilent)
        }
        block(format, [.nan, 0]).withUnsafeBytes {
            #expect(usual.look(at: $0, samples: 480, pts: 10_000_000).isSilent)
        }
        // More samples than the format has room for are not read.
        block(format, [0.5]).withUnsafeBytes {
            #expect(usual.look(at: $0, samples: 1 << 40, pts: 0).silentSince == 10_000_000)
        }
    }
}
