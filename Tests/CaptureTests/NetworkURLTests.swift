// URLs of network sources: taken apart as they are written, and never shown with what is secret.
import Capture
import Testing

@Suite struct NetworkURLTests {
    @Test func partsAreFound() throws {
        let url = try #require(NetworkURL("RTMP://me:pass@[::1]:1936/live/key?token=abc"))
        #expect(url.scheme == "rtmp" && url.host == "::1" && url.port == 1936)
        #expect(url.parameter("token") == "abc" && url.parameter("tok") == nil)
        #expect(try #require(NetworkURL("rtsp://cam.local/h264")).usualPort == 554)
        #expect(try #require(NetworkURL("srt://:9000")).host == "")
        #expect(try #require(NetworkURL("http://h/a@b/c")).host == "h")
    }

    @Test func secretsAreNotShown() throws {
        for (text, key, shown) in [
            ("rtmp://h/live/sesame", nil, "rtmp://h/live/***"), ("rtmp://h/live", "sesame", "rtmp://h/live/***"),
            ("http://u:sesame@h:80/a.m3u8?key=sesame", nil, "http://h:80/a.m3u8?***"),
            ("rtsp://u:sesame@[fe80::1]:554/x", nil, "rtsp://[fe80::1]:554/x"),
        ] as [(String, String?, String)] {
            let url = try #require(NetworkURL(text, key: key))
            #expect(url.shown == shown)
            #expect(url.revealed.contains("sesame"))
            #expect(!url.masked("can't open \(url.revealed), sesame").contains("sesame"))
        }
    }

    @Test func publishersNames() throws {
        #expect(try #require(NetworkURL("rtmp://h:1/live", key: "k1")).publisherName == "k1")
        #expect(try #require(NetworkURL("rtmp://h:1/live/k2")).publisherName == "k2")
        #expect(try #require(NetworkURL("rtmp://h:1/live")).publisherName == nil)
        #expect(try #require(NetworkURL("tcp://h:1/live/k")).publisherName == nil)
        #expect(try #require(NetworkURL("rtsp://u:p@h:1/live", key: "k3")).publisherName == "/live/k3")
        #expect(try #require(NetworkURL("rtsp://h:1/live?a=b")).publisherName == "/live?a=b")
        #expect(try #require(NetworkURL("rtsp://h:1/")).publisherName == nil)
        #expect(try #require(NetworkURL("rtsp://h:1", key: "k4")).publisherName == "/k4")
    }

    @Test func whatIsNoURLIsNone() {
        for text in [
            "", "x", "://", "http://", "http://h:0/", "http://h:99999/", "http://h:x/", "ht tp://h/", "http://h/a b",
            "http://[::1/", "concat:a|b", "http://h/\u{0}",
        ] { #expect(NetworkURL(text) == nil, "\(text)") }
    }
}
