// liburing 2.3; its static inline functions import as they are.
#ifndef PATCHBAY_CURING_H
#define PATCHBAY_CURING_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <liburing.h>
#endif
