// What Swift needs of Linux and libc but can't say itself: variadic calls, macros, missing wrappers.
// Each function makes one call and returns its result, or -errno; no decisions here.
#ifndef PATCHBAY_CLINUX_H
#define PATCHBAY_CLINUX_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/futex.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LINUX_SHIM static inline __attribute__((always_inline, unused))

// errno is a macro.
LINUX_SHIM int linux_errno(void) { return errno; }

// strerrordesc_np (glibc 2.32) is thread-safe, unlike strerror; null for an unknown number.
LINUX_SHIM const char *linux_error_text(int number) { return strerrordesc_np(number); }

// environ is a mutable variable.
LINUX_SHIM char **linux_environment(void) { return environ; }

// open, fcntl are variadic.
LINUX_SHIM int linux_open(const char *path, int flags, unsigned mode) {
    int fd = open(path, flags | O_CLOEXEC, (mode_t)mode);
    return fd < 0 ? -errno : fd;
}
LINUX_SHIM int linux_openat(int folder, const char *path, int flags, unsigned mode) {
    int fd = openat(folder, path, flags | O_CLOEXEC, (mode_t)mode);
    return fd < 0 ? -errno : fd;
}

// Open file description locks (fcntl F_OFD_*) are variadic; start and length in bytes.
LINUX_SHIM int linux_lock_byte(int fd, int64_t byte) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1, .l_pid = 0};
    return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}
LINUX_SHIM int linux_unlock_byte(int fd, int64_t byte) {
    struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1, .l_pid = 0};
    return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}
// 1 if somebody else's description holds the byte, 0 if nobody does.
LINUX_SHIM int linux_byte_is_locked(int fd, int64_t byte) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1, .l_pid = 0};
    if (fcntl(fd, F_OFD_GETLK, &lock) < 0) return -errno;
    return lock.l_type != F_UNLCK;
}

// futex has no wrapper in glibc. `deadline` is absolute CLOCK_MONOTONIC nanoseconds, negative for none.
LINUX_SHIM int linux_futex_wait(const void *word, uint32_t expected, int64_t deadline, int shared) {
    struct timespec until = {.tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000};
    long result = syscall(SYS_futex, word, FUTEX_WAIT_BITSET | (shared ? 0 : FUTEX_PRIVATE_FLAG), expected,
                          deadline < 0 ? (struct timespec *)0 : &until, (void *)0, FUTEX_BITSET_MATCH_ANY);
    return result < 0 ? -errno : 0;
}
LINUX_SHIM int linux_futex_wake(const void *word, int count, int shared) {
    long result = syscall(SYS_futex, word, FUTEX_WAKE | (shared ? 0 : FUTEX_PRIVATE_FLAG), count, (void *)0, (void *)0, 0);
    return result < 0 ? -errno : (int)result;
}

// futex_waitv (Linux 5.16) has no wrapper in glibc. Waits until one of `count` (at most 32) shared words is no longer what
// was expected of it. -ENOSYS and -EPERM: this kernel or container has none.
LINUX_SHIM int linux_futex_wait_any(const void *const *words, const uint32_t *expected, int count, int64_t deadline) {
#ifdef SYS_futex_waitv
    struct futex_waitv waiters[32] = {{0}};
    for (int i = 0; i < count && i < 32; i++) {
        waiters[i].uaddr = (uintptr_t)words[i];
        waiters[i].val = expected[i];
        waiters[i].flags = FUTEX_32;
    }
    struct timespec until = {.tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000};
    long result = syscall(SYS_futex_waitv, waiters, count, 0, &until, CLOCK_MONOTONIC);
    return result < 0 ? -errno : (int)result;
#else
    return -ENOSYS;
#endif
}

LINUX_SHIM int64_t linux_monotonic_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
LINUX_SHIM int64_t linux_wall_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
// CPU time of the calling thread.
LINUX_SHIM int64_t linux_thread_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

