"""Stands in for an engine that misbehaves: answers every POST as told.  registry.py MODE [PATH]"""
import http.server
import json
import socketserver
import sys
import time

mode, path = sys.argv[1], (sys.argv[2] if len(sys.argv) > 2 else "")
refusals = {"taken": 409, "format": 422, "full": 507, "token": 401, "broken": 500, "missing": 404}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        print("asked", json.dumps(asked), self.headers["Host"], self.headers.get("Authorization"), flush=True)
        if mode == "silent":
            time.sleep(30)
        elif mode == "garbage":
            self.wfile.write(b"\x00\xff SSH-2.0 hello\r\n\r\n" * 10)
        elif mode == "dripping":
            for byte in b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}":
                self.wfile.write(bytes([byte]))
                time.sleep(0.2)
        elif mode == "endless":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                self.wfile.write(b"{" * 65536)
        elif mode == "cut":
            self.wfile.write(b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{\"path\": \"/dev")
        elif mode in refusals:
            self.answer(refusals[mode], {"detail": "because \"of\" this", "title": "no"})
        elif mode == "grant":
            self.answer(201, {"layout": {"path": "/nested"}, "list": ["path", "x"], "path": path, "bytes": 1})
        self.close_connection = True

    def answer(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


with Server(("127.0.0.1", 0), Handler) as server:
    print("port", server.server_address[1], flush=True)
    server.serve_forever()
