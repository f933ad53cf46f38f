"""`make bench`: our warm upload and search beside the original's way of the same, in one run on one machine.

Both use the same models, kept in memory, on SQLite; requests and answers are JSON with base64 on both sides, ours through
the function as functions-framework makes it. Times swing with the machine: read the ratios.
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
from typing import Any

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
A_PHOTO = 10
"""Rows of one stored photo."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=5000, help="garments stored on both sides")
    options.add_argument("--rounds", type=int, default=25, help="timed calls of each kind")
    options.add_argument("--photos", type=Path, help="a folder of .jpg photographs instead of the sample closet")
    add_option(options)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ |= {"LOOKALIKE_HOME": folder, "LOG_LEVEL": "ERROR"}
        compare(Path(folder), asked.rows, asked.rounds, asked.photos)
    if asked.write_docs:
        write_reports([TABLE], LIBRARIES)


def compare(folder: Path, rows: int, rounds: int, photos: Path | None) -> None:
    ours = services()
    queries = pictures_of(photos)
    vectors, cut_outs = stored_rows(ours, queries, rows)
    fill(ours, vectors, cut_outs)
    original = Original(folder, ours.models)
    original.fill(vectors, cut_outs)
    describe(rows, vectors.shape[1], photos)
    bodies = [body(picture, name=f"bench{number}", num=5) for number, picture in enumerate(cycled(queries, rounds))]
    relay, upload = caller(ours, "relay", "/relay_image"), caller(ours, "upload", "/upload_image")
    report("search a photo, 5 matches with pictures", relay, original.relay, bodies)
    report("search, the nearest neighbors alone", nearest(ours, vectors), nearest_of(original, vectors), [b""] * rounds)
    report("upload a photo", upload, original.upload, bodies)

    def visible(sent: bytes) -> bytes:
        renamed = {**json.loads(sent), "image_name": f"again{time.time_ns()}"}
        said = original.upload(json.dumps(renamed).encode())
        original.rebuild()
        return said

    def ours_visible(sent: bytes) -> bytes:
        return upload(json.dumps({**json.loads(sent), "image_name": f"again{time.time_ns()}"}).encode())

    report("upload until a search can find it", ours_visible, visible, bodies[: max(3, rounds // 5)])


def report(
    what: str, ours: Callable[[bytes], bytes], theirs: Callable[[bytes], bytes], bodies: Sequence[bytes]
) -> None:
    """Medians of calls made in turn, after one of each that does not count."""
    timed(ours, bodies[0]), timed(theirs, bodies[-1])
    mine, others = zip(*[(timed(ours, one), timed(theirs, one)) for one in bodies[1:-1]], strict=True)
    one, other = statistics.median(mine), statistics.median(others)
    print(f"{what:<42} {one * 1000:9.1f} {other * 1000:12.1f} {other / one:9.2f}")
    TABLE.add(what, f"{one * 1000:,.1f}", f"{other * 1000:,.1f}", f"{other / one:.2f}")


def timed(call: Callable[[bytes], bytes], sent: bytes) -> float:
    began = time.perf_counter()
    assert call(sent)
    return time.perf_counter() - began


def describe(rows: int, dim: int, photos: Path | None) -> None:
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {libraries}")
    data = f"photographs of {photos}" if photos else "the sample closet"
    print(f"{rows} rows of {dim} numbers, expanded with noise from the garments in {data}; SQLite on both sides")
    print(f"{'median of one call, milliseconds':<42} {'lookalike':>9} {'original way':>12} {'ratio':>9}")


def caller(ours: Services, function: str, path: str) -> Callable[[bytes], bytes]:
    from lookalike.adapters.local_auth import LocalAuth

    assert isinstance(ours.auth, LocalAuth)
    token = ours.auth.issue(User("bench", "", "admin"), 3600)
    client = load_function(function, FUNCTIONS).test_client()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def call(sent: bytes) -> bytes:
        said = client.post(path, data=sent, headers=headers)
        assert said.status_code == 200, said.get_data(as_text=True)
        found: bytes = said.get_data()
        return found

    return call


def nearest(ours: Services, vectors: Vectors) -> Callable[[bytes], bytes]:
    return lambda _: str(ours.index.search(vectors[:1], 5, CancelToken())).encode()


def nearest_of(original: Original, vectors: Vectors) -> Callable[[bytes], bytes]:
    return lambda _: str(original.index.kneighbors(vectors[:1], n_neighbors=5)).encode()


def pictures_of(photos: Path | None) -> list[bytes]:
    if photos:
        return [path.read_bytes() for path in sorted(photos.rglob("*.jpg"))[:24]]
    return [images.jpeg(sample_photo(seed, seed % 3 == 0)) for seed in range(24)]


def stored_rows(ours: Services, queries: Sequence[bytes], rows: int) -> tuple[Vectors, list[bytes]]:
    """Unit vectors (rows, dim) spread around those of real garments, and the garments' pictures."""
    rng, cut_outs = np.random.default_rng(7), []
    for photo in (images.read_image(data) for data in queries):
        cut_outs += [one.cut_out(photo) for one in ours.models.detect(photo, CancelToken())]
    real = ours.models.embed(cut_outs, CancelToken())
    noise = rng.normal(0, 0.6 / real.shape[1] ** 0.5, (rows, real.shape[1]))
    vectors = real[rng.integers(len(real), size=rows)] + noise
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit.astype(np.float32), [images.png(one) for one in cut_outs]


def fill(ours: Services, vectors: Vectors, pictures: Sequence[bytes]) -> None:
    for start in range(0, len(vectors), A_PHOTO):
        name, some = f"photo{start}", vectors[start : start + A_PHOTO]
        segments = [segment(name, number, vector) for number, vector in enumerate(some)]
        for number, one in enumerate(segments):
            ours.store.put(one.path, pictures[(start + number) % len(pictures)], "image/png")
        ours.catalog.add_photo(Photo(name, "0" * 64, 10, 10), segments, ours.models.embedder)
    ours.reindex.build()


def segment(photo: str, number: int, vector: Any) -> NewSegment:
    path = f"{photo}/segment_{number}.png"
    return NewSegment(f"{photo}_segment_{number}", path, path, Box(0, 0, 9, 9), "top", 0.9, vector)


def body(picture: bytes, name: str, num: int) -> bytes:
    fields = {"image_base64": base64.b64encode(picture).decode(), "image_name": name, "num": num}
    return json.dumps(fields).encode()


def cycled(pictures: Sequence[bytes], count: int) -> list[bytes]:
    return [pictures[number % len(pictures)] for number in range(count)]


if __name__ == "__main__":
    main()
