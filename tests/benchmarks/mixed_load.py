"""Several clients that search, upload, delete and cancel at the same time, and what they measure."""

import base64
import os
import random
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.server import HttpResponse, Server

SHARES = {"search": 0.65, "upload": 0.2, "delete": 0.1, "cancel": 0.05}
"""How often each operation is chosen."""


@dataclass
class LoadResult:
    """Latencies in seconds by operation, responses by operation and status, and the server's memory in MB."""

    seconds: float
    latencies: dict[str, list[float]] = field(default_factory=dict)
    statuses: dict[tuple[str, int], int] = field(default_factory=dict)
    memory: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def requests_per_second(self) -> float:
        """Completed requests of all clients."""
        return sum(map(len, self.latencies.values())) / self.seconds

    def add(self, operation: str, seconds: float, response: HttpResponse) -> None:
        """Record one request."""
        with self.lock:
            self.latencies.setdefault(operation, []).append(seconds)
            key = operation, response.status
            self.statuses[key] = self.statuses.get(key, 0) + 1

    def milliseconds(self, operation: str, percentile: int) -> float:
        """Return a percentile of the latency."""
        return statistics.quantiles(self.latencies[operation], n=100)[percentile - 1] * 1000

    def describe(self) -> str:
        """Return the number of responses by operation and status."""
        return ", ".join(
            f"{operation} {status}: {count}" for (operation, status), count in sorted(self.statuses.items())
        )


class LoadClient:
    """One client with random choices of its own."""

    def __init__(self, server: Server, photos: Sequence[bytes], number: int, result: LoadResult) -> None:
        self.server, self.number, self.result = server, number, result
        self.random, self.garments = random.Random(number), list[str]()
        self.photos = [base64.b64encode(photo).decode() for photo in photos]

    def run(self, end: float) -> None:
        """Send requests until that time."""
        while time.monotonic() < end:
            operation = self.random.choices([*SHARES], [*SHARES.values()])[0]
            getattr(self, operation)()

    def send(self, operation: str, method: str, path: str, fields: Any = None) -> HttpResponse:
        """Send a request and record it."""
        start = time.perf_counter()
        response = self.server.request(method, path, fields, self.server.admin_headers)
        self.result.add(operation, time.perf_counter() - start, response)
        return response

    def search(self, **fields: Any) -> None:
        """Search for the garments of a photo."""
        include = self.random.choice(["image", "thumbnail", "url", "none"])
        body = {"image_base64": self.random.choice(self.photos), "segment": True, "include": include}
        self.send("search", "POST", "/relay_image", {**body, **fields})

    def upload(self) -> None:
        """Upload a photo under a new name."""
        body = {"image_base64": self.random.choice(self.photos), "image_name": f"{self.number}-{time.time_ns()}"}
        response = self.send("upload", "POST", "/upload_image", body)
        if response.status == 200:
            self.garments += [segment["splitted_image_id"] for segment in response.json["data"]["segments"]]

    def delete(self) -> None:
        """Delete a garment that this client has uploaded."""
        if self.garments:
            name = self.garments.pop(self.random.randrange(len(self.garments)))
            self.send("delete", "DELETE", f"/splitted_images/{name}")

    def cancel(self) -> None:
        """Start a search and cancel it."""
        request_id = f"{self.number}-{time.time_ns()}"
        search = threading.Thread(target=self.search, kwargs={"request_id": request_id})
        search.start()
        time.sleep(0.02)
        self.send("cancel", "POST", f"/cancel_request/{request_id}")
        search.join()


def run_mixed_load(server: Server, photos: Sequence[bytes], clients: int, seconds: float) -> LoadResult:
    """Let the clients send requests for that time."""
    result, end = LoadResult(seconds), time.monotonic() + seconds
    members = [LoadClient(server, photos, number, result) for number in range(clients)]
    threads = [threading.Thread(target=member.run, args=(end,)) for member in members]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    result.memory = max(resident_megabytes(pid) for pid in process_tree(server))
    return result


def process_tree(server: Server) -> list[int]:
    """Return the process ids of the server's parent process and its workers."""
    assert server.process is not None
    parent = server.process.pid
    return [parent, *map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())]


def resident_megabytes(pid: int) -> float:
    """Return the resident memory of a process; 0 if it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
