// A program that uses the library as strangers do; the tests start it and read its lines.
//   peer write ID FRAMES MICROSECONDS [WIDTHxHEIGHT] [END|NO_SIGNAL|REMOVED|DIE]
//   peer read NAME FRAMES [LEASES]   every word of a frame is its number, and the number stands in its timecode
//   peer write-packets ID PACKETS MICROSECONDS / peer read-packets NAME PACKETS
//   peer attach NAME…              attaches to each in turn and says what came of it
//   peer alone                       writes and reads sound in one process
//   peer refused                     what no call can take, one line for each: CODE and the detail
#include <inttypes.h>
#include <patchbay_ring.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000ll


// Says what a call answered.
static int failed(const char *what, int code) {
    printf("%s: %d %s\n", what, code, code < 0 ? pbr_last_error_detail() : "");
    return 1;
}

static int finish(pbr_ring_writer *writer, const char *end) {
    if (!strcmp(end, "DIE")) {
        pbr_buffer one, two;
        if (pbr_writer_acquire(writer, &one) < 0 || pbr_writer_acquire(writer, &two) < 0) return failed("die", 1);
        kill(getpid(), SIGKILL);
    }
    pbr_writer_close(writer, !strcmp(end, "REMOVED")     ? PBR_STATE_REMOVED
                             : !strcmp(end, "NO_SIGNAL") ? PBR_STATE_NO_SIGNAL
                                                         : PBR_STATE_ENDED);
    return 0;
}

// BT.2020 and PQ, with what the grading display and the brightest picture were.
static void colour(pbr_video *video) {
    video->sample_aspect_num = 4, video->sample_aspect_den = 3;
    video->primaries = 9, video->transfer = 16, video->matrix = 9, video->range = 1, video->chroma_location = 3;
    video->has_mastering_display = video->has_content_light = 1;
    for (int i = 0; i < 6; i++) video->display_primaries[i] = 1000 * (i + 1);
    video->white_point[0] = 15635, video->white_point[1] = 16450;
    video->max_luminance = 10000000, video->min_luminance = 1;
    video->max_content_light = 1000, video->max_average_light = 400;
}

static int write_frames(const char *id, long frames, long interval, const char *size, const char *end) {
    unsigned width = 320, height = 180;
    sscanf(size, "%ux%u", &width, &height);
    pbr_format format;
    pbr_writer_options options = {.depth = 64};
    pbr_ring_writer *writer;
    int code = pbr_video_format(&format, "uyvy422", width, height, 50, 1);
    if (!strcmp(id, "hdr")) colour(&format.video);
    if (code == PBR_OK) code = pbr_writer_open(&writer, id, &format, &options);
    if (code < 0) return failed("write", code);
    pbr_statistics statistics;
    pbr_writer_statistics(writer, &statistics);
    printf("writing from %" PRIu64 " generation %u registered %u\n", statistics.head, statistics.generation,
           statistics.registered);
    fflush(stdout);
    for (long n = 0; n < frames; n++) {
        pbr_buffer buffer;
        if ((code = pbr_writer_acquire(writer, &buffer)) < 0) return failed("acquire", code);
        uint64_t *words = buffer.data;
        for (size_t i = 0; i < format.video.frame_size / 8; i++) words[i] = (uint32_t)n;
        pbr_grain grain = {.pts = n * SECOND / 50, .timecode = (uint32_t)n};
        if ((code = pbr_writer_publish(writer, &buffer, &grain, NULL, 0)) < 0) return failed("publish", code);
        if (interval > 0) usleep(interval);
    }
    return finish(writer, end);
}

// What the reader reads next.
static uint64_t position(const pbr_ring_reader *reader) {
    pbr_statistics statistics;
    pbr_reader_statistics(reader, &statistics);
    return statistics.head - statistics.lag;
}

