// What lies in a Patchbay ring: the one definition, for the engine, for the C library and for other programs.
//
// A ring is one file in shared memory, little-endian, mapped whole. Structures, codes and offsets only; no functions.
// Fields that different parties write lie PBR_LINE bytes apart. Everything named "word" is accessed atomically; the
// protocol and its memory orderings are told in Sources/Rings. Minor versions of the layout append in reserved bytes
// and behind the last area; they never move or reuse a field. SPDX-License-Identifier: Apache-2.0
#ifndef PATCHBAY_RING_LAYOUT_H
#define PATCHBAY_RING_LAYOUT_H

#include <stdint.h>
#ifdef __cplusplus
#define PBR_ASSERT(condition) static_assert(condition, #condition)
extern "C" {
#else
#define PBR_ASSERT(condition) _Static_assert(condition, #condition)
#endif

#define PBR_MAGIC 0x3152594142484350ull  // "PCHBAYR1" as bytes in memory
#define PBR_LAYOUT_MAJOR 1
#define PBR_LAYOUT_MINOR 1  // 1: PBR_AT_REMOVED

#define PBR_LINE 128             // bytes between fields of different writers (two cache lines: adjacent prefetch)
#define PBR_PAGE 4096            // buffers start and are spaced on this
#define PBR_MAX_READERS 62       // one lease bit each in a buffer word
#define PBR_MAX_BUFFERS 4096     // buffers of one frame ring
#define PBR_MAX_SLOTS 65536      // slots of one ring
#define PBR_LEDGER_STAGES 8      // stage stamps a grain
#define PBR_EXTRADATA_CAPACITY 4096
#define PBR_NO_TIME (-9223372036854775807ll - 1)    // a time that is not known

// Kinds of ring.
#define PBR_RING_FRAME 1   // buffers of one size: raw video, raw audio
#define PBR_RING_PACKET 2  // a byte ring mapped twice in a row: everything else

// State of a ring. A writer stores head, then state; a reader loads state, then head.
#define PBR_STATE_WAITING 0     // made, nothing published yet
#define PBR_STATE_LIVE 1
#define PBR_STATE_NO_SIGNAL 2   // the writer lives, its source delivers nothing
#define PBR_STATE_ABSENT 3      // the source has no such track
#define PBR_STATE_SUPERSEDED 4  // a ring of the next generation has taken the name: drain, then reopen
#define PBR_STATE_ENDED 5       // no grain will follow
#define PBR_STATE_REMOVED 6     // the outlet is gone

// Flags of a grain.
#define PBR_GRAIN_KEY 0x01u            // a decoder may start here
#define PBR_GRAIN_DISCONTINUITY 0x02u  // something is missing, or another source begins, before this grain
#define PBR_GRAIN_CORRUPT 0x04u
#define PBR_GRAIN_BLACK 0x08u
#define PBR_GRAIN_FROZEN 0x10u
#define PBR_GRAIN_SILENT 0x20u
#define PBR_GRAIN_TIMECODE 0x40u       // timecode holds a value
#define PBR_GRAIN_TOP_FIELD_FIRST 0x80u
#define PBR_GRAIN_INTERLACED 0x100u
#define PBR_GRAIN_DISPOSABLE 0x200u    // no other grain refers to this one

// A buffer word: bits 0–61 leases by reader id, then these. 0 is free.
#define PBR_BUFFER_WINDOW (1ull << 62)  // in the window: a slot points here
#define PBR_BUFFER_HELD (1ull << 63)    // held by the writer: being filled, or a reference picture

// A slot word of a frame ring: sequence (48 bits) << 16 | buffer (16 bits). PBR_SLOT_EMPTY points nowhere.
#define PBR_SLOT_EMPTY 0xFFFFFFFFFFFFFFFFull
#define PBR_SEQUENCE_MASK 0xFFFFFFFFFFFFull

// Owner word of a reader entry.
#define PBR_READER_FREE 0
#define PBR_READER_LIVE 1
#define PBR_READER_LOSSLESS 2  // live, and the writer waits for its cursor (readers in the writer's process only)

// Media types.
#define PBR_TYPE_RAW_VIDEO 1
#define PBR_TYPE_RAW_AUDIO 2
#define PBR_TYPE_CODED_VIDEO 3
#define PBR_TYPE_CODED_AUDIO 4
#define PBR_TYPE_DATA 5       // SCTE-35, subtitles, ID3
#define PBR_TYPE_TRANSPORT 6  // n × 188 bytes

// Clock domains: who makes the time that PTS follow.
#define PBR_CLOCK_ENGINE 0
#define PBR_CLOCK_SENDER 1
#define PBR_CLOCK_CARD 2

/// One stamp of the latency ledger. `stage` is the FNV-1a hash (64 bit) of the node's id, `at` monotonic nanoseconds.
typedef struct pbr_stamp {
    uint64_t stage;
    int64_t at;
} pbr_stamp;

/// What is known of one grain. Times are nanoseconds on the engine's timeline, `origin` is CLOCK_MONOTONIC.
typedef struct pbr_grain {
    uint64_t sequence;
    int64_t pts;
    int64_t dts;
    int64_t duration;
    int64_t origin;          // when the first byte of this picture or sound came into being or arrived here
    uint64_t position;       // packet ring: byte position of the payload since the ring was made
    uint32_t size;           // payload, bytes
    uint32_t side_data_size; // bytes; packet ring: stands right behind the payload
    uint32_t flags;          // PBR_GRAIN_…
    uint32_t timecode;       // SMPTE ST 12-1, 0xHHMMSSFF in binary, bit 31 drop-frame
    uint32_t samples;        // raw audio: samples of each channel in this block
    uint32_t side_data_lost; // side data that did not fit, bytes
    uint32_t ledger_count;
    uint32_t reserved0;
    pbr_stamp ledger[PBR_LEDGER_STAGES];
    uint64_t reserved[6];
} pbr_grain;
PBR_ASSERT(sizeof(pbr_grain) == 256);

/// Picture geometry and colour. Colour codes are those of ISO/IEC 23091-2, 2 is "unspecified".
typedef struct pbr_video {
    uint32_t coded_width, coded_height;  // allocated, pixels
    uint32_t width, height;              // displayed, pixels, from the top left corner
    char pixel_format[24];               // libav's name; empty on coded tracks where it is unknown
    uint32_t plane_count;
    uint32_t stride[4];                  // bytes, multiples of 64
    uint32_t reserved0;
    uint64_t plane_offset[4];            // from the start of the buffer, bytes
    uint64_t frame_size;                 // bytes
    int32_t rate_num, rate_den;          // frames a second; 0/1 unknown
    int32_t sample_aspect_num, sample_aspect_den;  // 0/1 unknown
    uint32_t field_order;                // 0 unknown, 1 progressive, 2 top field first, 3 bottom field first
    uint32_t primaries, transfer, matrix;
    uint32_t range;                      // 0 unknown, 1 limited, 2 full
    uint32_t chroma_location;            // libav's AVChromaLocation; 0 unknown
    uint32_t has_mastering_display;      // SMPTE ST 2086
    uint32_t has_content_light;          // CTA-861.3
    uint16_t display_primaries[6];       // R, G, B as x, y in units of 0.00002
    uint16_t white_point[2];
    uint32_t max_luminance, min_luminance;  // 0.0001 cd/m²
    uint16_t max_content_light, max_average_light;  // cd/m²
    uint32_t reserved[15];
} pbr_video;
PBR_ASSERT(sizeof(pbr_video) == 240);

typedef struct pbr_audio {
    char sample_format[8];   // libav's name: s16, s32, flt, s16p, fltp …
    uint32_t sample_rate;
    uint32_t channels;
    uint64_t layout_mask;    // WAVE channel mask, 0 where the layout is not native
    char layout[32];         // libav's description: mono, stereo, 5.1 …
    uint32_t plane_count;
    uint32_t block_samples;  // samples of each channel that a buffer holds
    uint64_t plane_size;     // bytes between planes
    uint32_t reserved[8];
} pbr_audio;
PBR_ASSERT(sizeof(pbr_audio) == 104);

typedef struct pbr_coded {
    char codec[24];             // libav's name: h264, hevc, av1, aac, opus, scte_35 …
    int32_t profile, level;     // as in the codec's standard; -99 unknown
    uint32_t extradata_size;    // bytes in the header's extradata area
    uint32_t initial_padding;   // audio: samples a decoder drops at the start
    uint32_t frame_samples;     // audio: samples of one packet
    uint32_t reorder_frames;    // video: pictures by which decoding runs ahead of display
    uint64_t bit_rate;          // bits a second, 0 unknown
    char language[8];           // ISO 639-2/T or BCP 47, empty unknown
    char title[128];            // UTF-8
    uint32_t reserved[8];
} pbr_coded;
PBR_ASSERT(sizeof(pbr_coded) == 224);

typedef struct pbr_format {
    uint32_t type;                           // PBR_TYPE_…
    int32_t time_base_num, time_base_den;    // of the source, for exact conversion back
    uint32_t reserved0;
    pbr_video video;                         // raw and coded video
    pbr_audio audio;                         // raw and coded audio
    pbr_coded coded;                         // all but raw
    uint8_t reserved[440];
} pbr_format;
PBR_ASSERT(sizeof(pbr_format) == 1024);

/// Written before the ring has a name; never changed afterwards.
typedef struct pbr_identity {
    uint64_t magic;
    uint16_t layout_major, layout_minor;
    uint32_t ring_type;            // PBR_RING_…
    uint64_t file_size;            // bytes
    uint32_t generation;           // counts the rings that had this name
    uint32_t clock_domain;         // PBR_CLOCK_…
    uint32_t depth;                // grains in the window
    uint32_t slot_count;           // a power of two, at least depth
    uint32_t buffer_count;         // frame ring
    uint32_t side_data_capacity;   // frame ring: bytes a buffer
    uint64_t buffer_stride;        // frame ring: bytes from one buffer to the next, a multiple of PBR_PAGE
    uint64_t slots_offset;         // frame ring: slot words (8 bytes each); packet ring: pbr_grain
    uint64_t words_offset;         // frame ring: buffer words, PBR_LINE apart
    uint64_t metadata_offset;      // frame ring: for each buffer a pbr_grain, then side data
    uint64_t payload_offset;       // multiple of PBR_PAGE
    uint64_t payload_size;         // bytes; packet ring: of the byte ring, a power of two
    uint32_t writer_holds;         // frame ring: buffers the writer may keep
    uint32_t reserved[5];
} pbr_identity;
PBR_ASSERT(sizeof(pbr_identity) == 120);

typedef struct pbr_reader {
    uint32_t owner;        // word: PBR_READER_…
    uint32_t pid;          // for people; liveness is the lock
    uint32_t lease_limit;  // word: what it may hold at once
    uint32_t leases;       // word: held now
    uint64_t cursor;       // word: next sequence it wants
    uint64_t lost;         // word: grains it was lapped by
    uint64_t taken;        // word: grains it read
    char name[48];
    uint8_t reserved[40];
} pbr_reader;
PBR_ASSERT(sizeof(pbr_reader) == PBR_LINE);

// Offsets in the header. Each line belongs to one party.
#define PBR_AT_IDENTITY 0
#define PBR_AT_HEAD 128            // u64 word, writer: sequence of the next grain
#define PBR_AT_STATE 136           // u32 word, writer: PBR_STATE_…
#define PBR_AT_WAKE 256            // u32 word, writer: counts publishes; readers sleep on it
#define PBR_AT_SLEEPERS 384        // u64 word, readers: bit id while asleep on the wake word
#define PBR_AT_DOORBELL 512        // u32 word, lossless readers: counts advances; a waiting writer sleeps on it
#define PBR_AT_WRITER_WAITS 640    // u32 word, writer: 1 while it waits for the doorbell
#define PBR_AT_OLDEST_VALID 768    // u64 word, writer: packet ring, grains below may be overwritten
#define PBR_AT_WATERMARK 896       // i64 word, writer: no earlier DTS will follow
#define PBR_AT_DROPPED 904         // u64 word, writer: grains dropped because no buffer was free
#define PBR_AT_COPIED 912          // u64 word, any writer thread: grains copied in from the heap
#define PBR_AT_SIDE_DATA_LOST 920  // u64 word, writer: bytes of side data that did not fit
#define PBR_AT_FORMAT 1024
#define PBR_AT_LEASES_ROOM 2052    // u32, identity: bound of the sum over readers of (lease_limit + 1)
#define PBR_AT_REMOVED 2176        // u32 word, anybody: 1 once the ring was deleted, whatever its writer stores as state
#define PBR_AT_EXTRADATA 4096
#define PBR_AT_READERS 8192        // PBR_MAX_READERS × pbr_reader
#define PBR_HEADER_SIZE 16384

// Bytes of the file that are locked (open file description locks) while a party lives.
#define PBR_LOCK_WRITER 0
#define PBR_LOCK_READER 1  // + reader id

#ifdef __cplusplus
}
#endif
#endif
