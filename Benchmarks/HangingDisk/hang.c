// Preloaded into a program: the disk below a folder hangs while the benchmark says so. Every call that would change a
// file there waits: writes, syncs, names, new files. io_uring can't be had, since its writes pass no function that could
// be replaced; what the program does without it waits here. Any thread.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

// What the benchmark maps too; HangingDisk.swift has the same order.
struct table {
    _Atomic uint32_t hangs;
    _Atomic uint32_t waited;
};

static struct table *table;
static const char *folder;

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("HANG_FILE");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *mapped = mmap(NULL, sizeof(struct table), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    folder = getenv("HANG_FOLDER");
    if (mapped != MAP_FAILED && folder) table = mapped;
}

static int is_below(const char *path) {
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static void wait_while_hanging(void) {
    int error = errno;
    atomic_fetch_add(&table->waited, 1);
    while (atomic_load(&table->hangs)) usleep(1000);
    errno = error;
}

static void touch_path(const char *path) {
    if (table && atomic_load(&table->hangs) && is_below(path)) wait_while_hanging();
}

static void touch_at(int file) {
    if (!table || !atomic_load(&table->hangs)) return;
    int error = errno;
    char name[64], path[4096];
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    ssize_t length = readlink(name, path, sizeof path - 1);
    errno = error;
    if (length <= 0) return;
    path[length] = 0;
    if (is_below(path)) wait_while_hanging();
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define ON_FILE(result, name, parameters, ...) \
    result name parameters { touch_at(file); return NEXT(name)(__VA_ARGS__); }

ON_FILE(ssize_t, write, (int file, const void *bytes, size_t count), file, bytes, count)
ON_FILE(ssize_t, pwrite, (int file, const void *bytes, size_t count, off_t at), file, bytes, count, at)
ON_FILE(ssize_t, pwrite64, (int file, const void *bytes, size_t count, off64_t at), file, bytes, count, at)
ON_FILE(ssize_t, writev, (int file, const struct iovec *parts, int count), file, parts, count)
ON_FILE(ssize_t, pwritev, (int file, const struct iovec *parts, int count, off_t at), file, parts, count, at)
ON_FILE(int, fsync, (int file), file)
ON_FILE(int, fdatasync, (int file), file)
ON_FILE(int, ftruncate, (int file, off_t size), file, size)
ON_FILE(int, ftruncate64, (int file, off64_t size), file, size)
ON_FILE(int, posix_fallocate, (int file, off_t at, off_t size), file, at, size)
ON_FILE(int, fallocate, (int file, int mode, off_t at, off_t size), file, mode, at, size)

int rename(const char *from, const char *to) { touch_path(from); return NEXT(rename)(from, to); }
int unlink(const char *path) { touch_path(path); return NEXT(unlink)(path); }
int mkdir(const char *path, mode_t mode) { touch_path(path); return NEXT(mkdir)(path, mode); }

#define WITH_MODE(last) \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, last); mode = va_arg(rest, mode_t); va_end(rest); }

int open(const char *path, int flags, ...) {
    WITH_MODE(flags)
    if (flags & O_ACCMODE) touch_path(path);
    return NEXT(open)(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    WITH_MODE(flags)
    if (flags & O_ACCMODE) touch_path(path);
    return NEXT(open64)(path, flags, mode);
}
int openat(int parent, const char *path, int flags, ...) {
    WITH_MODE(flags)
    if (flags & O_ACCMODE) path[0] == '/' ? touch_path(path) : touch_at(parent);
    return NEXT(openat)(parent, path, flags, mode);
}

// liburing's: no ring, as on a kernel without it.
struct io_uring;
int io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags);
int io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags) {
    (void)entries, (void)ring, (void)flags;
    return -ENOSYS;
}
