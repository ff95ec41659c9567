"""A real HTTP server that fails in the ways it is told, and keeps count of what it served."""

import http.server
import re
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

# Begins as an archive does.
CONTENT = b"\x1f\x8b" + bytes(range(256)) * 1_000


@dataclass
class Reply:
    """One answer; `upto` cuts it at that byte of the file, `announce` is the length it claims."""

    content: bytes = CONTENT
    code: int = 200
    headers: dict = field(default_factory=dict)
    ranges: bool = True
    upto: int | None = None
    announce: int | None = None
    claim: str | None = None  # a Content-Range of its own
    stall_s: float = 0
    piece: int = 1 << 16
    pause_s: float = 0


class Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.do_GET(head=True)

    def do_GET(self, head=False):
        server = self.server
        with server.answering():
            with server.mutex:
                asked = self.headers.get("Range")
                server.asked.append((self.command, self.path, asked, dict(self.headers)))
                replies = server.plan.get(self.path, [Reply(code=404)])
                reply = replies.pop(0) if len(replies) > 1 else replies[0]
            with suppress(OSError):  # the client was killed
                self.answer(reply, asked, head)
        server.stopping.wait(0 if head else reply.stall_s)

    def answer(self, reply, asked, head):
        start, end, code = 0, len(reply.content), reply.code
        headers = {"Content-Type": "application/octet-stream", **reply.headers}
        same = self.headers.get("If-Range") in (None, reply.headers.get("ETag"))
        if reply.ranges and asked and same and code == 200:
            first, last = re.fullmatch(r"bytes=(\d+)-(\d*)", asked).groups()
            start = int(first)
            if start >= end:
                code, headers["Content-Range"], start = 416, f"bytes */{end}", end
            else:
                end = min(end, int(last) + 1) if last else end
                code = 206
                headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(reply.content)}"
        if reply.claim and code == 206:
            headers["Content-Range"] = reply.claim
        length = end - start if reply.announce is None else reply.announce
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        if length >= 0:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if not head:
            self.body(reply, start, end if reply.upto is None else min(end, reply.upto))

    def body(self, reply, start, end):
        for position in range(start, end, reply.piece):
            piece = reply.content[position : min(position + reply.piece, end)]
            self.wfile.write(piece)
            with self.server.mutex:
                self.server.served += len(piece)
            time.sleep(reply.pause_s)
        self.wfile.flush()

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    """`plan` maps a path to its replies in turn; the last one is given again and again."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.plan, self.asked, self.served, self.answers = {}, [], 0, 0
        self.mutex, self.stopping = threading.Lock(), threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def gives(self, *replies, path="/file.tgz"):
        self.plan[path] = list(replies)
        return self.url + path

    @contextmanager
    def answering(self):
        with self.mutex:
            self.answers += 1
        try:
            yield
        finally:
            with self.mutex:
                self.answers -= 1

    def count_anew(self):
        """Count from 0 what is served, once a client that has gone is not sent to any more."""
        end = time.monotonic() + 60
        while self.answers:
            assert time.monotonic() < end, "an answer without end"
            time.sleep(0.005)
        self.served = 0

    def ranges(self):
        return [asked for _, _, asked, _ in self.asked]

    def paths(self):
        return [path for _, path, _, _ in self.asked]


@contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()