// `how` is "spin", or "again" for a reader that goes on behind a truncated ring.
static int read_frames(const char *name, uint64_t frames, uint32_t leases, const char *how) {
    int again = !strcmp(how, "again");
    uint32_t spins = !strcmp(how, "spin");
    pbr_ring_reader *reader;
    pbr_reader_options options = {.timeout = 20 * SECOND, .leases = leases, .start = PBR_START_OLDEST, .spins = spins};
    int code = pbr_reader_attach(&reader, name, &options);
    if (code < 0) return failed("read", code);
    uint64_t taken = 0, lost = 0, before = 0, torn = 0, gaps = 0, discontinuities = 0, next = UINT64_MAX;
    while (taken < frames) {
        pbr_lease lease;
        code = pbr_reader_read(reader, &lease, 20 * SECOND);
        if (code == PBR_READ_GRAIN) {
            const uint64_t *words = lease.data;
            for (size_t i = 0; i < lease.size / 8; i++) {
                if (words[i] != lease.grain.timecode && ++torn) break;
            }
            if (next != UINT64_MAX && lease.grain.sequence != next) gaps++;
            next = lease.grain.sequence + 1;
            discontinuities += (lease.grain.flags & PBR_GRAIN_DISCONTINUITY) != 0;
            // Where it joined: what was lost before its first grain lay behind that.
            if (++taken == 1) printf("reading from %" PRIu64 "\n", lease.grain.sequence - before), fflush(stdout);
            pbr_release(&lease);
        } else if (code == PBR_READ_LAPPED) {
            lost += lease.lost;
            *(taken == 0 ? &before : &next) += lease.lost;
        } else if (code == PBR_READ_CHANGED || code == PBR_READ_REMOVED) {
            printf(code == PBR_READ_CHANGED ? "changed\n" : "removed\n"), fflush(stdout);
            if ((code = pbr_reader_reopen(reader, 20 * SECOND)) < 0) return failed("reopen", code);
            printf("width %u\n", pbr_reader_format(reader)->video.width), fflush(stdout);
        } else if (code == PBR_READ_WRITER_GONE) {
            printf("gone\n"), fflush(stdout);
        } else if (code == PBR_READ_NO_SIGNAL) {
            printf("no signal\n"), fflush(stdout);
        } else if (code == PBR_READ_ENDED) {
            break;
        } else if (code == PBR_ERROR_NOT_A_RING && again) {
            printf("truncated\n"), fflush(stdout);
            // The torn file has the name until another writer comes.
            while (pbr_reader_reopen(reader, 20 * SECOND) == PBR_ERROR_NOT_A_RING) usleep(1000);
            printf("went on at %" PRIu64 "\n", position(reader)), fflush(stdout);
        } else {
            return failed("read", code);
        }
    }
    pbr_statistics statistics;
    pbr_reader_statistics(reader, &statistics);
    printf("taken %" PRIu64 " lost %" PRIu64 " torn %" PRIu64 " gaps %" PRIu64 " discontinuities %" PRIu64
           " counted %" PRIu64 "+%" PRIu64 " leases %u\n",
           taken, lost, torn, gaps, discontinuities, statistics.taken, statistics.lost, statistics.leases);
    pbr_reader_detach(reader);
    return 0;
}

static int write_packets(const char *id, long packets, long interval) {
    pbr_format format;
    pbr_writer_options options = {.bytes = 1 << 20, .extradata = "parameters", .extradata_size = 10};
    pbr_ring_writer *writer;
    int code = pbr_packet_format(&format, PBR_TYPE_CODED_VIDEO, "h264");
    format.video.width = format.video.coded_width = 320, format.video.height = format.video.coded_height = 180;
    format.video.rate_num = 50;
    if (code == PBR_OK) code = pbr_writer_open(&writer, id, &format, &options);
    if (code < 0) return failed("write", code);
    static unsigned char bytes[30000];
    for (long n = 0; n < packets; n++) {
        size_t size = 1 + n * 7919 % sizeof bytes;
        memset(bytes, (int)n, size);
        pbr_grain grain = {.pts = n * SECOND / 50, .dts = n * SECOND / 50, .timecode = (uint32_t)n};
        grain.flags = n % 10 == 0 ? PBR_GRAIN_KEY : 0;
        if ((code = pbr_writer_publish_packet(writer, &grain, bytes, size, "side", 4)) < 0) return failed("packet", code);
        if (interval > 0) usleep(interval);
    }
    return finish(writer, "END");
}

