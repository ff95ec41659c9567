"""Mirrors and the hub of weights, on this machine: a folder over HTTP."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder; what stands below a `resolve/COMMIT/` has the headers of the hub."""

    def end_headers(self) -> None:
        """Add the commit and the version of a file, without which the hub's client refuses it."""
        parts = Path(self.path).parts
        if "resolve" in parts:
            self.send_header("X-Repo-Commit", parts[parts.index("resolve") + 1])
            self.send_header("ETag", f'"{abs(hash(self.path)):x}"')
        super().end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Keep a list of what was asked for instead of printing it."""
        assert isinstance(self.server, Server)
        self.server.asked.append(f"{self.command} {self.path}")


class Server(http.server.ThreadingHTTPServer):
    """Serves `folder` on a free port; `asked` are the requests so far."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Serve a folder while the context lasts."""
    server = Server(folder)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
