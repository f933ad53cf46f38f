"""File server that can truncate responses, ignore range requests or return errors."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lookalike.adapters.weights import DETECTOR, RESNET50, VOCABULARY

WEIGHTS = {file.name: file.name.encode() * 1000 for file in (DETECTOR, VOCABULARY, RESNET50)}
"""Small files with the names of the full models' weights."""
CHECKSUMS = ",".join(f"{name}={hashlib.sha256(data).hexdigest()}" for name, data in WEIGHTS.items())
"""The value of MODELS_SHA256 for these files."""


class FileServer(ThreadingHTTPServer):
    """Serves `files` by name.

    `truncate_after`: numbers of bytes after which the next responses end. `statuses`: error statuses of the next responses.
    `supports_ranges`: whether Range headers are respected. `requested_ranges`: Range headers of all requests.
    """

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.supports_ranges = files, True
        self.truncate_after: list[int] = []
        self.statuses: list[int] = []
        self.requested_ranges: list[str | None] = []

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Responds to GET requests."""

    server: FileServer

    def do_GET(self) -> None:
        """Send a file or the requested range of it."""
        range_header, server = self.headers["Range"], self.server
        server.requested_ranges.append(range_header)
        data = server.files.get(self.path.removeprefix("/"))
        if server.statuses or data is None:
            self.send_error(server.statuses.pop(0) if server.statuses else 404)
            return
        is_partial = bool(range_header) and server.supports_ranges
        start = int(range_header.removeprefix("bytes=").removesuffix("-")) if is_partial else 0
        if start >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if is_partial else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.wfile.write(data[start:][: server.truncate_after.pop(0)] if server.truncate_after else data[start:])

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def file_server(files: dict[str, bytes]) -> Iterator[FileServer]:
    """Run a file server on a free port."""
    with FileServer(files) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