static int read_packets(const char *name, uint64_t packets) {
    pbr_ring_reader *reader;
    pbr_reader_options options = {.timeout = 20 * SECOND, .start = PBR_START_OLDEST};
    int code = pbr_reader_attach(&reader, name, &options);
    if (code < 0) return failed("read", code);
    uint64_t taken = 0, lost = 0, torn = 0;
    size_t extradata;
    const char *parameters = pbr_reader_extradata(reader, &extradata);
    for (pbr_lease lease; taken < packets && (code = pbr_reader_read(reader, &lease, 20 * SECOND)) >= 0;) {
        if (code == PBR_READ_ENDED) break;
        if (code == PBR_READ_LAPPED) lost += lease.lost;
        if (code != PBR_READ_GRAIN) continue;
        const unsigned char *bytes = lease.data;
        size_t wrong = lease.size != 1 + lease.grain.timecode * 7919ull % 30000;
        for (size_t i = 0; i < lease.size; i++) wrong += bytes[i] != (lease.grain.timecode & 0xFF);
        for (size_t i = lease.size; i < lease.size + 64; i++) wrong += bytes[i] != 0;
        wrong += lease.side_data_size != 4 || memcmp(lease.side_data, "side", 4);
        torn += wrong != 0, taken++;
        pbr_release(&lease);
    }
    printf("taken %" PRIu64 " lost %" PRIu64 " torn %" PRIu64 " extradata %.*s\n", taken, lost, torn, (int)extradata,
           parameters);
    pbr_reader_detach(reader);
    return 0;
}

static void open_with(const char *what, const char *id, const pbr_format *format, const pbr_writer_options *options) {
    pbr_ring_writer *writer = (pbr_ring_writer *)&writer;
    int code = pbr_writer_open(&writer, id, format, options);
    failed(what, code);
    if (code >= 0) pbr_writer_close(writer, PBR_STATE_REMOVED);
    else if (writer) printf("%s: left a writer\n", what);
}

static void attach_to(const char *what, const char *name) {
    pbr_ring_reader *reader = (pbr_ring_reader *)&reader;
    int code = pbr_reader_attach(&reader, name, NULL);
    failed(what, code);
    // Whatever the header says, reading must not leave the memory.
    uint64_t sum = 0;
    for (int i = 0; code >= 0 && i < 20; i++) {
        pbr_lease lease;
        int result = pbr_reader_read(reader, &lease, 0);
        if (result != PBR_READ_GRAIN && result != PBR_READ_LAPPED && result != PBR_READ_CORRUPT) break;
        for (size_t at = 0; at < lease.size; at++) sum += ((const unsigned char *)lease.data)[at];
        for (size_t at = 0; at < lease.side_data_size; at++) sum += ((const unsigned char *)lease.side_data)[at];
        pbr_release(&lease);
    }
    if (sum == UINT64_MAX) printf("never\n");
    if (code >= 0) pbr_reader_detach(reader);
    else if (reader) printf("%s: left a reader\n", what);
    fflush(stdout);
}

