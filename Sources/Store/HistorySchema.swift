// The tables of a history, its version, and how a file is judged when it is opened. One thread at a time.

/// What `graph.sqlite` holds.
enum HistorySchema {
    /// `PBGH` in the file's header: what `file` and SQLite's own tools show.
    static let applicationID = 0x5042_4748
    static let version = 1

    private static let tables = """
        CREATE TABLE revision (
          number INTEGER PRIMARY KEY,
          previous INTEGER NOT NULL,
          time INTEGER NOT NULL,
          author TEXT NOT NULL,
          reason TEXT,
          patch TEXT NOT NULL,
          inverse TEXT NOT NULL,
          document TEXT,
          outcome TEXT CHECK (outcome IN ('committed', 'undone')),
          cause TEXT
        ) STRICT;
        CREATE TABLE overlay (
          id INTEGER PRIMARY KEY,
          author TEXT NOT NULL,
          time INTEGER NOT NULL,
          reason TEXT,
          patch TEXT NOT NULL
        ) STRICT;
        CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
        """

    /// Sees to it that the file is a history of this version. One of a newer version, or of another program, is only
    /// looked at.
    static func prepare(_ connection: borrowing Connection, limitBytes: Int) throws(StoreFault) {
        let id = try connection.integer("PRAGMA application_id") ?? 0
        let found = try connection.integer("PRAGMA user_version") ?? 0
        let isEmpty = try connection.integer("SELECT count(*) FROM sqlite_schema") == 0
        let isNew = id == 0 && found == 0 && isEmpty
        guard isNew || id == applicationID else { throw .foreign(path: connection.path) }
        guard found <= version else { throw .newer(path: connection.path, version: found) }
        if try connection.text("PRAGMA journal_mode = WAL") != "wal" {
            throw .failed(path: connection.path, "its disk does not take a write-ahead log")
        }
        // Of the default of 2 MiB of pages nearly all are never read again; a quarter of a MiB holds the newest revisions.
        try connection.execute(
            "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 4194304; PRAGMA cache_size = -256")
        let page = try connection.integer("PRAGMA page_size") ?? 4096
        _ = try connection.integer("PRAGMA max_page_count = \(max(limitBytes / page, 16))")
        if isNew {
            try connection.transaction { () throws(StoreFault) in
                try connection.execute(tables)
                try connection.execute("PRAGMA application_id = \(applicationID); PRAGMA user_version = \(version)")
            }
        }
        let verdict = try connection.text("PRAGMA quick_check(1)") ?? ""
        guard verdict == "ok" else { throw .corrupt(path: connection.path, verdict) }
    }
}
