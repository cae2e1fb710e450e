// GStreamer's input-selector as a rival of the failover: two ports that transport streams are sent to, and the selector
// between them, which leaves an input when its udpsrc says that nothing has come for 100 ms.
//
//     selector raw|coded PORT PORT
//
// `raw`: both are decoded, and the selector chooses between pictures; their first rows go to standard output, gray, as the
// benchmark reads them. `coded`: the selector chooses between packets, wherever in a GOP it comes; a transport stream goes to
// standard output.
#include <glib-unix.h>
#include <gst/gst.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static GstElement *selector;
static GstPad *sinks[2];
static gint64 last_bytes[2];
static int active;
static GMainLoop *loop;

static void fail(const char *what) {
    fprintf(stderr, "selector: %s\n", what);
    exit(1);
}

static GstPadProbeReturn note_bytes(GstPad *pad, GstPadProbeInfo *info, gpointer input) {
    (void)pad;
    (void)info;
    __atomic_store_n(&last_bytes[GPOINTER_TO_INT(input)], g_get_monotonic_time(), __ATOMIC_RELAXED);
    return GST_PAD_PROBE_OK;
}

static void timed_out(const char *name) {
    int input = name[0] == 'b';
    gint64 silence = g_get_monotonic_time() - __atomic_load_n(&last_bytes[1 - input], __ATOMIC_RELAXED);
    if (input != active || silence > 100000) return;
    active = 1 - input;
    g_object_set(selector, "active-pad", sinks[active], NULL);
}

static gboolean hear(GstBus *bus, GstMessage *message, gpointer data) {
    (void)bus;
    (void)data;
    const GstStructure *words = gst_message_get_structure(message);
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ELEMENT && words && gst_structure_has_name(words, "GstUDPSrcTimeout"))
        timed_out(GST_MESSAGE_SRC_NAME(message));
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
        GError *error = NULL;
        gst_message_parse_error(message, &error, NULL);
        fail(error->message);
    }
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_EOS) g_main_loop_quit(loop);
    return TRUE;
}

static gboolean stop(gpointer data) {
    (void)data;
    g_main_loop_quit(loop);
    return FALSE;
}

int main(int count, char **words) {
    if (count != 4) fail("selector raw|coded PORT PORT");
    gst_init(NULL, NULL);
    int is_raw = !strcmp(words[1], "raw");
    const char *branch =
        is_raw ? "h264parse ! avdec_h264 ! videocrop bottom=704 ! videoconvert ! video/x-raw,format=GRAY8" : "h264parse";
    const char *tail = is_raw ? "" : "! h264parse config-interval=-1 ! mpegtsmux";
    char *text = g_strdup_printf(
        "input-selector name=selector sync-streams=false %s ! fdsink fd=1 sync=false "
        "udpsrc name=a port=%s timeout=100000000 buffer-size=4000000 ! video/mpegts,systemstream=true,packetsize=188 "
        "! tsdemux ! %s ! queue ! selector.sink_0 "
        "udpsrc name=b port=%s timeout=100000000 buffer-size=4000000 ! video/mpegts,systemstream=true,packetsize=188 "
        "! tsdemux ! %s ! queue ! selector.sink_1",
        tail, words[2], branch, words[3], branch);
    GError *error = NULL;
    GstElement *pipeline = gst_parse_launch(text, &error);
    if (error) fail(error->message);
    selector = gst_bin_get_by_name(GST_BIN(pipeline), "selector");
    const char *sources[] = {"a", "b"}, *names[] = {"sink_0", "sink_1"};
    for (int i = 0; i < 2; i++) {
        sinks[i] = gst_element_get_static_pad(selector, names[i]);
        GstElement *source = gst_bin_get_by_name(GST_BIN(pipeline), sources[i]);
        if (!sinks[i] || !source) fail("the pipeline is not as it should be");
        GstPad *pad = gst_element_get_static_pad(source, "src");
        gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, note_bytes, GINT_TO_POINTER(i), NULL);
    }
    g_object_set(selector, "active-pad", sinks[0], NULL);
    gst_bus_add_watch(gst_element_get_bus(pipeline), hear, NULL);
    loop = g_main_loop_new(NULL, FALSE);
    g_unix_signal_add(SIGTERM, stop, NULL);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    g_main_loop_run(loop);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    return 0;
}
