// libebur128 1.2.6; its functions import as they are.
#ifndef PATCHBAY_CEBUR128_H
#define PATCHBAY_CEBUR128_H
#include <ebur128.h>
#include <math.h>

// The modes are an enumeration of sums, which Swift has as values that can't be added. With histograms the memory of an
// integrated measurement doesn't grow with its length. Its true peak is half of what all takes, and is not asked for.
static inline __attribute__((always_inline, unused)) int ebur128_loudness_modes(void) {
    return EBUR128_MODE_M | EBUR128_MODE_S | EBUR128_MODE_I | EBUR128_MODE_HISTOGRAM;
}
// Of a magnitude, against full scale; Swift has no logarithm of its own.
static inline __attribute__((always_inline, unused)) double ebur128_decibels(double magnitude) {
    return 20 * log10(magnitude);
}
#endif
