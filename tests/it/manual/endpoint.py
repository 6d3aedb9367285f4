"""An endpoint of an application, as the pages of the manual have one: it takes what it is sent, but for order 0."""

import http.server
import sys


class Endpoint(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.answer(404 if b'"order": 0' in body or b'"order":0' in body else 200)

    def do_GET(self):
        self.answer(200)

    def answer(self, status):
        body = b"ok"
        self.send_response(status)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Endpoint).serve_forever()
