// libpatchbay-ring: write and read the rings of Patchbay from any program. Needs libc alone.
//
//   writer: pbr_video_format → pbr_writer_open → { pbr_writer_acquire → fill → pbr_writer_publish } → pbr_writer_close
//   reader: pbr_reader_attach → { pbr_reader_read → use → pbr_release } → pbr_reader_detach
//
// A ring has one writer and up to 62 readers, in any process. A writer never waits for a reader: who falls behind is
// lapped and told how many grains it lost. A grain is never torn. Structures and codes that both sides share stand in
// patchbay_ring_layout.h. Times are nanoseconds; those of grains follow CLOCK_MONOTONIC (or the sender's clock), and
// PBR_NO_TIME says "not known". Sizes are bytes. Every function that returns int gives 0 or more for what happened, or
// a pbr_error, below 0. Somebody who truncates a ring's file ends nobody: the library's SIGBUS handler (installed with the
// first ring; others' faults go to the handler before it) makes that an error. Handles: one thread at a time each, except where a function says otherwise.
// SPDX-License-Identifier: Apache-2.0
#ifndef PATCHBAY_RING_H
#define PATCHBAY_RING_H

#include <stddef.h>
#include "patchbay_ring_layout.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum pbr_error {
    PBR_OK = 0,
    PBR_ERROR_ARGUMENT = -1,    // null, an id or a number that no call can take: mend the call
    PBR_ERROR_FORMAT = -2,      // an unknown or absurd format, or not the format of this ring
    PBR_ERROR_NOT_FOUND = -3,   // no ring had the name until the deadline
    PBR_ERROR_TAKEN = -4,       // another writer lives on it, or a node of a running graph owns it
    PBR_ERROR_NO_SPACE = -5,    // /dev/shm or the engine's --ring-memory is spent
    PBR_ERROR_NOT_A_RING = -6,  // what has the name is truncated (also later on), foreign or corrupt
    PBR_ERROR_LAYOUT = -7,      // made by a version with another major layout: use that version's library
    PBR_ERROR_NO_PLACE = -8,    // 62 readers are there, or the ring can't promise so many leases
    PBR_ERROR_REFUSED = -9,     // the engine refused for another reason, such as a missing token
    PBR_ERROR_SYSTEM = -10,     // a system call failed
    PBR_ERROR_NO_BUFFER = -11,  // every buffer is in use: drop the grain (it was counted) and go on
    PBR_ERROR_TOO_LARGE = -12,  // a packet larger than half of the byte ring: dropped and counted
    PBR_ERROR_LEASES = -13,     // this reader holds as many grains as it declared: release one
    PBR_ERROR_REMOVED = -14,    // the slot was deleted under its writer: close it and open the slot anew
} pbr_error;

/// What an error code means, in a few words. Static text; any thread.
const char *pbr_strerror(int error);
/// What the calling thread's last failed call found, expected, and what to do about it: one line of UTF-8, empty before
/// the first. Good until the thread's next call. Any thread.
const char *pbr_last_error_detail(void);

// ---- Formats. Each fills the whole structure; what is not asked for (colour, field order, language …) may be set after.

/// Raw video: libav's pixel format name ("uyvy422", "yuv420p" …), pixels, frames a second. Sets plane offsets and strides.
int pbr_video_format(pbr_format *format, const char *pixel_format, uint32_t width, uint32_t height,
                     int32_t rate_num, int32_t rate_den);
/// Raw audio: libav's sample format name ("s16", "fltp" …), samples a second, channel layout ("mono", "stereo", "5.1" …),
/// and how many samples of each channel one grain holds at most.
int pbr_audio_format(pbr_format *format, const char *sample_format, uint32_t sample_rate, const char *layout,
                     uint32_t block_samples);
/// Packets: type is PBR_TYPE_CODED_VIDEO, _CODED_AUDIO, _DATA or _TRANSPORT (codec null there); codec is libav's name.
/// Coded video and audio want size and rate, or sample rate and layout, set in format->video or format->audio.
int pbr_packet_format(pbr_format *format, uint32_t type, const char *codec);

// ---- Writing

typedef struct pbr_ring_writer pbr_ring_writer;

