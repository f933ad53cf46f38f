"""Helpers for servers with the full models: requests, and measurements of the CPU time that they use."""

import io
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from PIL import Image

from tests.e2e.server import HttpResponse, Server, encode_base64
from tests.full import reference_models

IDLE_SHARE, BUSY_SHARE = 0.15, 1.2
"""CPU seconds per second below which a process is idle, and above which two cores detect in a photo."""
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
"""Units of CPU time in a second, in /proc."""


def full_model_settings(weights: Path, **more: str) -> dict[str, str]:
    """Return the settings of a server with the weights in that folder, and `more` settings."""
    models = {"MODELS": "full", "MODELS_DIR": str(weights), "MODELS_SHA256": reference_models.checksums(weights)}
    return models | {"REQUEST_TIMEOUT": "600", "REINDEX_EVERY": "0"} | more


def split_photo(server: Server, photo: bytes, **fields: str) -> HttpResponse:
    """Call `/split_image`, which detects garments and stores nothing."""
    return server.request("POST", "/split_image", {"image_base64": encode_base64(photo), **fields})


def segment_results(response: HttpResponse) -> list[Any]:
    """Return the box, label and score of each segment in a successful response."""
    assert response.status == 200, response.body[:300]
    segments = response.json["data"]["segments"]
    return [(segment["bounding_box"], segment["label"], segment["score"]) for segment in segments]


def panorama() -> bytes:
    """Return a photo of fourteen tiles, in which a detection takes more than ten seconds on two cores."""
    data = io.BytesIO()
    Image.effect_noise((39_000, 1000), 60).convert("RGB").save(data, "JPEG", quality=30)
    return data.getvalue()


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that all threads of the process have used."""
    # utime and stime; the command name before them may contain spaces (proc_pid_stat(5))
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def worker_pid(server: Server) -> int:
    """Return the id of the process that gunicorn forked."""
    assert server.process
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    return int(children.split()[0])


def cpu_share(pid: int, seconds: float = 0.1) -> float:
    """Measure for that long how many CPU seconds the process uses per second."""
    before = cpu_seconds(pid)
    time.sleep(seconds)
    return (cpu_seconds(pid) - before) / seconds


def wait_until_idle(pid: int) -> float:
    """Wait until the process has been idle for a tenth of a second. Returns when that began, in monotonic seconds."""
    while True:
        started = time.monotonic()
        if cpu_share(pid) <= IDLE_SHARE:
            return started


def measure_cancellations(server: Server, other: Server, times: int) -> list[float]:
    """Cancel detections of `server` through `other`, a server on the same database, one after the other.

    Returns the seconds from each response to the cancellation until the first server is idle.
    """
    photo, pid, delays = panorama(), worker_pid(server), []
    with ThreadPoolExecutor() as pool:
        for number in range(times):
            running = pool.submit(split_photo, server, photo, request_id=f"long-{number}")
            while cpu_share(pid) < BUSY_SHARE:
                assert not running.done(), running.result().body[:300]
            # cancelled at a different moment each time, so that different layers are interrupted
            time.sleep(0.05 * number)
            assert other.cancel(f"long-{number}").status == 200
            cancelled_at = time.monotonic()
            delays.append(wait_until_idle(pid) - cancelled_at)
            assert running.result(30).json["status"] == "cancelled"
    return delays
