// What test nodes write down.
import Synchronization

/// Pages by key, each under a lock of its own: whoever loses the processor while it holds one holds up nobody else. One lock
/// for all made every probe of a test late at once.
final class Pages<Page: Sendable>: Sendable {
    private final class Place: Sendable {
        let page: Mutex<Page>
        init(_ page: Page) { self.page = Mutex(page) }
    }
    private let places = Mutex<[String: Place]>([:])
    private let blank: Page

    init(_ blank: Page) { self.blank = blank }

    func read(_ key: String) -> Page { places.withLock { $0[key] }?.page.withLock { $0 } ?? blank }

    func write(_ key: String, _ body: (inout Page) -> Void) {
        let place = places.withLock { places in
            if let place = places[key] { return place }
            let place = Place(blank)
            places[key] = place
            return place
        }
        place.page.withLock { body(&$0) }
    }
}