/// All zero is a good choice. Where an engine answers it decides on all but depth and extradata.
typedef struct pbr_writer_options {
    uint32_t depth;             // grains in the window; 0: 120, of packets 1024
    uint32_t holds;             // buffers that are acquired and not yet published, at once; 0: 2
    uint32_t reader_buffers;    // kept for readers: each takes its leases + 1; 0: 24, eight readers of two
    uint32_t reserved0;
    uint64_t bytes;             // packets: size of the byte ring; 0: 4 s at the format's bit rate, 8 MiB if unknown
    const void *extradata;      // parameter sets, AudioSpecificConfig; copied
    size_t extradata_size;      // at most PBR_EXTRADATA_CAPACITY
    uint64_t reserved[8];
} pbr_writer_options;

/// Makes the slot `id` ([a-z0-9][a-z0-9_-]*, 63 characters at most), or takes it over from a writer that died.
/// Registers with the engine at $PATCHBAY_AT (http://localhost:7435; $PATCHBAY_TOKEN is its bearer token), for 2.2 s at
/// most; where no engine answers, the ring is made without it and the engine takes it up when it comes. `options` may
/// be null. *writer is the caller's until pbr_writer_close; null after an error.
int pbr_writer_open(pbr_ring_writer **writer, const char *id, const pbr_format *format,
                    const pbr_writer_options *options);
/// The ring's format: fill buffers by the strides and offsets that stand here. Good until the writer is closed.
const pbr_format *pbr_writer_format(const pbr_ring_writer *writer);

/// A buffer to be filled.
typedef struct pbr_buffer {
    void *data;      // on a page
    size_t size;     // room, bytes
    int32_t index;   // the library's
    uint32_t reserved;
} pbr_buffer;

/// Lends a free buffer; it is the caller's until published or aborted. Never waits. PBR_ERROR_NO_BUFFER: drop the grain.
int pbr_writer_acquire(pbr_ring_writer *writer, pbr_buffer *buffer);
/// Publishes a filled buffer; takes it back also when it fails. Of `grain` the caller sets pts, and what it knows of the
/// rest: duration, origin (0 or PBR_NO_TIME: now), flags, timecode, samples, size (0: the format's). `side_data`: entries
/// of u32 type, u32 size, bytes, padded to 8; may be null; what doesn't fit is dropped and counted.
int pbr_writer_publish(pbr_ring_writer *writer, pbr_buffer *buffer, const pbr_grain *grain,
                       const void *side_data, size_t side_data_size);
/// Gives a buffer back unpublished.
void pbr_writer_abort(pbr_ring_writer *writer, pbr_buffer *buffer);
/// Copies one packet into a packet ring and publishes it. PBR_GRAIN_KEY in grain->flags marks where decoders may start.
int pbr_writer_publish_packet(pbr_ring_writer *writer, const pbr_grain *grain, const void *data, size_t size,
                              const void *side_data, size_t side_data_size);
/// PBR_STATE_NO_SIGNAL while the source delivers nothing, PBR_STATE_ENDED when no grain will follow; the next publish
/// makes it live again.
int pbr_writer_set_state(pbr_ring_writer *writer, uint32_t state);
/// Ends writing and frees the handle. `state` is what readers find: PBR_STATE_NO_SIGNAL (a successor will come),
/// PBR_STATE_ENDED, or PBR_STATE_REMOVED, which takes the slot's name away as well. Null is allowed.
void pbr_writer_close(pbr_ring_writer *writer, uint32_t state);

// ---- Reading

typedef struct pbr_ring_reader pbr_ring_reader;

typedef enum pbr_start {
    PBR_START_NEWEST = 0,      // the newest grain; of coded tracks the newest that a decoder can start at
    PBR_START_NEXT = 1,        // the next that is published
    PBR_START_OLDEST = 2,      // the oldest in the window
    PBR_START_SEQUENCE = 3,    // this sequence, or as near as the window allows
    PBR_START_TIME = 4,        // the first grain with pts at or after this time
} pbr_start;

/// All zero is a good choice.
typedef struct pbr_reader_options {
    uint32_t start;      // PBR_START_…
    uint32_t leases;     // raw: grains held at once; 0: 2
    int64_t at;          // the sequence or the time of `start`
    int64_t timeout;     // how long a ring that isn't there yet is waited for
    uint32_t spins;      // 1: pbr_reader_read spins instead of sleeping: a core for a few microseconds
    uint32_t reserved0;
    const char *name;    // shown to operators, 47 bytes at most; null: the program's name
    uint64_t reserved[8];
} pbr_reader_options;

