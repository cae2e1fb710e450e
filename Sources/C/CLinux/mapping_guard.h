// SIGBUS on a shared mapping: when another process truncates the file, the next touch of a lost page kills whoever
// touches it. The handler here puts zero pages over the whole of that mapping and marks it broken; every other SIGBUS
// goes to the handler that was there before.
//
// Why this isn't Swift: a handler runs between any two instructions, and Swift doesn't promise that globals, generics or
// exclusivity checks take no lock and allocate nothing there. Only loads, stores and mmap happen here.
// The state lies in a function, so that it exists once for each compiled file that calls it: Rings calls it from one.
#ifndef PATCHBAY_MAPPING_GUARD_H
#define PATCHBAY_MAPPING_GUARD_H

#include "linux.h"

#define LINUX_GUARD_CAPACITY 4096  // mappings of one process

#define LINUX_GUARD static inline __attribute__((unused))

// `base` is 0 for a free entry, 1 for one that is being filled.
struct linux_guarded {
    uintptr_t base;
    size_t size;
    uint32_t is_broken;
};

struct linux_guard_state {
    struct linux_guarded entries[LINUX_GUARD_CAPACITY];
    uint32_t used;  // no entry at or above was ever filled
    struct sigaction previous;
    int error;
};

LINUX_GUARD struct linux_guard_state *linux_guard_state(void) {
    static struct linux_guard_state state;
    return &state;
}

// Puts zero pages over the mapping that holds `address`. 0 where no guarded mapping does.
LINUX_GUARD int linux_guard_repair(uintptr_t address) {
    struct linux_guard_state *state = linux_guard_state();
    uint32_t used = __atomic_load_n(&state->used, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < used; i++) {
        struct linux_guarded *entry = &state->entries[i];
        uintptr_t base = __atomic_load_n(&entry->base, __ATOMIC_ACQUIRE);
        size_t size = __atomic_load_n(&entry->size, __ATOMIC_RELAXED);
        if (base <= 1 || address - base >= size) continue;
        // Marked first: whoever reads a zero page finds the mark.
        __atomic_store_n(&entry->is_broken, 1, __ATOMIC_SEQ_CST);
        int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
        return mmap((void *)base, size, PROT_READ | PROT_WRITE, flags, -1, 0) != MAP_FAILED;
    }
    return 0;
}

LINUX_GUARD void linux_guard_pass_on(int number, siginfo_t *info, void *context) {
    const struct sigaction *previous = &linux_guard_state()->previous;
    if (previous->sa_flags & SA_SIGINFO) return previous->sa_sigaction(number, info, context);
    int is_fault = info->si_code > 0;
    if (previous->sa_handler == SIG_IGN && !is_fault) return;
    if (previous->sa_handler != SIG_IGN && previous->sa_handler != SIG_DFL) return previous->sa_handler(number);
    // A fault happens again when this returns, and the kernel ends the process as if nobody had been in between.
    signal(number, SIG_DFL);
    if (!is_fault) raise(number);
}

LINUX_GUARD void linux_guard_handler(int number, siginfo_t *info, void *context) {
    int error = errno;
    // A SIGBUS that somebody sent has no address.
    if (info->si_code <= 0 || !linux_guard_repair((uintptr_t)info->si_addr)) linux_guard_pass_on(number, info, context);
    errno = error;
}

LINUX_GUARD void linux_guard_install(void) {
    struct linux_guard_state *state = linux_guard_state();
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = linux_guard_handler;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    // The old one is known before the new one can run.
    if (sigaction(SIGBUS, NULL, &state->previous) < 0 || sigaction(SIGBUS, &action, NULL) < 0) state->error = errno;
}

// Guards the memory from `base` on; installs the handler the first time. Null with errno where there is no entry left.
LINUX_GUARD struct linux_guarded *linux_guard_add(void *base, size_t size) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, linux_guard_install);
    struct linux_guard_state *state = linux_guard_state();
    errno = state->error;
    if (state->error) return NULL;
    for (uint32_t i = 0; i < LINUX_GUARD_CAPACITY; i++) {
        struct linux_guarded *entry = &state->entries[i];
        uintptr_t none = 0;
        if (!__atomic_compare_exchange_n(&entry->base, &none, 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) continue;
        __atomic_store_n(&entry->is_broken, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&entry->size, size, __ATOMIC_RELAXED);
        __atomic_store_n(&entry->base, (uintptr_t)base, __ATOMIC_RELEASE);
        uint32_t used = __atomic_load_n(&state->used, __ATOMIC_RELAXED);
        while (used < i + 1 &&
               !__atomic_compare_exchange_n(&state->used, &used, i + 1, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {}
        return entry;
    }
    errno = ENFILE;
    return NULL;
}

// To be called before the memory is unmapped.
LINUX_GUARD void linux_guard_remove(struct linux_guarded *entry) { __atomic_store_n(&entry->base, 0, __ATOMIC_RELEASE); }

// Whether zero pages stand where the file was. Any file may call this: it needs no state but the entry's.
LINUX_SHIM int linux_guard_is_broken(const struct linux_guarded *entry) {
    return __atomic_load_n(&entry->is_broken, __ATOMIC_RELAXED) != 0;
}

#endif