static int refused(void) {
    pbr_format good, format;
    char long_id[300];
    memset(long_id, 'a', 299), long_id[299] = 0;
    failed("good format", pbr_video_format(&good, "uyvy422", 320, 180, 50, 1));
    const char *ids[] = {"", "..", "../cam", "cam/1", "Cam", "cam.video", ".cam", "-cam", "cam 1", "cam\n", "k\xc3\xa4m", long_id};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) open_with("bad id", ids[i], &good, NULL);
    const char *names[] = {"", "..", "../cam", "cam/1", "/dev/null", "cam..video", "cam.", ".cam", long_id};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) attach_to("bad name", names[i]);
    open_with("null id", NULL, &good, NULL);
    open_with("null format", "cam", NULL, NULL);
    attach_to("null name", NULL);
    attach_to("absent", "nobody-writes-this");
    failed("bad pixels", pbr_video_format(&format, "uyvy423", 320, 180, 50, 1));
    failed("no width", pbr_video_format(&format, "uyvy422", 0, 180, 50, 1));
    failed("huge", pbr_video_format(&format, "uyvy422", 100000, 100000, 50, 1));
    failed("rate zero", pbr_video_format(&format, "uyvy422", 320, 180, 0, 1));
    failed("rate by zero", pbr_video_format(&format, "uyvy422", 320, 180, 50, 0));
    failed("rate below zero", pbr_video_format(&format, "uyvy422", 320, 180, -50, -1));
    failed("null name of pixels", pbr_video_format(&format, NULL, 320, 180, 50, 1));
    failed("null to fill", pbr_video_format(NULL, "uyvy422", 320, 180, 50, 1));
    failed("bad samples", pbr_audio_format(&format, "s17", 48000, "stereo", 960));
    failed("bad layout", pbr_audio_format(&format, "s16", 48000, "quintet", 960));
    failed("no samples", pbr_audio_format(&format, "s16", 48000, "stereo", 0));
    failed("raw packets", pbr_packet_format(&format, PBR_TYPE_RAW_VIDEO, "h264"));
    failed("long codec", pbr_packet_format(&format, PBR_TYPE_DATA, long_id));
    format = good, format.video.stride[0] = 0x80000000u, open_with("absurd stride", "cam", &format, NULL);
    format = good, format.video.plane_offset[0] = 1ull << 63, open_with("absurd offset", "cam", &format, NULL);
    format = good, format.video.rate_num = 0, open_with("zero rate", "cam", &format, NULL);
    format = good, format.video.frame_size = ~0ull, open_with("absurd size", "cam", &format, NULL);
    memset(&format, 0xFF, sizeof format), open_with("noise", "cam", &format, NULL);
    memset(&format, 0, sizeof format), open_with("zeros", "cam", &format, NULL);
    open_with("absurd depth", "cam", &good, &(pbr_writer_options){.depth = ~0u});
    open_with("absurd holds", "cam", &good, &(pbr_writer_options){.holds = ~0u, .reader_buffers = ~0u});
    open_with("extradata", "cam", &good, &(pbr_writer_options){.extradata = long_id, .extradata_size = 1 << 20});
    pbr_ring_writer *writer;
    pbr_buffer buffer = {0}, others[8];
    pbr_grain grain = {0};
    failed("open", pbr_writer_open(&writer, "cam", &good, &(pbr_writer_options){.depth = 4}));
    failed("not lent", pbr_writer_publish(writer, &buffer, &grain, NULL, 0));
    buffer.data = long_id, buffer.index = 1 << 30;
    failed("forged", pbr_writer_publish(writer, &buffer, &grain, NULL, 0));
    pbr_writer_abort(writer, &buffer);
    for (int i = 0; i < 8; i++) failed("many", pbr_writer_acquire(writer, &others[i]) * (i >= 3));
    failed("null grain", pbr_writer_publish(writer, &others[0], NULL, NULL, 0));
    grain.size = ~0u;
    failed("absurd grain", pbr_writer_publish(writer, &others[1], &grain, NULL, 0));
    grain.size = 0;
    failed("twice", pbr_writer_publish(writer, &others[1], &grain, NULL, 0));
    failed("packet in frames", pbr_writer_publish_packet(writer, &grain, "x", 1, NULL, 0));
    failed("state", pbr_writer_set_state(writer, PBR_STATE_SUPERSEDED));
    failed("start", pbr_reader_seek(NULL, 0, 0));
    failed("no writer", pbr_writer_acquire(NULL, &buffer));
    open_with("second writer", "cam", &good, NULL);
    pbr_writer_close(writer, PBR_STATE_REMOVED);
    pbr_writer_close(NULL, PBR_STATE_ENDED), pbr_reader_detach(NULL), pbr_release(NULL);
    attach_to("removed", "cam");
    return 0;
}

