// Preloaded into a program: counts its allocations by the module (program or library) that asked, in a file that the
// benchmark maps too. Any thread. With ALLOCATIONS_TRACE set, it also writes the callers of the program's own ones from
// the moment on that the benchmark arms it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

enum { MODULES = 127, NAME = 48 };

// What the benchmark reads; Allocations.swift has the same numbers.
struct module {
    _Atomic uint64_t count;
    char name[NAME];
    uint64_t reserved;
};
struct table {
    _Atomic uint32_t used;
    _Atomic uint32_t armed;
    uint8_t reserved[56];
    struct module modules[MODULES];
};

static struct table *table;
static struct { uintptr_t start, end; uint32_t module; } ranges[4 * MODULES];
static _Atomic uint32_t range_count;
static int tracing;
static __thread int is_inside;

static uint32_t module_named(const char *path) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path[0] ? path : "program";
    uint32_t used = atomic_load(&table->used);
    for (uint32_t i = 0; i < used; i++)
        if (strncmp(table->modules[i].name, name, NAME - 1) == 0) return i;
    if (used == MODULES) return MODULES - 1;
    strncpy(table->modules[used].name, name, NAME - 1);
    atomic_store(&table->used, used + 1);
    return used;
}

static int add_ranges(struct dl_phdr_info *info, size_t size, void *unused) {
    (void)size, (void)unused;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uint32_t n = atomic_load(&range_count);
        if (header->p_type != PT_LOAD || !(header->p_flags & PF_X) || n == 4 * MODULES) continue;
        uintptr_t start = info->dlpi_addr + header->p_vaddr;
        ranges[n].start = start;
        ranges[n].end = start + header->p_memsz;
        ranges[n].module = module_named(info->dlpi_name);
        atomic_store(&range_count, n + 1);
    }
    return 0;
}

// Everything that is linked is loaded before main; what comes later (gconv, nss) counts as the last module.
__attribute__((constructor)) static void start(void) {
    const char *path = getenv("ALLOCATIONS_FILE");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *mapped = mmap(NULL, sizeof(struct table), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped == MAP_FAILED) return;
    tracing = getenv("ALLOCATIONS_TRACE") != NULL;
    void *warm[2];
    backtrace(warm, 2);
    struct table *mine = mapped;
    table = mine;
    dl_iterate_phdr(add_ranges, NULL);
}

static void trace(void) {
    void *frames[24];
    backtrace_symbols_fd(frames + 2, backtrace(frames, 24) - 2, 2);
    (void)!write(2, "--\n", 3);
}

static void count(void *caller) {
    if (!table || is_inside) return;
    is_inside = 1;
    uint32_t n = atomic_load(&range_count);
    for (uint32_t i = 0; i < n; i++) {
        if ((uintptr_t)caller < ranges[i].start || (uintptr_t)caller >= ranges[i].end) continue;
        atomic_fetch_add_explicit(&table->modules[ranges[i].module].count, 1, memory_order_relaxed);
        if (tracing && ranges[i].module == 0 && atomic_load(&table->armed)) trace();
        break;
    }
    is_inside = 0;
}

void *malloc(size_t size) { count(__builtin_return_address(0)); return __libc_malloc(size); }
void *calloc(size_t n, size_t size) { count(__builtin_return_address(0)); return __libc_calloc(n, size); }
void *realloc(void *old, size_t size) { count(__builtin_return_address(0)); return __libc_realloc(old, size); }
void *memalign(size_t alignment, size_t size) {
    count(__builtin_return_address(0));
    return __libc_memalign(alignment, size);
}
void *aligned_alloc(size_t alignment, size_t size) {
    count(__builtin_return_address(0));
    return __libc_memalign(alignment, size);
}
int posix_memalign(void **out, size_t alignment, size_t size) {
    count(__builtin_return_address(0));
    void *made = __libc_memalign(alignment, size);
    if (!made) return 12;
    *out = made;
    return 0;
}
