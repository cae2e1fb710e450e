// SQLite 3.40. Each function makes one call; no decisions here.
#ifndef PATCHBAY_CSQLITE_H
#define PATCHBAY_CSQLITE_H
#include <sqlite3.h>

#define SQLITE_SHIM static inline __attribute__((always_inline, unused))

// SQLITE_TRANSIENT is a cast of -1 to a function pointer. Binds a copy of `count` bytes of UTF-8; parameters count from 1.
SQLITE_SHIM int sqlite_bind_text_copy(sqlite3_stmt *statement, int parameter, const char *text, int count) {
    return sqlite3_bind_text(statement, parameter, text, count, SQLITE_TRANSIENT);
}
#endif
