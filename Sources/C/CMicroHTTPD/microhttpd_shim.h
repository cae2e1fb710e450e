// libmicrohttpd 0.9.75.
#ifndef PATCHBAY_CMICROHTTPD_H
#define PATCHBAY_CMICROHTTPD_H
#include <netinet/in.h>
#include <sys/socket.h>
#include <microhttpd.h>
#endif
