// Reads a ring to its end and says what it saw: `frozen-reader NAME`. Frames hold their number in every word and in their
// timecode, packets in every byte. The program `frozen-reader` beside this file was built from it once; see README.md.
#include <inttypes.h>
#include <patchbay_ring.h>
#include <stdio.h>

static int is_torn(const pbr_lease *lease, int is_raw) {
    const uint64_t *words = lease->data;
    const unsigned char *bytes = lease->data;
    for (size_t i = 0; is_raw && i < lease->size / 8; i++)
        if (words[i] != lease->grain.timecode) return 1;
    for (size_t i = 0; !is_raw && i < lease->size; i++)
        if (bytes[i] != (lease->grain.timecode & 0xFF)) return 1;
    return 0;
}

int main(int count, char **arguments) {
    pbr_ring_reader *reader;
    pbr_reader_options options = {.start = PBR_START_OLDEST, .timeout = 20000000000};
    if (pbr_reader_attach(&reader, count > 1 ? arguments[1] : "cam1", &options) < 0)
        return printf("attach: %s\n", pbr_last_error_detail()), 1;
    const pbr_format *format = pbr_reader_format(reader);
    printf("type %u %ux%u stride %u rate %d/%d codec %s\n", format->type, format->video.width, format->video.height,
           format->video.stride[0], format->video.rate_num, format->video.rate_den, format->coded.codec);
    uint64_t taken = 0, lost = 0, torn = 0;
    pbr_lease lease;
    int result;
    while ((result = pbr_reader_read(reader, &lease, 20000000000)) >= 0 && result != PBR_READ_ENDED) {
        if (result == PBR_READ_LAPPED) lost += lease.lost;
        if (result != PBR_READ_GRAIN) continue;
        taken++;
        torn += is_torn(&lease, format->type == PBR_TYPE_RAW_VIDEO);
        pbr_release(&lease);
    }
    printf("taken %" PRIu64 " lost %" PRIu64 " torn %" PRIu64 " result %d\n", taken, lost, torn, result);
    pbr_reader_detach(reader);
    return 0;
}
