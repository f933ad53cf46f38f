"""Forked servers with the full models, and how soon their processor is free again."""

import io
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from PIL import Image

from tests.e2e.serving import Said, Server, text
from tests.full import reference_models

FREE, BUSY = 0.15, 1.2
"""Shares of one core that a process uses when it does nothing, and when two cores work on a photo."""


def full_model_settings(weights: Path, **more: str) -> dict[str, str]:
    told = {"MODELS": "full", "MODELS_DIR": str(weights), "MODELS_SHA256": reference_models.checksums(weights)}
    return told | {"REQUEST_TIMEOUT": "600", "REINDEX_EVERY": "0"} | more


def split_photo(server: Server, photo: bytes, **fields: str) -> Said:
    return server.call("POST", "/split_image", {"image_base64": text(photo), **fields})


def segment_results(said: Said) -> list[Any]:
    assert said.status == 200, said.body[:300]
    return [(one["bounding_box"], one["label"], one["score"]) for one in said.json["data"]["segments"]]


def panorama() -> bytes:
    """Fourteen tiles: a detection of more than ten seconds on two cores."""
    data = io.BytesIO()
    Image.effect_noise((39_000, 1000), 60).convert("RGB").save(data, "JPEG", quality=30)
    return data.getvalue()


def cpu_seconds(process: int) -> float:
    """What all threads of it have worked so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def worker_pid(server: Server) -> int:
    """The process that gunicorn forked."""
    assert server.process
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    return int(children.split()[0])


def cpu_share(process: int, seconds: float = 0.1) -> float:
    """Which share of the next moment the process works."""
    before = cpu_seconds(process)
    time.sleep(seconds)
    return (cpu_seconds(process) - before) / seconds


def wait_until_idle(process: int) -> float:
    """The moment since which it has done next to nothing for a tenth of a second."""
    while True:
        began = time.monotonic()
        if cpu_share(process) <= FREE:
            return began


def measure_cancellations(server: Server, other: Server, times: int) -> list[float]:
    """Seconds from the other process's answer to a cancellation until the processor of the first is free, each time."""
    photo, process, waits = panorama(), worker_pid(server), []
    with ThreadPoolExecutor() as pool:
        for number in range(times):
            running = pool.submit(split_photo, server, photo, request_id=f"long-{number}")
            while cpu_share(process) < BUSY:
                assert not running.done(), running.result().body[:300]
            time.sleep(0.05 * number)
            assert other.cancel(f"long-{number}").status == 200
            answered = time.monotonic()
            waits.append(wait_until_idle(process) - answered)
            assert running.result(30).json["status"] == "cancelled"
    return waits
