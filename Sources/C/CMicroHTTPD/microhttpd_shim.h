// What Swift needs of libmicrohttpd 0.9.75 but can't say itself: its option list and enum constants, and the parts of
// the sockets headers that CLinux has no use for. Each function makes one call; no decisions here.
#ifndef PATCHBAY_CMICROHTTPD_H
#define PATCHBAY_CMICROHTTPD_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <microhttpd.h>

#define MICROHTTPD_SHIM static inline __attribute__((always_inline, unused))

// Socket addresses: unions by cast, which Swift can't say, and whose fields it finds in whichever module it met first.
// `octets` is 4 or 16 bytes in network order; ports are in host order.
MICROHTTPD_SHIM socklen_t microhttpd_fill(struct sockaddr_storage *storage, const uint8_t *octets, int count,
                                          uint16_t port) {
    memset(storage, 0, sizeof *storage);
    if (count == 4) {
        struct sockaddr_in *address = (struct sockaddr_in *)storage;
        address->sin_family = AF_INET;
        address->sin_port = htons(port);
        memcpy(&address->sin_addr, octets, 4);
        return sizeof *address;
    }
    struct sockaddr_in6 *address = (struct sockaddr_in6 *)storage;
    address->sin6_family = AF_INET6;
    address->sin6_port = htons(port);
    memcpy(&address->sin6_addr, octets, 16);
    return sizeof *address;
}
// How many bytes of `octets` (at least 16) were written: 4, 16, or 0 for another family.
MICROHTTPD_SHIM int microhttpd_octets(const struct sockaddr *address, uint8_t *octets, uint16_t *port) {
    if (address && address->sa_family == AF_INET) {
        const struct sockaddr_in *internet = (const struct sockaddr_in *)address;
        *port = ntohs(internet->sin_port);
        memcpy(octets, &internet->sin_addr, 4);
        return 4;
    }
    if (address && address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *internet = (const struct sockaddr_in6 *)address;
        *port = ntohs(internet->sin6_port);
        memcpy(octets, &internet->sin6_addr, 16);
        return 16;
    }
    return 0;
}
MICROHTTPD_SHIM int microhttpd_bind(int fd, const uint8_t *octets, int count, uint16_t port) {
    struct sockaddr_storage storage;
    socklen_t length = microhttpd_fill(&storage, octets, count, port);
    return bind(fd, (const struct sockaddr *)&storage, length);
}
MICROHTTPD_SHIM int microhttpd_connect(int fd, const uint8_t *octets, int count, uint16_t port) {
    struct sockaddr_storage storage;
    socklen_t length = microhttpd_fill(&storage, octets, count, port);
    return connect(fd, (const struct sockaddr *)&storage, length);
}
// The port that a socket is bound to, or -1.
MICROHTTPD_SHIM int microhttpd_local_port(int fd) {
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    uint8_t octets[16];
    uint16_t port;
    if (getsockname(fd, (struct sockaddr *)&storage, &length) != 0) return -1;
    return microhttpd_octets((const struct sockaddr *)&storage, octets, &port) ? port : -1;
}

// The answers of callbacks: MHD_Result is a plain enum in some headers and a macro in others.
MICROHTTPD_SHIM enum MHD_Result microhttpd_yes(void) { return MHD_YES; }
MICROHTTPD_SHIM enum MHD_Result microhttpd_no(void) { return MHD_NO; }
MICROHTTPD_SHIM int microhttpd_is_yes(enum MHD_Result result) { return result == MHD_YES; }

// What MHD calls on its thread; `cls` is the first argument of each.
struct microhttpd_callbacks {
    MHD_AcceptPolicyCallback accept;
    void *(*line)(void *cls, const char *uri, struct MHD_Connection *connection);
    MHD_AccessHandlerCallback request;
    MHD_RequestCompletedCallback completed;
    MHD_NotifyConnectionCallback connection;
    void *cls;
};

// MHD_start_daemon is variadic. One thread of MHD's own, epoll, suspend and resume; `listener` is bound and listening
// and becomes MHD's. Null on failure.
MICROHTTPD_SHIM struct MHD_Daemon *microhttpd_start(int listener, unsigned connections, unsigned timeout_seconds,
                                                    size_t connection_memory, struct microhttpd_callbacks callbacks) {
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_LISTEN_SOCKET, listener, (void *)0},
        {MHD_OPTION_CONNECTION_LIMIT, connections, (void *)0},
        {MHD_OPTION_CONNECTION_TIMEOUT, timeout_seconds, (void *)0},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)connection_memory, (void *)0},
        {MHD_OPTION_STRICT_FOR_CLIENT, 1, (void *)0},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)callbacks.line, callbacks.cls},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)callbacks.completed, callbacks.cls},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)callbacks.connection, callbacks.cls},
        {MHD_OPTION_END, 0, (void *)0},
    };
    return MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, callbacks.accept,
                            callbacks.cls, callbacks.request, callbacks.cls, MHD_OPTION_ARRAY, options,
                            MHD_OPTION_END);
}

// MHD_get_connection_info returns a union by pointer; the socket, or -1.
MICROHTTPD_SHIM int microhttpd_socket(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? info->connect_fd : -1;
}
MICROHTTPD_SHIM const struct sockaddr *microhttpd_peer(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return info ? info->client_addr : (const struct sockaddr *)0;
}

MICROHTTPD_SHIM int microhttpd_has_started(enum MHD_ConnectionNotificationCode code) {
    return code == MHD_CONNECTION_NOTIFY_STARTED;
}

// Calls `each` for every header of the request, with lengths.
MICROHTTPD_SHIM int microhttpd_headers(struct MHD_Connection *connection, MHD_KeyValueIteratorN each, void *cls) {
    return MHD_get_connection_values_n(connection, MHD_HEADER_KIND, each, cls);
}

// Macros with casts, which Swift doesn't see.
MICROHTTPD_SHIM uint64_t microhttpd_size_unknown(void) { return MHD_SIZE_UNKNOWN; }
MICROHTTPD_SHIM ssize_t microhttpd_end_of_stream(void) { return MHD_CONTENT_READER_END_OF_STREAM; }

// An empty body: the pointer is never read.
MICROHTTPD_SHIM struct MHD_Response *microhttpd_empty_response(void) {
    return MHD_create_response_from_buffer(0, (void *)0, MHD_RESPMEM_PERSISTENT);
}

#endif
