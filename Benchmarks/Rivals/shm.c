// GStreamer's shmsink and shmsrc as a rival of the frame ring: a source of our own that fills 1920x1080 UYVY frames by
// memcpy, shmsink in this process, shmsrc in R others.
//
//     shm READERS RATE SECONDS direct|copy one|apart|free
//
// RATE 0 is as fast as it goes. `direct`: the source fills shmsink's own memory, as its allocator gives it. `copy`: the
// source's memory comes from the heap, and shmsink copies it. Prints one JSON line with the names of RingBench's scenes;
// latency is from the filled frame's stamp, which lies in its first bytes, to the buffer that leaves shmsrc.
#define _GNU_SOURCE
#include <gst/base/gstpushsrc.h>
#include <gst/gst.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FRAME = 1920 * 1080 * 2, FRAMES = 1 << 15, READERS = 16, WARMING = 10 };

// What the processes share. Times are nanoseconds, 0 where no frame came.
struct board {
    int64_t times[READERS][FRAMES];
    int64_t calls[FRAMES];
    int64_t received[READERS];
    int64_t processor[READERS];
};

static struct board *board;
static char socket_path[64];
static int readers;
static double rate, seconds;

static int64_t clock_of(clockid_t id) {
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void move_to(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

static void fail(const char *what) {
    fprintf(stderr, "shm: %s\n", what);
    exit(1);
}

// The source: it has a frame when its time has come, and fills the memory that downstream gave.

typedef struct { GstPushSrc parent; } Camera;
typedef struct { GstPushSrcClass parent; } CameraClass;
G_DEFINE_TYPE(Camera, camera, GST_TYPE_PUSH_SRC)

static uint8_t *picture;
static int64_t sent, filling, started, processor_at_start, processor_at_end, ended;
static int connected, is_direct = 1;

static GstFlowReturn camera_fill(GstPushSrc *source, GstBuffer *buffer) {
    (void)source;
    while (g_atomic_int_get(&connected) < readers) usleep(1000);
    int64_t now = clock_of(CLOCK_MONOTONIC);
    if (sent == WARMING) {
        started = now;
        processor_at_start = clock_of(CLOCK_PROCESS_CPUTIME_ID);
        filling = 0;
    }
    // What the last push took: shmsink's render, and the way there.
    if (sent > WARMING && sent <= FRAMES) board->calls[sent - 1] = now - board->calls[sent - 1];
    if (sent == FRAMES || (sent > WARMING && now - started >= seconds * 1e9)) {
        processor_at_end = clock_of(CLOCK_PROCESS_CPUTIME_ID);
        ended = now;
        return GST_FLOW_EOS;
    }
    if (rate > 0) {
        static int64_t due;
        if (!due) due = now;
        due += 1e9 / rate;
        struct timespec until = {due / 1000000000, due % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    }
    GstMemory *memory = gst_buffer_peek_memory(buffer, 0);
    // GstShmSinkAllocator.
    is_direct &= strstr(G_OBJECT_TYPE_NAME(memory->allocator), "ShmSink") != NULL;
    GstMapInfo map;
    if (!gst_buffer_map(buffer, &map, GST_MAP_WRITE)) return GST_FLOW_ERROR;
    int64_t before = clock_of(CLOCK_THREAD_CPUTIME_ID);
    memcpy(map.data, picture, FRAME);
    filling += clock_of(CLOCK_THREAD_CPUTIME_ID) - before;
    int64_t head[2] = {sent, clock_of(CLOCK_MONOTONIC)};
    memcpy(map.data, head, sizeof head);
    gst_buffer_unmap(buffer, &map);
    board->calls[sent] = head[1];
    sent++;
    return GST_FLOW_OK;
}

static void camera_init(Camera *camera) { gst_base_src_set_blocksize(GST_BASE_SRC(camera), FRAME); }

static void camera_class_init(CameraClass *class) {
    GstCaps *caps = gst_caps_from_string("video/x-raw,format=UYVY,width=1920,height=1080,framerate=50/1");
    GstElementClass *element = GST_ELEMENT_CLASS(class);
    gst_element_class_add_pad_template(element, gst_pad_template_new("src", GST_PAD_SRC, GST_PAD_ALWAYS, caps));
    gst_element_class_set_static_metadata(element, "Camera", "Source", "Fills frames by memcpy", "Patchbay");
    gst_caps_unref(caps);
    GST_PUSH_SRC_CLASS(class)->fill = camera_fill;
}

// A reader: what leaves shmsrc, and when.

static GstPadProbeReturn note(GstPad *pad, GstPadProbeInfo *info, gpointer reader_number) {
    (void)pad;
    int64_t now = clock_of(CLOCK_MONOTONIC), head[2];
    int reader = GPOINTER_TO_INT(reader_number);
    gst_buffer_extract(GST_PAD_PROBE_INFO_BUFFER(info), 0, head, sizeof head);
    if (head[0] < WARMING || head[0] >= FRAMES) return GST_PAD_PROBE_OK;
    static int64_t processor;
    if (!processor) processor = clock_of(CLOCK_PROCESS_CPUTIME_ID);
    board->times[reader][head[0]] = now - head[1];
    board->received[reader]++;
    board->processor[reader] = clock_of(CLOCK_PROCESS_CPUTIME_ID) - processor;
    return GST_PAD_PROBE_OK;
}

static void read_frames(int reader) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (access(socket_path, F_OK) != 0) usleep(2000);
    gst_init(NULL, NULL);
    char words[160];
    snprintf(words, sizeof words, "shmsrc name=in socket-path=%s ! fakesink sync=false", socket_path);
    GstElement *pipeline = gst_parse_launch(words, NULL);
    if (!pipeline) fail("there is no shmsrc");
    GstElement *in = gst_bin_get_by_name(GST_BIN(pipeline), "in");
    gst_pad_add_probe(
        gst_element_get_static_pad(in, "src"), GST_PAD_PROBE_TYPE_BUFFER, note, GINT_TO_POINTER(reader), NULL);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    // The end of the stream or, as shmsink says no such thing, the end of the connection.
    gst_bus_timed_pop_filtered(
        gst_element_get_bus(pipeline), GST_CLOCK_TIME_NONE, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
    _exit(0);
}

static void count_client(GstElement *sink, int client, gpointer unused) {
    (void)sink, (void)client, (void)unused;
    g_atomic_int_inc(&connected);
}

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void print_times(const char *name, int64_t *times, int count) {
    qsort(times, count, sizeof *times, ascending);
    double at[3] = {0.5, 0.99, 0.999};
    for (int i = 0; i < 3; i++) {
        int place = count * at[i];
        at[i] = count ? times[place < count ? place : count - 1] / 1e3 : 0;
    }
    printf("\"%s\":{\"count\":%d,\"p50\":%.2f,\"p99\":%.2f,\"p99.9\":%.2f},", name, count, at[0], at[1], at[2]);
}

static void print_result(void) {
    static int64_t last[FRAMES], calls[FRAMES];
    int lasts = 0, called = 0;
    for (int64_t frame = WARMING; frame < sent; frame++) {
        int64_t slowest = 0;
        int missed = 0;
        for (int reader = 0; reader < readers; reader++) {
            int64_t time = board->times[reader][frame];
            missed |= time == 0;
            if (time > slowest) slowest = time;
        }
        if (!missed) last[lasts++] = slowest;
        calls[called++] = board->calls[frame];
    }
    double frames = sent - WARMING;
    int64_t reading = 0;
    printf("{\"sent\":%.0f,\"dropped\":0,\"direct\":%s,\"received\":[", frames, is_direct ? "true" : "false");
    for (int reader = 0; reader < readers; reader++) {
        printf("%s%ld", reader ? "," : "", (long)board->received[reader]);
        reading += board->processor[reader];
    }
    printf("],");
    print_times("last", last, lasts);
    print_times("call", calls, called);
    printf("\"framesPerSecond\":%.2f,", frames * 1e9 / (ended - started));
    printf(
        "\"sender\":%.2f,\"readers\":%.2f}\n", (processor_at_end - processor_at_start - filling) / 1e3 / frames,
        reading / 1e3 / frames);
}

int main(int count, char **words) {
    if (count != 6) fail("usage: shm READERS RATE SECONDS direct|copy one|apart|free");
    readers = atoi(words[1]);
    rate = atof(words[2]);
    seconds = atof(words[3]);
    int copies = strcmp(words[4], "copy") == 0;
    int others = sysconf(_SC_NPROCESSORS_ONLN) - 1;
    if (readers < 1 || readers > READERS || seconds <= 0) fail("too many readers, or no time");
    snprintf(socket_path, sizeof socket_path, "/tmp/patchbay-bench-%d.socket", (int)getpid());
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED) fail("no memory");
    for (int reader = 0; reader < readers; reader++) {
        if (fork() != 0) continue;
        if (strcmp(words[5], "free") != 0) move_to(words[5][0] == 'o' || others < 1 ? 0 : 1 + reader % others);
        read_frames(reader);
    }
    if (strcmp(words[5], "free") != 0) move_to(0);
    picture = aligned_alloc(4096, FRAME);
    memset(picture, 0x80, FRAME);
    gst_init(NULL, NULL);
    GstElement *pipeline = gst_pipeline_new(NULL), *camera = g_object_new(camera_get_type(), NULL);
    GstElement *between = gst_element_factory_make("identity", NULL), *sink = gst_element_factory_make("shmsink", NULL);
    if (!between || !sink) fail("there is no shmsink");
    g_object_set(between, "drop-allocation", copies, NULL);
    g_object_set(
        sink, "socket-path", socket_path, "shm-size", (16u + 4 * readers) * (FRAME + 4096), "sync", FALSE, "wait-for-connection", FALSE,
        NULL);
    g_signal_connect(sink, "client-connected", G_CALLBACK(count_client), NULL);
    gst_bin_add_many(GST_BIN(pipeline), camera, between, sink, NULL);
    if (!gst_element_link_many(camera, between, sink, NULL)) fail("the pipeline can't be linked");
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    gst_bus_timed_pop_filtered(gst_element_get_bus(pipeline), GST_CLOCK_TIME_NONE, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    for (int reader = 0; reader < readers; reader++) wait(NULL);
    unlink(socket_path);
    print_result();
}
