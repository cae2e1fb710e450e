// A picture that is lent to libav, as libav's frame says it.
internal import CFFmpeg
internal import Media

extension PictureInput {
    /// Says what the picture is; its bytes and its times are set elsewhere.
    func describe(
        _ frame: UnsafeMutablePointer<AVFrame>, as format: PictureFormat, _ pixelFormat: AVPixelFormat
    ) {
        frame.pointee.format = pixelFormat.rawValue
        frame.pointee.width = Int32(format.size.width)
        frame.pointee.height = Int32(format.size.height)
        frame.pointee.color_primaries = format.colour.avPrimaries
        frame.pointee.color_trc = format.colour.avTransfer
        frame.pointee.colorspace = format.colour.avMatrix
        frame.pointee.color_range = format.colour.avRange
        frame.pointee.chroma_location = format.colour.avLocation
        frame.pointee.sample_aspect_ratio = format.sampleAspect?.av ?? AVRational(num: 0, den: 1)
        frame.pointee.interlaced_frame = format.fieldOrder.isInterlaced ? 1 : 0
        frame.pointee.top_field_first = isTopFieldFirst ?? (format.fieldOrder == .topFirst) ? 1 : 0
        guard !captions.isEmpty,
            let data = av_frame_new_side_data(frame, AV_FRAME_DATA_A53_CC, captions.count)
        else { return }
        UnsafeMutableRawBufferPointer(start: data.pointee.data, count: captions.count).copyMemory(from: captions)
    }
}
