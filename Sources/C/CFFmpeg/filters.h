// libavfilter, loaded with the first filter graph. It draws in thirty libraries (voices, vector graphics, Vulkan), which
// cost every process that is linked to it 12 MB and 30 ms, whether it filters or not.
//
// Why this isn't Swift: the types of the functions are taken from libavfilter's own headers, which Swift can't do without
// referring to the functions.
#ifndef PATCHBAY_CFFMPEG_FILTERS_H
#define PATCHBAY_CFFMPEG_FILTERS_H

#include <dlfcn.h>
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavutil/macros.h>

static inline const char *av_filter_library(void) {
    return "libavfilter.so." AV_STRINGIFY(LIBAVFILTER_VERSION_MAJOR);
}

// The address of one of its functions; null where the library isn't there. It stays loaded.
static inline void *av_filter_symbol(const char *name) {
    void *library = dlopen(av_filter_library(), RTLD_NOW | RTLD_LOCAL);
    return library ? dlsym(library, name) : NULL;
}

// Whether it can be used; to be asked before any of the functions below. Any thread.
static inline int av_filter_is_there(void) { return av_filter_symbol("avfilter_graph_alloc") != NULL; }

// `loaded_NAME` calls NAME. The address is looked up once for each compiled file.
#define AV_FILTER_FUNCTION(result, name, parameters, arguments)                 \
    static inline result loaded_##name parameters {                             \
        static __typeof__(&name) known;                                         \
        __typeof__(&name) function = __atomic_load_n(&known, __ATOMIC_ACQUIRE); \
        if (!function) {                                                        \
            function = (__typeof__(&name))av_filter_symbol(#name);              \
            __atomic_store_n(&known, function, __ATOMIC_RELEASE);               \
        }                                                                       \
        return function arguments;                                              \
    }

AV_FILTER_FUNCTION(const AVFilter *, avfilter_get_by_name, (const char *name), (name))
AV_FILTER_FUNCTION(AVFilterGraph *, avfilter_graph_alloc, (void), ())
AV_FILTER_FUNCTION(void, avfilter_graph_free, (AVFilterGraph * *graph), (graph))
AV_FILTER_FUNCTION(
    AVFilterContext *, avfilter_graph_alloc_filter, (AVFilterGraph * graph, const AVFilter *filter, const char *name),
    (graph, filter, name))
AV_FILTER_FUNCTION(int, avfilter_graph_config, (AVFilterGraph * graph, void *log), (graph, log))
AV_FILTER_FUNCTION(
    int, avfilter_graph_parse_ptr,
    (AVFilterGraph * graph, const char *filters, AVFilterInOut **inputs, AVFilterInOut **outputs, void *log),
    (graph, filters, inputs, outputs, log))
AV_FILTER_FUNCTION(
    int, avfilter_graph_send_command,
    (AVFilterGraph * graph, const char *target, const char *command, const char *value, char *answer, int size,
     int flags),
    (graph, target, command, value, answer, size, flags))
AV_FILTER_FUNCTION(int, avfilter_init_str, (AVFilterContext * filter, const char *options), (filter, options))
AV_FILTER_FUNCTION(AVFilterInOut *, avfilter_inout_alloc, (void), ())
AV_FILTER_FUNCTION(void, avfilter_inout_free, (AVFilterInOut * *ends), (ends))
AV_FILTER_FUNCTION(AVBufferSrcParameters *, av_buffersrc_parameters_alloc, (void), ())
AV_FILTER_FUNCTION(
    int, av_buffersrc_parameters_set, (AVFilterContext * source, AVBufferSrcParameters *parameters),
    (source, parameters))
AV_FILTER_FUNCTION(
    int, av_buffersrc_add_frame_flags, (AVFilterContext * source, AVFrame *frame, int flags), (source, frame, flags))
AV_FILTER_FUNCTION(int, av_buffersink_get_frame, (AVFilterContext * sink, AVFrame *frame), (sink, frame))
AV_FILTER_FUNCTION(AVRational, av_buffersink_get_frame_rate, (const AVFilterContext *sink), (sink))
AV_FILTER_FUNCTION(AVRational, av_buffersink_get_time_base, (const AVFilterContext *sink), (sink))

#undef AV_FILTER_FUNCTION
#endif