// Both ends in one process: audio, places in the window, leases that outlive their reader.
static int alone(void) {
    pbr_format format;
    pbr_ring_writer *writer;
    pbr_ring_reader *reader;
    pbr_reader_options options = {.leases = 3, .start = PBR_START_TIME, .at = 15, .spins = 1, .name = "alone"};
    int code = pbr_audio_format(&format, "fltp", 48000, "5.1", 1024);
    if (code == PBR_OK) code = pbr_writer_open(&writer, "sound", &format, &(pbr_writer_options){.depth = 16});
    if (code < 0) return failed("sound", code);
    const pbr_audio *audio = &pbr_writer_format(writer)->audio;
    for (int n = 0; n < 10; n++) {
        pbr_buffer buffer;
        if ((code = pbr_writer_acquire(writer, &buffer)) < 0) return failed("acquire", code);
        for (uint32_t channel = 0; channel < audio->plane_count; channel++)
            memset((char *)buffer.data + channel * audio->plane_size, n + 1, 1024 * sizeof(float));
        pbr_grain grain = {.pts = 10 * n, .samples = n == 9 ? 100 : 0};
        if ((code = pbr_writer_publish(writer, &buffer, &grain, NULL, 0)) < 0) return failed("publish", code);
    }
    if ((code = pbr_reader_attach(&reader, "sound", &options)) < 0) return failed("attach", code);
    pbr_lease lease, kept[3] = {0};
    if (pbr_reader_read(reader, &kept[0], 0) != PBR_READ_GRAIN) return failed("first", 1);
    printf("planes %u of %" PRIu64 " first pts %" PRId64 " duration %" PRId64 " samples %u\n", audio->plane_count,
           audio->plane_size, kept[0].grain.pts, kept[0].grain.duration, kept[0].grain.samples);
    pbr_reader_seek(reader, PBR_START_SEQUENCE, 9);
    pbr_reader_read(reader, &kept[1], 0);
    printf("sequence %" PRIu64 " samples %u\n", kept[1].grain.sequence, kept[1].grain.samples);
    printf("nothing %d\n", pbr_reader_read(reader, &lease, 2000000));
    pbr_reader_seek(reader, PBR_START_OLDEST, 0);
    pbr_reader_read(reader, &kept[2], 0);
    printf("oldest pts %" PRId64 " then %d\n", kept[2].grain.pts, pbr_reader_read(reader, &lease, 0));
    pbr_statistics statistics;
    pbr_reader_statistics(reader, &statistics);
    printf("leases %u lag %" PRIu64 " taken %" PRIu64 " readers %u alive %u\n", statistics.leases, statistics.lag,
           statistics.taken, statistics.readers, statistics.writer_alive);
    pbr_reader_detach(reader);
    // The writer goes round the ring many times: what is leased stays as it was.
    for (int n = 0; n < 200; n++) {
        pbr_buffer buffer;
        if ((code = pbr_writer_acquire(writer, &buffer)) < 0) return failed("acquire", code);
        memset(buffer.data, 0xEE, buffer.size);
        pbr_writer_publish(writer, &buffer, &(pbr_grain){.pts = n}, NULL, 0);
    }
    printf("kept %d %d %d\n", *(const char *)kept[0].data, *(const char *)kept[1].data, *(const char *)kept[2].data);
    for (int i = 0; i < 3; i++) pbr_release(&kept[i]), pbr_release(&kept[i]);
    pbr_writer_statistics(writer, &statistics);
    printf("leases %u readers %u head %" PRIu64 " dropped %" PRIu64 "\n", statistics.leases, statistics.readers,
           statistics.head, statistics.dropped);
    pbr_writer_close(writer, PBR_STATE_REMOVED);
    return 0;
}

int main(int count, char **arguments) {
    const char *verb = count > 1 ? arguments[1] : "";
    const char *name = count > 2 ? arguments[2] : "cam1";
    long grains = count > 3 ? atol(arguments[3]) : 0, number = count > 4 ? atol(arguments[4]) : 0;
    if (!strcmp(verb, "write"))
        return write_frames(name, grains, number, count > 5 ? arguments[5] : "", count > 6 ? arguments[6] : "END");
    if (!strcmp(verb, "read")) return read_frames(name, (uint64_t)grains, (uint32_t)number, count > 5 ? arguments[5] : "");
    if (!strcmp(verb, "write-packets")) return write_packets(name, grains, number);
    if (!strcmp(verb, "read-packets")) return read_packets(name, (uint64_t)grains);
    if (!strcmp(verb, "refused")) return refused();
    if (!strcmp(verb, "alone")) return alone();
    if (!strcmp(verb, "attach"))
        for (int i = 2; i < count; i++) attach_to(arguments[i], arguments[i]);
    if (!strcmp(verb, "attach")) return 0;
    return 64;
}
