"""An RTSP server (RFC 2326): whoever plays gets what the publisher sends, interleaved in the TCP connection.

rtsp.py PORT COMMAND...: starts the command, the publisher, once it listens. Ends with it.
"""
import socketserver
import subprocess
import sys
import threading


class Peer(socketserver.StreamRequestHandler):
    """A publisher or a player, by what it asks for."""

    description = b""  # the publisher's, for all
    players = set()
    lock = threading.Lock()

    def handle(self):
        self.channels = {}  # by track, the last part of SETUP's URL
        self.is_publisher = False
        try:
            while first := self.rfile.read(1):
                if first == b"$":
                    self.take_frame()
                elif not self.answer((first + self.rfile.readline()).decode().split()):
                    return
        except (ConnectionError, ValueError):
            return
        finally:
            with Peer.lock:
                Peer.players.discard(self)

    def take_frame(self):
        channel = self.rfile.read(1)[0]
        size = self.rfile.read(2)
        frame = size + self.rfile.read(int.from_bytes(size, "big"))
        tracks = [track for track, first in self.channels.items() if channel - first in (0, 1)]
        if not self.is_publisher or not tracks:
            return
        with Peer.lock:
            for player in Peer.players:
                first = player.channels.get(tracks[0])
                if first is not None:
                    player.send(b"$" + bytes([first + channel - self.channels[tracks[0]]]) + frame)

    def answer(self, request):
        """False at the end of the session."""
        method, url, _ = request
        headers = {}
        while line := self.rfile.readline().strip().decode():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = self.rfile.read(int(headers.get("content-length", 0)))
        status, extra, content = "200 OK", "", b""
        if method == "OPTIONS":
            extra = "Public: ANNOUNCE, DESCRIBE, SETUP, RECORD, PLAY, TEARDOWN\r\n"
        elif method == "ANNOUNCE":
            self.is_publisher, Peer.description = True, body
        elif method == "DESCRIBE" and not Peer.description:
            status = "404 Not Found"
        elif method == "DESCRIBE":
            extra, content = f"Content-Base: {url}/\r\nContent-Type: application/sdp\r\n", Peer.description
        elif method == "SETUP" and "interleaved=" not in headers["transport"]:
            status = "461 Unsupported Transport"
        elif method == "SETUP":
            self.channels[url.rsplit("/", 1)[1]] = int(headers["transport"].split("interleaved=")[1].split("-")[0])
            extra = f"Transport: {headers['transport']}\r\n"
        head = f"RTSP/1.0 {status}\r\nCSeq: {headers['cseq']}\r\nSession: 20261122\r\n{extra}"
        with Peer.lock:
            self.send(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
            if method == "PLAY":
                Peer.players.add(self)
        return method != "TEARDOWN"

    def send(self, data):
        try:
            self.wfile.write(data)
        except ConnectionError:
            pass


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


with Server(("127.0.0.1", int(sys.argv[1])), Peer) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.exit(subprocess.call(sys.argv[2:]))
