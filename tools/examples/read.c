// Reads a ring and prints what comes: sequence, age, size, losses. Any slot, and any NODE.OUTLET of a running graph.
//   gcc read.c $(pkg-config --cflags --libs patchbay-ring) -o read && ./read cam1
#include <patchbay_ring.h>
#include <stdio.h>
#include <time.h>

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

int main(int count, char **arguments) {
    const int64_t second = 1000000000;
    pbr_ring_reader *reader;
    pbr_reader_options options = {.timeout = 10 * second};
    if (pbr_reader_attach(&reader, count > 1 ? arguments[1] : "cam1", &options) < 0)
        return fprintf(stderr, "read: %s\n", pbr_last_error_detail()), 1;
    for (uint64_t lost = 0;;) {
        pbr_lease lease;
        int result = pbr_reader_read(reader, &lease, second);
        if (result == PBR_READ_GRAIN) {
            printf("sequence %llu age %.1f us size %zu lost %llu\n", (unsigned long long)lease.grain.sequence,
                   (now() - lease.grain.origin) / 1e3, lease.size, (unsigned long long)lost);
            pbr_release(&lease);
        } else if (result == PBR_READ_LAPPED) {
            lost += lease.lost;
        } else if (result == PBR_READ_CHANGED || result == PBR_READ_WRITER_GONE) {
            if (pbr_reader_reopen(reader, 10 * second) < 0) break;
        } else if (result == PBR_READ_ENDED || result == PBR_READ_REMOVED || result < 0) {
            break;
        }
    }
    pbr_reader_detach(reader);
}
