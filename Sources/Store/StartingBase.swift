// Which document a run begins with: the file's, or the base that an earlier run stored. A pure decision over parsed JSON,
// so that comments and spacing are aside. Any thread.
package import Graph

/// What goes on air at start.
package enum StartingBase: Sendable, Equatable {
    /// The file, as a new revision: there is no past, or only the file has changed.
    case file
    /// The stored base goes on; the file is the one that it comes from.
    case stored
    /// The stored base goes on, and is the file's own by now.
    case storedIsFile
    /// The stored base goes on, although the file has changed too: somebody must decide.
    case storedBesideChangedFile

    /// - Parameters:
    ///   - file: as it was read, with what `--set` changes.
    ///   - base: what is stored; nil without a past.
    ///   - origin: the file's document that the stored base comes from.
    package init(file: JSON, base: JSON?, origin: JSON?) {
        self =
            if let base {
                if file == origin {
                    .stored
                } else if file == base {
                    .storedIsFile
                } else if base == origin {
                    .file
                } else {
                    .storedBesideChangedFile
                }
            } else { .file }
    }
}
