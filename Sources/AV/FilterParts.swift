// libavfilter's objects behind a filter graph: made together, freed together.
internal import CFFmpeg
internal import Media

struct FilterParts: ~Copyable {
    let graph: UnsafeMutablePointer<AVFilterGraph>
    let sink: UnsafeMutablePointer<AVFilterContext>
    let input: UnsafeMutablePointer<AVFrame>
    let output: UnsafeMutablePointer<AVFrame>
    private let sources: [UnsafeMutablePointer<AVFilterContext>]

    init(
        _ description: String, _ inputs: [FilterInput], isVideo: Bool, threads: Int
    ) throws(AVFault) {
        (graph, sources, sink, input, output) = try Self.open(description, inputs, isVideo, threads)
    }

    private typealias Parts = (
        UnsafeMutablePointer<AVFilterGraph>, [UnsafeMutablePointer<AVFilterContext>],
        UnsafeMutablePointer<AVFilterContext>, UnsafeMutablePointer<AVFrame>, UnsafeMutablePointer<AVFrame>
    )

    private static func open(
        _ description: String, _ inputs: [FilterInput], _ isVideo: Bool, _ threads: Int
    ) throws(AVFault) -> Parts {
        guard av_filter_is_there() != 0 else {
            throw refusal("filter", "there is no \(String(cString: av_filter_library())): install libavfilter")
        }
        let (graph, input, output) = (loaded_avfilter_graph_alloc(), av_frame_alloc(), av_frame_alloc())
        do throws(AVFault) {
            let operation = "make the filter graph"
            let made = try checkAllocated(graph, operation)
            made.pointee.nb_threads = Int32(clamping: threads)
            let sources = try makeSources(made, inputs)
            let sink = try makeSink(made, isVideo)
            try connect(made, description, sources, inputs, sink)
            return (
                made, sources, sink, try checkAllocated(input, operation), try checkAllocated(output, operation)
            )
        } catch {
            free(graph, input, output)
            throw error
        }
    }

    deinit { Self.free(graph, input, output) }

    private static func free(
        _ graph: UnsafeMutablePointer<AVFilterGraph>?, _ input: UnsafeMutablePointer<AVFrame>?,
        _ output: UnsafeMutablePointer<AVFrame>?
    ) {
        var (graph, input, output) = (graph, input, output)
        av_frame_free(&input)
        av_frame_free(&output)
        loaded_avfilter_graph_free(&graph)
    }

    /// Hands a frame over; nil is the end.
    func add(_ frame: UnsafeMutablePointer<AVFrame>?, to input: Int) -> AVFault? {
        let code = loaded_av_buffersrc_add_frame_flags(sources[input], frame, 0)
        return code < 0 ? AVFault(operation: "filter", code: code) : nil
    }

    // MARK: Making

    private static func make(
        _ graph: UnsafeMutablePointer<AVFilterGraph>, _ filter: String, _ name: String
    ) throws(AVFault) -> UnsafeMutablePointer<AVFilterContext> {
        try checkAllocated(
            loaded_avfilter_graph_alloc_filter(graph, loaded_avfilter_get_by_name(filter), name),
            "make the filter graph")
    }

    private static func makeSources(
        _ graph: UnsafeMutablePointer<AVFilterGraph>, _ inputs: [FilterInput]
    ) throws(AVFault) -> [UnsafeMutablePointer<AVFilterContext>] {
        var sources: [UnsafeMutablePointer<AVFilterContext>] = []
        for input in inputs {
            let isVideo = input.format.type.isVideo
            let source = try make(graph, isVideo ? "buffer" : "abuffer", "input_\(input.label)")
            guard let parameters = loaded_av_buffersrc_parameters_alloc() else {
                throw AVFault(operation: "make the filter graph", code: av_error_no_memory)
            }
            defer { av_free(parameters) }
            describe(input.format, parameters)
            try check(
                loaded_av_buffersrc_parameters_set(source, parameters), "feed \(input.label) with \(input.format)")
            try check(loaded_avfilter_init_str(source, nil), "feed \(input.label) with \(input.format)")
            sources.append(source)
        }
        return sources
    }

    private static func describe(
        _ format: StreamFormat, _ parameters: UnsafeMutablePointer<AVBufferSrcParameters>
    ) {
        parameters.pointee.time_base = nanoseconds
        switch format {
        case .rawVideo(let video):
            parameters.pointee.format = video.pixelFormat.av.rawValue
            parameters.pointee.width = Int32(video.picture.size.width)
            parameters.pointee.height = Int32(video.picture.size.height)
            if let rate = video.picture.rate { parameters.pointee.frame_rate = rate.av }
            if let aspect = video.picture.sampleAspect { parameters.pointee.sample_aspect_ratio = aspect.av }
        case .rawAudio(let audio):
            parameters.pointee.format = audio.sampleFormat.av.rawValue
            parameters.pointee.sample_rate = Int32(audio.sampleRate)
            parameters.pointee.ch_layout = audio.layout.av
        case .codedVideo, .codedAudio, .data, .transport: break
        }
    }

    private static func makeSink(
        _ graph: UnsafeMutablePointer<AVFilterGraph>, _ isVideo: Bool
    ) throws(AVFault) -> UnsafeMutablePointer<AVFilterContext> {
        let sink = try make(graph, isVideo ? "buffersink" : "abuffersink", "output")
        if isVideo {
            // Filters convert into what rings carry.
            let formats = PixelFormat.all.map(\.av.rawValue).filter { $0 >= 0 }
            let code = formats.withUnsafeBytes {
                av_opt_set_bin(
                    sink, "pix_fmts", $0.assumingMemoryBound(to: UInt8.self).baseAddress, Int32($0.count),
                    AV_OPT_SEARCH_CHILDREN)
            }
            try check(code, "make the filter graph")
        }
        try check(loaded_avfilter_init_str(sink, nil), "make the filter graph")
        return sink
    }

    private static func connect(
        _ graph: UnsafeMutablePointer<AVFilterGraph>, _ description: String,
        _ sources: [UnsafeMutablePointer<AVFilterContext>], _ inputs: [FilterInput],
        _ sink: UnsafeMutablePointer<AVFilterContext>
    ) throws(AVFault) {
        // libavfilter calls "outputs" what is open at our sources, and "inputs" what is open at our sink.
        var outputs: UnsafeMutablePointer<AVFilterInOut>?
        for (source, input) in zip(sources, inputs).reversed() {
            let end = try checkAllocated(loaded_avfilter_inout_alloc(), "make the filter graph")
            (end.pointee.name, end.pointee.filter_ctx) = (av_strdup(input.label), source)
            (end.pointee.pad_idx, end.pointee.next) = (0, outputs)
            outputs = end
        }
        var inputsOfSink: UnsafeMutablePointer<AVFilterInOut>? = loaded_avfilter_inout_alloc()
        inputsOfSink?.pointee.name = av_strdup("out")
        inputsOfSink?.pointee.filter_ctx = sink
        defer {
            loaded_avfilter_inout_free(&outputs)
            loaded_avfilter_inout_free(&inputsOfSink)
        }
        try checkTold("understand the filters \"\(description)\"") {
            loaded_avfilter_graph_parse_ptr(graph, description, &inputsOfSink, &outputs, nil)
        }
        if let open = outputs {
            throw refusal("connect the filters", "nothing takes [\(String(cString: open.pointee.name))]")
        }
        if inputsOfSink != nil { throw refusal("connect the filters", "nothing gives [out]") }
        try checkTold("connect the filters \"\(description)\"") { loaded_avfilter_graph_config(graph, nil) }
    }
}
