// What the HTTP side counts, and its bounds, so that every bound is visible in the metrics.

internal import Synchronization

/// Counters shared by all listeners. Any thread may read; HTTP threads write.
package final class HTTPCounters: Sendable {
    let requests = Atomic<Int>(0)
    let connections = Atomic<Int>(0)
    /// Clients that listen to events now.
    let streams = Atomic<Int>(0)
    let refusedConnections = Atomic<Int>(0)
    let displacedConnections = Atomic<Int>(0)
    let sentBytes = Atomic<Int>(0)

    package init() {}

    /// Requests answered, refused ones included.
    package var requestCount: Int { requests.load(ordering: .relaxed) }
    /// Connections open now.
    package var connectionCount: Int { connections.load(ordering: .relaxed) }

    /// In Prometheus' text format 0.0.4.
    package var exposition: [UInt8] {
        var text = ""
        func metric(_ name: String, _ type: String, _ help: String, _ value: Int) {
            text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n\(name) \(value)\n"
        }
        func total(_ name: String, _ help: String, _ value: borrowing Atomic<Int>) {
            metric("patchbay_http_\(name)_total", "counter", help, value.load(ordering: .relaxed))
        }
        metric("patchbay_http_connections", "gauge", "HTTP connections open now.", connectionCount)
        metric(
            "patchbay_http_connections_limit", "gauge", "HTTP connections that one listener holds at most.",
            Admission.Limits.standard.connections)
        metric(
            "patchbay_http_streams", "gauge", "Connections that listen to events now.", streams.load(ordering: .relaxed)
        )
        metric(
            "patchbay_http_streams_limit", "gauge", "Connections that may listen to events on one listener.",
            Admission.Limits.standard.streams)
        total("requests", "HTTP requests answered.", requests)
        total("refused_connections", "Connections closed on arrival because there were too many.", refusedConnections)
        total("displaced_connections", "Idle connections closed to make room for new ones.", displacedConnections)
        total("sent_bytes", "Bytes of content given to connections to send.", sentBytes)
        return Array(text.utf8)
    }
}
