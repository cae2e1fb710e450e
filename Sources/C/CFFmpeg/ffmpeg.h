// libav (FFmpeg 5.1) for Swift: its headers, and its function-like macros as functions.
#ifndef PATCHBAY_CFFMPEG_H
#define PATCHBAY_CFFMPEG_H

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <libavcodec/avcodec.h>
#include <libavcodec/bsf.h>
#include <libavcodec/packet.h>
#include <libavformat/avformat.h>
#include <libavutil/audio_fifo.h>
#include <libavutil/avutil.h>
#include <libavutil/buffer.h>
#include <libavutil/channel_layout.h>
#include <libavutil/dict.h>
#include <libavutil/error.h>
#include <libavutil/hdr_dynamic_metadata.h>
#include <libavutil/imgutils.h>
#include <libavutil/intreadwrite.h>
#include <libavutil/log.h>
#include <libavutil/mastering_display_metadata.h>
#include <libavutil/mathematics.h>
#include <libavutil/md5.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libavutil/samplefmt.h>
#include <libavutil/time.h>
#include <libavutil/timecode.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>

#include "filters.h"

// AVERROR(…) and the tagged codes are macros that Swift doesn't import.
static inline int av_error_of(int errnoValue) { return AVERROR(errnoValue); }
static const int av_error_again = AVERROR(EAGAIN);
static const int av_error_eof = AVERROR_EOF;
static const int av_error_exit = AVERROR_EXIT;
static const int av_error_invalid_data = AVERROR_INVALIDDATA;
static const int av_error_no_memory = AVERROR(ENOMEM);
static const int av_error_external = AVERROR_EXTERNAL;
static const int av_error_option_not_found = AVERROR_OPTION_NOT_FOUND;
static const int av_error_encoder_not_found = AVERROR_ENCODER_NOT_FOUND;
static const int av_error_decoder_not_found = AVERROR_DECODER_NOT_FOUND;
static const int64_t av_no_pts = (int64_t)UINT64_C(0x8000000000000000);

// A va_list can't be read from Swift: one formatted line into the caller's buffer.
static inline int av_log_line(void *context, int level, const char *format, va_list arguments, char *line, int size) {
    int prefix = 1;
    return av_log_format_line2(context, level, format, arguments, line, size, &prefix);
}

// Tells the threads apart on which libav calls back.
static inline uintptr_t av_this_thread(void) { return (uintptr_t)pthread_self(); }

// Deprecated in 5.0, and yet without it 5.1 calls a custom get_buffer2 only from the thread that sends packets.
static inline void av_context_allow_callbacks_on_threads(AVCodecContext *context) {
    context->thread_safe_callbacks = 1;
}

#endif
