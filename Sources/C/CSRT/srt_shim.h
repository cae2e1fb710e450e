// libsrt 1.5. The headers are libsrt-openssl-dev's; the library is the one that Debian's libavformat has loaded
// (libsrt-gnutls): two copies of SRT in one process crash at exit.
#ifndef PATCHBAY_CSRT_H
#define PATCHBAY_CSRT_H
#include <srt/srt.h>
#include <srt/access_control.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <string.h>
#endif
