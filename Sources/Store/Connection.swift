// SQLite's connection and statement as handles that are owned once. One thread at a time; blocks for as long as the disk
// does, and up to `busyMilliseconds` for another process's lock.
import CSQLite

/// A database.
struct Connection: ~Copyable {
    private let handle: OpaquePointer
    let path: String

    private static let busyMilliseconds: Int32 = 1000

    /// Opens a file, or makes it.
    init(_ path: String) throws(StoreFault) {
        var opened: OpaquePointer?
        // One thread at a time: SQLite's own locks are left out.
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        let code = sqlite3_open_v2(path, &opened, flags, nil)
        guard let opened else { throw .failed(path: path, "there is no memory left") }
        guard code == SQLITE_OK else {
            let fault = StoreFault(opened, path: path)
            sqlite3_close_v2(opened)
            throw fault
        }
        sqlite3_busy_timeout(opened, Self.busyMilliseconds)
        handle = opened
        self.path = path
    }

    deinit { sqlite3_close_v2(handle) }

    /// Carries out statements that give nothing back.
    func execute(_ sql: String) throws(StoreFault) {
        guard sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK else { throw fault }
    }

    /// One statement, its parameters bound in their order.
    func prepare(_ sql: String, _ values: [StoredValue] = []) throws(StoreFault) -> Statement {
        var made: OpaquePointer?
        guard sqlite3_prepare_v2(handle, sql, -1, &made, nil) == SQLITE_OK, let made else { throw fault }
        let statement = Statement(made, of: handle, path: path)
        for (i, value) in values.enumerated() { try statement.bind(value, at: Int32(i + 1)) }
        return statement
    }

    /// Carries out one statement that gives nothing back.
    func run(_ sql: String, _ values: [StoredValue]) throws(StoreFault) {
        let statement = try prepare(sql, values)
        _ = try statement.step()
    }

    /// The whole number in the first column of the first row, nil without a row and for NULL.
    func integer(_ sql: String, _ values: [StoredValue] = []) throws(StoreFault) -> Int? {
        let statement = try prepare(sql, values)
        return try statement.step() ? statement.integer(0) : nil
    }

    /// The text likewise.
    func text(_ sql: String, _ values: [StoredValue] = []) throws(StoreFault) -> String? {
        let statement = try prepare(sql, values)
        return try statement.step() ? statement.text(0) : nil
    }

    /// All that `body` writes, or nothing of it.
    func transaction(_ body: () throws(StoreFault) -> Void) throws(StoreFault) {
        try execute("BEGIN IMMEDIATE")
        do throws(StoreFault) {
            try body()
            try execute("COMMIT")
        } catch {
            // SQLite has rolled back by itself after some errors; then this one fails, and that is all.
            sqlite3_exec(handle, "ROLLBACK", nil, nil, nil)
            throw error
        }
    }

    private var fault: StoreFault {
        StoreFault(handle, path: path)
    }
}

/// What a parameter is bound to.
enum StoredValue {
    case integer(Int)
    case text(String)
    case null

    init(_ text: String?) { self = text.map(StoredValue.text) ?? .null }
}

/// A prepared statement.
struct Statement: ~Copyable {
    private let handle: OpaquePointer
    /// Outlives the statement: SQLite keeps a closed connection until its last statement has gone.
    private let connection: OpaquePointer
    private let path: String

    fileprivate init(_ handle: OpaquePointer, of connection: OpaquePointer, path: String) {
        self.handle = handle
        self.connection = connection
        self.path = path
    }

    deinit { sqlite3_finalize(handle) }

    fileprivate func bind(_ value: StoredValue, at parameter: Int32) throws(StoreFault) {
        let code =
            switch value {
            case .integer(let number): sqlite3_bind_int64(handle, parameter, Int64(number))
            case .null: sqlite3_bind_null(handle, parameter)
            case .text(var text):
                text.withUTF8 { bytes in
                    bytes.withMemoryRebound(to: CChar.self) {
                        sqlite_bind_text_copy(handle, parameter, $0.baseAddress, Int32($0.count))
                    }
                }
            }
        guard code == SQLITE_OK else { throw fault }
    }

    /// Goes on to the next row; false behind the last.
    func step() throws(StoreFault) -> Bool {
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        default: throw fault
        }
    }

    /// Nil for NULL. Columns count from 0.
    func integer(_ column: Int32) -> Int? {
        sqlite3_column_type(handle, column) == SQLITE_NULL ? nil : Int(sqlite3_column_int64(handle, column))
    }

    /// Nil for NULL.
    func text(_ column: Int32) -> String? {
        guard let bytes = sqlite3_column_text(handle, column) else { return nil }
        let count = Int(sqlite3_column_bytes(handle, column))
        return String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
    }

    private var fault: StoreFault {
        StoreFault(connection, path: path)
    }
}

extension StoreFault {
    /// What a connection says of the call that failed last.
    fileprivate init(_ handle: OpaquePointer, path: String) {
        self.init(
            code: sqlite3_extended_errcode(handle), errno: sqlite3_system_errno(handle),
            String(cString: sqlite3_errmsg(handle)), path: path)
    }
}
