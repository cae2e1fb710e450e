import Foundation
import Media
import Meters
import Testing

@Suite("Loudness by EBU R128") struct LoudnessMeterTests {
    /// Has `seconds` of a tone heard, in blocks of 480 samples; `levels` are the channels' amplitudes.
    private func reading(
        _ sample: SampleFormat = .fltp, _ layout: ChannelLayout = .stereo, levels: [Double], seconds: Int = 4,
        frequency: Double = 1000, phase: Double = 0
    ) throws -> LoudnessMeter.Reading {
        let format = AudioFormat(sampleFormat: sample, sampleRate: 48_000, layout: layout, blockSamples: 480)
        guard var meter = LoudnessMeter(format) else {
            Issue.record("\(format) is not measured")
            return .init(momentary: nil, shortTerm: nil, integrated: nil, truePeak: nil)
        }
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: format.bufferSize, alignment: 64)
        defer { memory.deallocate() }
        // Ten milliseconds are whole periods.
        for i in 0..<480 {
            let value = sin(2 * .pi * frequency * Double(i) / 48_000 + phase)
            for (channel, level) in levels.enumerated() {
                let start = sample.isPlanar ? channel * format.planeSize : channel * sample.sampleSize
                store(value * level, sample, memory, start + i * format.samplePitch)
            }
        }
        for _ in 0..<seconds * 100 { meter.hear(UnsafeRawBufferPointer(memory), samples: 480) }
        return meter.reading
    }

    private func store(_ value: Double, _ format: SampleFormat, _ memory: UnsafeMutableRawBufferPointer, _ place: Int) {
        switch format {
        case .u8, .u8p: memory[place] = UInt8(clamping: Int((value * 128 + 128).rounded()))
        case .s16, .s16p:
            memory.storeBytes(of: Int16(clamping: Int((value * 32768).rounded())), toByteOffset: place, as: Int16.self)
        case .s32, .s32p:
            memory.storeBytes(of: Int32(clamping: Int(value * 2_147_483_648)), toByteOffset: place, as: Int32.self)
        case .flt, .fltp: memory.storeBytes(of: Float(value), toByteOffset: place, as: Float.self)
        case .dbl, .dblp: memory.storeBytes(of: value, toByteOffset: place, as: Double.self)
        }
    }

    private func level(_ decibels: Double) -> Double { pow(10, decibels / 20) }

    @Test(
        "A tone of 1 kHz at -23 dBFS in both channels is -23 LUFS (EBU Tech 3341, 1), in each sample format",
        arguments: SampleFormat.allCases)
    func tone(_ sample: SampleFormat) throws {
        // Eight bits are not enough for a tenth.
        let (decibels, tolerance) = sample.sampleSize == 1 ? (-6.0, 0.2) : (-23.0, 0.1)
        let reading = try reading(sample, levels: [level(decibels), level(decibels)])
        for value in [reading.momentary, reading.shortTerm, reading.integrated] {
            #expect(abs((value ?? 0) - decibels) <= tolerance, "\(String(describing: value))")
        }
        #expect(abs((reading.truePeak ?? 0) - decibels) <= 0.4)
    }

    @Test("A peak between two samples is found (EBU Tech 3341, 16)") func truePeak() throws {
        // A quarter of the sampling rate, off by an eighth of a period: no sample is above -9 dBFS.
        let reading = try reading(levels: [0.5, 0.5], seconds: 1, frequency: 12_000, phase: .pi / 4)
        #expect((-6.4 ... -5.8).contains(reading.truePeak ?? 0), "\(String(describing: reading.truePeak))")
    }

    @Test("The low frequency channel does not count, surround counts more; silence has no loudness") func channels()
        throws
    {
        let layout = try #require(ChannelLayout("5.1"))
        let tone = level(-23)
        let front = try reading(.fltp, layout, levels: [tone, tone, 0, 0, 0, 0]).integrated ?? 0
        let low = try reading(.fltp, layout, levels: [tone, tone, 0, 1, 0, 0]).integrated ?? 0
        let back = try reading(.fltp, layout, levels: [0, 0, 0, 0, tone, tone]).integrated ?? 0
        #expect(abs(front + 23) < 0.1 && abs(low - front) < 0.01)
        #expect((1.35...1.65).contains(back - front))
        let silence = try reading(levels: [0, 0], seconds: 1)
        #expect(silence == .init(momentary: nil, shortTerm: nil, integrated: nil, truePeak: nil))
        // What is no number does not stay.
        #expect(try reading(levels: [.nan, tone], seconds: 1).momentary != nil)
    }

    @Test("What can't be measured is refused") func refused() {
        func isMeasured(rate: Int, _ layout: ChannelLayout) -> Bool {
            let format = AudioFormat(sampleFormat: .s16, sampleRate: rate, layout: layout, blockSamples: 1)
            guard let meter = LoudnessMeter(format) else { return false }
            _ = consume meter
            return true
        }
        #expect(!isMeasured(rate: 0, .mono) && isMeasured(rate: 8000, .mono))
        #expect(!isMeasured(rate: 48_000, ChannelLayout(description: "65 channels", channels: 65, mask: 0)))
    }
}
