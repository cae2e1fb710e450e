// Writes a slot: a bar that moves through a grey picture, 50 frames a second, until Ctrl-C or for so many frames.
//   gcc write.c $(pkg-config --cflags --libs patchbay-ring) -o write && ./write cam1 [FRAMES]
#include <patchbay_ring.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static volatile sig_atomic_t stopped;
static void stop(int signal) { (void)signal, stopped = 1; }

int main(int count, char **arguments) {
    long frames = count > 2 ? atol(arguments[2]) : -1;
    pbr_format format;
    pbr_ring_writer *writer;
    if (pbr_video_format(&format, "uyvy422", 640, 360, 50, 1) < 0
        || pbr_writer_open(&writer, count > 1 ? arguments[1] : "cam1", &format, NULL) < 0)
        return fprintf(stderr, "write: %s\n", pbr_last_error_detail()), 1;
    signal(SIGINT, stop), signal(SIGTERM, stop);
    const pbr_video *video = &pbr_writer_format(writer)->video;
    struct timespec due;
    clock_gettime(CLOCK_MONOTONIC, &due);
    for (long n = 0; n != frames && !stopped; n++) {
        pbr_buffer buffer;
        if (pbr_writer_acquire(writer, &buffer) == PBR_OK) {  // else every buffer is in use: this frame is dropped
            for (uint32_t y = 0; y < video->height; y++) {
                unsigned char *line = (unsigned char *)buffer.data + video->plane_offset[0] + y * video->stride[0];
                memset(line, 0x80, 2 * video->width);
                memset(line + 2 * (4 * n % video->width), 0xEB, 16);
            }
            pbr_grain grain = {.pts = due.tv_sec * 1000000000ll + due.tv_nsec};
            if (pbr_writer_publish(writer, &buffer, &grain, NULL, 0) < 0)  // somebody deleted the slot
                return fprintf(stderr, "write: %s\n", pbr_last_error_detail()), 1;
        }
        if ((due.tv_nsec += 20000000) >= 1000000000) due.tv_nsec -= 1000000000, due.tv_sec++;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
    }
    pbr_writer_close(writer, stopped ? PBR_STATE_REMOVED : PBR_STATE_ENDED);
}
