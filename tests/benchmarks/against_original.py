"""`make bench`: warm upload and search of lookalike and of the original system, measured in one run on one machine.

Both sides keep the same models in memory and use SQLite. Requests and responses are JSON with base64. lookalike is called
through the function that functions-framework creates. Times depend on the machine: compare the ratios.
"""

import argparse
import base64
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import lookalike
from lookalike import images
from lookalike.bootstrap import Services, services
from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import Box, NewSegment, Photo, User, Vectors
from lookalike.local.gateway import load_function
from tests.benchmarks.original import Original
from tests.benchmarks.report import Report, add_option, write_reports
from tests.sample_photos import sample_photo

FUNCTIONS = Path(lookalike.__file__).parents[2] / "functions"
LIBRARIES = ("numpy", "scikit-learn", "onnxruntime", "sqlalchemy", "pillow", "functions-framework")
TABLE = Report("original", ("milliseconds", "lookalike", "original's way", "ratio"))
ROWS_PER_PHOTO = 10
"""Stored garments of each photo."""
MAX_PHOTOS = 24
"""Query photos. The rounds use them in turn."""

Call = Callable[[bytes], bytes]
"""Sends a request body and returns the response body."""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5000, help="garments stored on both sides")
    parser.add_argument("--rounds", type=int, default=25, help="timed calls of each kind")
    parser.add_argument("--photos", type=Path, help="a folder of .jpg photos instead of the sample closet")
    add_option(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ |= {"LOOKALIKE_HOME": folder, "LOG_LEVEL": "ERROR"}
        run_comparison(Path(folder), options.rows, options.rounds, options.photos)
    if options.write_docs:
        write_reports([TABLE], LIBRARIES)


def run_comparison(folder: Path, rows: int, rounds: int, photos: Path | None) -> None:
    """Store the same rows on both sides, then time each operation on both."""
    app = services()
    queries = load_photos(photos)
    vectors, cut_outs = make_rows(app, queries, rows)
    fill(app, vectors, cut_outs)
    timer = time_models(app)
    original = Original(folder, app.models)
    original.fill(vectors, cut_outs)
    print_conditions(rows, vectors.shape[1], photos)
    bodies = [request_body(queries[number % len(queries)], f"bench{number}", 5) for number in range(rounds)]
    relay, upload = function_client(app, "relay", "/relay_image"), function_client(app, "upload", "/upload_image")
    compare("search a photo, 5 matches with images", relay, original.relay, bodies, timer)
    compare(
        "the nearest neighbors alone",
        lambda _: str(app.index.search(vectors[:1], 5, CancelToken())).encode(),
        lambda _: str(original.index.kneighbors(vectors[:1], n_neighbors=5)).encode(),
        [b""] * rounds,
    )
    compare("upload a photo", upload, original.upload, bodies, timer)

    def upload_to_original_index(body: bytes) -> bytes:
        response = original.upload(with_new_name(body))
        original.rebuild()
        return response

    # lookalike needs no rebuild: its index includes new rows at once
    compare(
        "upload until a search can find it",
        lambda body: upload(with_new_name(body)),
        upload_to_original_index,
        bodies[: max(3, rounds // 5)],
    )


class TimedModel:
    """Detector or embedder that adds the time of its calls to a sum that both share."""

    def __init__(self, model: Any, seconds: list[float]) -> None:
        self.name, self.dim = getattr(model, "name", ""), getattr(model, "dim", 0)
        self._model, self._seconds = model, seconds

    def detect(self, *arguments: Any) -> Any:
        """Call the detector."""
        return self._time(self._model.detect, *arguments)

    def embed(self, *arguments: Any) -> Any:
        """Call the embedder."""
        return self._time(self._model.embed, *arguments)

    def _time(self, method: Callable[..., Any], *arguments: Any) -> Any:
        start = time.perf_counter()
        result = method(*arguments)
        self._seconds.append(time.perf_counter() - start)
        return result


def time_models(app: Services) -> list[float]:
    """Let the models, which both sides use, add the seconds of each call to the list that is returned."""
    seconds: list[float] = []
    app.models._detector = TimedModel(app.models._detector, seconds)
    app.models._embedder = TimedModel(app.models._embedder, seconds)
    return seconds


def compare(
    operation: str, call: Call, original_call: Call, bodies: Sequence[bytes], model_seconds: list[float] | None = None
) -> None:
    """Print and record the medians of alternating calls on both sides, with and without the time of the models.

    The first and the last body are used for one warm-up call of each side, which is not counted.
    """
    model_times = [] if model_seconds is None else model_seconds
    time_call(call, bodies[0], model_times), time_call(original_call, bodies[-1], model_times)
    pairs = [(time_call(call, body, model_times), time_call(original_call, body, model_times)) for body in bodies[1:-1]]
    add_row(operation, [statistics.median(time.total for time in times) for times in zip(*pairs, strict=True)])
    if model_seconds is not None:
        medians = [statistics.median(time.total - time.models for time in times) for times in zip(*pairs, strict=True)]
        add_row(f"{operation}, without the models", medians)


def add_row(operation: str, seconds: Sequence[float]) -> None:
    """Print and record the seconds of both sides."""
    ratio = seconds[1] / seconds[0]
    print(f"{operation:<58} {seconds[0] * 1000:9.1f} {seconds[1] * 1000:14.1f} {ratio:9.2f}")
    TABLE.add(operation, f"{seconds[0] * 1000:,.1f}", f"{seconds[1] * 1000:,.1f}", f"{ratio:.2f}")


class CallTime(NamedTuple):
    """Seconds of a call, and its seconds in the models."""

    total: float
    models: float


def time_call(call: Call, body: bytes, model_seconds: list[float]) -> CallTime:
    """Return the seconds that one call takes."""
    model_seconds.clear()
    start = time.perf_counter()
    assert call(body)
    return CallTime(time.perf_counter() - start, sum(model_seconds))


def print_conditions(rows: int, dim: int, photos: Path | None) -> None:
    """Print machine, versions and data, and the header of the table."""
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {libraries}")
    source = f"the photos in {photos}" if photos else "the sample closet"
    print(f"{rows} rows of {dim} numbers, made from the garments of {source} with noise; SQLite on both sides")
    print(f"{'median of one call, milliseconds':<58} {'lookalike':>9} {TABLE.columns[2]:>14} {'ratio':>9}")


def function_client(app: Services, function: str, path: str) -> Call:
    """Return a call of a function's route as an administrator."""
    from lookalike.adapters.local_auth import LocalAuth

    assert isinstance(app.auth, LocalAuth)
    token = app.auth.issue(User("bench", "", "admin"), 3600)
    client = load_function(function, FUNCTIONS).test_client()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def call(body: bytes) -> bytes:
        response = client.post(path, data=body, headers=headers)
        assert response.status_code == 200, response.get_data(as_text=True)
        content: bytes = response.get_data()
        return content

    return call


def load_photos(folder: Path | None) -> list[bytes]:
    """Return JPEG photos from the folder, or sample photos without one."""
    if folder:
        return [path.read_bytes() for path in sorted(folder.rglob("*.jpg"))[:MAX_PHOTOS]]
    return [images.jpeg(sample_photo(seed, seed % 3 == 0)) for seed in range(MAX_PHOTOS)]


def make_rows(app: Services, photos: Sequence[bytes], rows: int) -> tuple[Vectors, list[bytes]]:
    """Return unit vectors (rows, dim) around those of the photos' garments, and the garments' cut-outs as PNG."""
    rng, cut_outs = np.random.default_rng(7), []
    for photo in (images.read_image(data) for data in photos):
        cut_outs += [detection.cut_out(photo) for detection in app.models.detect(photo, CancelToken())]
    garments = app.models.embed(cut_outs, CancelToken())
    # the noise vectors have a length of about 0.6 in any dimension
    noise = rng.normal(0, 0.6 / garments.shape[1] ** 0.5, (rows, garments.shape[1]))
    vectors = garments[rng.integers(len(garments), size=rows)] + noise
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit.astype(np.float32), [images.png(cut_out) for cut_out in cut_outs]


def fill(app: Services, vectors: Vectors, cut_outs: Sequence[bytes]) -> None:
    """Store the rows in lookalike, with the cut-outs in turn, and publish an index of them."""
    for start in range(0, len(vectors), ROWS_PER_PHOTO):
        name, photo_vectors = f"photo{start}", vectors[start : start + ROWS_PER_PHOTO]
        segments = [make_segment(name, number, vector) for number, vector in enumerate(photo_vectors)]
        for number, segment in enumerate(segments):
            app.store.put(segment.path, cut_outs[(start + number) % len(cut_outs)], "image/png")
        app.catalog.add_photo(Photo(name, "0" * 64, 10, 10), segments, app.models.embedder)
    app.reindex.build()


def make_segment(photo: str, number: int, vector: Any) -> NewSegment:
    """Return a segment row with fixed attributes."""
    path = f"{photo}/segment_{number}.png"
    return NewSegment(f"{photo}_segment_{number}", path, path, Box(0, 0, 9, 9), "top", 0.9, vector)


def request_body(photo: bytes, name: str, num: int) -> bytes:
    """Return a JSON body that both upload and search accept."""
    fields = {"image_base64": base64.b64encode(photo).decode(), "image_name": name, "num": num}
    return json.dumps(fields).encode()


def with_new_name(body: bytes) -> bytes:
    """Return the request body with an unused photo name."""
    return json.dumps({**json.loads(body), "image_name": f"again{time.time_ns()}"}).encode()


if __name__ == "__main__":
    main()