// MAP_FAILED is a cast macro. Null on failure; errno says why.
LINUX_SHIM void *linux_map(void *at, size_t size, int protection, int flags, int fd, int64_t offset) {
    void *address = mmap(at, size, protection, flags, fd, offset);
    return address == MAP_FAILED ? (void *)0 : address;
}

// Variables of a thread can't be said in Swift. Text of the calling thread, LINUX_THREAD_TEXT bytes; one for each module.
#define LINUX_THREAD_TEXT 512
LINUX_SHIM char *linux_thread_text(void) {
    static __thread char text[LINUX_THREAD_TEXT];
    return text;
}

// program_invocation_short_name is a mutable variable; nothing changes it.
LINUX_SHIM const char *linux_program_name(void) { return program_invocation_short_name; }

// A number for the calling thread that costs no system call: the address of its thread control block.
LINUX_SHIM uintptr_t linux_thread_identity(void) { return (uintptr_t)pthread_self(); }

LINUX_SHIM void linux_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

// A builtin. Asks for the cache line, to be read soon.
LINUX_SHIM void linux_prefetch(const void *address) { __builtin_prefetch(address); }

// The same, of a line that will be written: nobody else has it then.
LINUX_SHIM void linux_prefetch_for_writing(const void *address) {
#if defined(__x86_64__)
    // The builtin asks to read only, unless the compiler is told of a CPU; where there is no such instruction, it is a nop.
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)address));
#else
    __builtin_prefetch(address, 1, 3);
#endif
}

// Swift hides fork. For a process of one thread, whose children are killed by a test.
LINUX_SHIM int linux_fork(void) {
    pid_t pid = fork();
    return pid < 0 ? -errno : (int)pid;
}

// S_ISDIR, WIF… are function-like macros.
LINUX_SHIM int linux_is_directory(const struct stat *status) { return S_ISDIR(status->st_mode); }
LINUX_SHIM int linux_is_regular(const struct stat *status) { return S_ISREG(status->st_mode); }
LINUX_SHIM int linux_exit_status(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

// SIG_IGN and SIG_DFL are casts.
LINUX_SHIM void linux_ignore_signal(int number) { signal(number, SIG_IGN); }
LINUX_SHIM void linux_default_signal(int number) { signal(number, SIG_DFL); }

// sockaddr_in and sockaddr_in6 are cast to sockaddr. Begins to connect a socket that never blocks; it is writable, with
// its SO_ERROR 0, once it is connected. `octets` are 4 or 16 bytes in network order.
LINUX_SHIM int linux_begin_connect(const uint8_t *octets, int count, uint16_t port) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (count == 4) memcpy(&v4.sin_addr, octets, 4);
    else memcpy(&v6.sin6_addr, octets, 16);
    int fd = socket(count == 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    const struct sockaddr *address = count == 4 ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6;
    if (connect(fd, address, count == 4 ? sizeof v4 : sizeof v6) == 0 || errno == EINPROGRESS) return fd;
    int error = errno;
    close(fd);
    return -error;
}
// MSG_NOSIGNAL is an enumerator in some headers and a macro in others.
LINUX_SHIM int linux_no_signal(void) { return MSG_NOSIGNAL; }

// sockaddr_in and sockaddr_in6 are cast to sockaddr. Connects within `seconds`, which later reads and writes are held to
// as well; `octets` are 4 or 16 bytes in network order.
LINUX_SHIM int linux_connect(const uint8_t *octets, int count, uint16_t port, int64_t seconds) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (count == 4) memcpy(&v4.sin_addr, octets, 4);
    else memcpy(&v6.sin6_addr, octets, 16);
    int fd = socket(count == 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    struct timeval limit = {.tv_sec = seconds, .tv_usec = 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    const struct sockaddr *address = count == 4 ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6;
    if (connect(fd, address, count == 4 ? sizeof v4 : sizeof v6) == 0) return fd;
    int error = errno;
    close(fd);
    return -error;
}

#endif