/// Joins the ring `name`: a slot's id, or NODE.OUTLET of a running graph ("live.video"). Needs no engine. `options` may
/// be null. *reader is the caller's until pbr_reader_detach; null after an error.
int pbr_reader_attach(pbr_ring_reader **reader, const char *name, const pbr_reader_options *options);
/// Leaves. Leases outlive the reader, packets don't. Null is allowed.
void pbr_reader_detach(pbr_ring_reader *reader);

typedef enum pbr_read_result {
    PBR_READ_GRAIN = 0,        // *lease holds it until pbr_release
    PBR_READ_TIMEOUT = 1,      // nothing new
    PBR_READ_LAPPED = 2,       // lease->lost grains went by unread; the next read goes on behind them
    PBR_READ_NO_SIGNAL = 3,    // the writer lives, its source delivers nothing; told once
    PBR_READ_WRITER_GONE = 4,  // the writer died; a successor may go on with the same ring; told once
    PBR_READ_CHANGED = 5,      // all was read; the name has a ring of another format now: pbr_reader_reopen
    PBR_READ_ENDED = 6,        // all was read and no more will follow, for now
    PBR_READ_REMOVED = 7,      // all was read and the name is gone
    PBR_READ_CORRUPT = 8,      // a grain that no correct writer makes was skipped
} pbr_read_result;

/// One grain, read-only.
typedef struct pbr_lease {
    pbr_grain grain;
    const void *data;        // raw: in shared memory, nothing was copied; packets: the reader's copy, 64 zeros behind it
    size_t size;
    const void *side_data;   // framed as for pbr_writer_publish; null without any
    size_t side_data_size;
    uint64_t lost;           // PBR_READ_LAPPED
    void *owner;             // the library's
    uint64_t reserved[2];
} pbr_lease;

/// Reads the next grain, waiting for it at most `timeout` (0: not at all; below 0: for ever). The writer never waits for a
/// lease; a packet is good until the reader's next read. Returns pbr_read_result or an error.
int pbr_reader_read(pbr_ring_reader *reader, pbr_lease *lease, int64_t timeout);
/// Ends a lease; a second time, or a lease that holds nothing, does no harm. Any thread, also after pbr_reader_detach.
void pbr_release(pbr_lease *lease);
/// Goes on at another place in the window; `start` and `at` as in the options. 0 or an error.
int pbr_reader_seek(pbr_ring_reader *reader, uint32_t start, int64_t at);
/// After PBR_READ_CHANGED, _ENDED, _REMOVED or _WRITER_GONE: joins whatever ring has the name now, where this reader stood.
/// Waits at most `timeout` for one. After an error the reader still has its old ring.
int pbr_reader_reopen(pbr_ring_reader *reader, int64_t timeout);
/// The format; it never changes but by pbr_reader_reopen. Good until then or until the reader is detached.
const pbr_format *pbr_reader_format(const pbr_ring_reader *reader);
/// The header's extradata and, in *size, its bytes; likewise good.
const void *pbr_reader_extradata(const pbr_ring_reader *reader, size_t *size);

// ---- Looking

typedef struct pbr_statistics {
    uint64_t head;            // sequence of the next grain: how many were published since the slot was made
    uint64_t lag;             // reader: grains between it and head
    uint64_t lost, taken;     // reader: grains it was lapped by, and read
    uint64_t dropped;         // grains that the writer had no buffer for
    uint64_t side_data_lost;  // bytes that did not fit
    int64_t age;              // since the origin of the newest grain this end saw; PBR_NO_TIME before one
    uint32_t state;           // PBR_STATE_…
    uint32_t writer_alive;    // 1 or 0
    uint32_t readers;         // on this ring
    uint32_t leases;          // held now: by this reader; for a writer by all of them
    uint32_t generation;      // counts the rings that had this name
    uint32_t depth;           // grains in the window
    uint32_t registered;      // writer: 1 when an engine answered
    uint32_t reserved0;
    uint64_t reserved[6];
} pbr_statistics;

/// A few system calls: once a second is fine, once a grain is not.
int pbr_writer_statistics(const pbr_ring_writer *writer, pbr_statistics *statistics);
int pbr_reader_statistics(const pbr_ring_reader *reader, pbr_statistics *statistics);

#ifdef __cplusplus
}
#endif
#endif
