"""A server of files that breaks off, ignores ranges, or answers otherwise, as it is told."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lookalike.adapters.weights import DETECTOR, RESNET50, VOCABULARY

WEIGHTS = {file.name: file.name.encode() * 1000 for file in (DETECTOR, VOCABULARY, RESNET50)}
"""Small files under the names of the full models' weights."""
SUMS = ",".join(f"{name}={hashlib.sha256(data).hexdigest()}" for name, data in WEIGHTS.items())
"""What MODELS_SHA256 has to say of them."""


class FileServer(ThreadingHTTPServer):
    """`files` by name. `breaks`: after so many bytes each of the next answers ends; `statuses`: of the next answers.

    `asked`: the ranges of every request so far.
    """

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.knows_ranges = files, True
        self.breaks: list[int] = []
        self.statuses: list[int] = []
        self.asked: list[str | None] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        asked, server = self.headers["Range"], self.server
        server.asked.append(asked)
        data = server.files.get(self.path.removeprefix("/"))
        if server.statuses or data is None:
            self.send_error(server.statuses.pop(0) if server.statuses else 404)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and server.knows_ranges else 0
        if start >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if asked and server.knows_ranges else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.wfile.write(data[start:][: server.breaks.pop(0)] if server.breaks else data[start:])

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def file_server(files: dict[str, bytes]) -> Iterator[FileServer]:
    with FileServer(files) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
