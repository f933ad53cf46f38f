"""A million rows of 2,048 numbers to measure an approximate index on: real crops, embedded, and expanded by a fixed seed.

`python -m tests.benchmarks.million_data --photos FOLDER` writes below `--out`, in eight to fifteen minutes on two cores:

- `real.npy`: float32 unit rows (n, 2048): every photo whole, each garment that the built-in detector finds in it, and windows of
  it. A row is the mean activation, in 2 x 2 cells, of the 256 channels inside each of the built-in embedder's last two blocks. No
  trained ResNet50 can be had where this runs; like its pooled features these are means after a ReLU.
- `queries.npy`: QUERIES such rows, of crops of other photos, of which nothing is in the other files.
- `vectors.npy`: float32 unit rows (rows, 2048): the real ones, then some between near neighbors of them, with noise that is
  spread as their differences are.
- `truth.npy`: int64 (QUERIES, 10): for each query the places of its nearest vectors, most similar first, found exactly.

What is there already is not made again.
"""

import argparse
import hashlib
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession, SessionOptions
from PIL import Image

from lookalike.adapters.compact_detector import CompactDetector
from lookalike.adapters.compact_embedder import fit_on_canvas, normalize_rows
from lookalike.bootstrap import WEIGHTS
from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import Box, Vectors

Places = NDArray[np.int64]

LAYERS, CHANNELS, CELLS = ("relu_20", "relu_22"), 256, 2
DIM = len(LAYERS) * CHANNELS * CELLS**2
WINDOWS = ((0.0, 0.0, 1.0, 0.5), (0.0, 0.25, 1.0, 0.75), (0.0, 0.5, 1.0, 1.0))
"""Left, top, right and bottom of each, as shares of the photo."""
SEED, HELD_OUT, QUERIES, K = 20_262, 0.05, 1000, 10
"""Of the photos, the share that queries are taken from; how many are taken; of how many nearest rows each is told."""
NEAR, BETWEEN, NOISE = 32, (0.2, 0.8), (0.1, 1.1)
"""A made row lies between a real one and one of its NEAR nearest, this far on the way, and off it by noise of so many times its
length. Tuned so that among as many made rows as real ones the distances to the first and to the tenth neighbor are spread as
among the real ones: `main` prints both."""
BLOCK, SAMPLE, THREADS = 4096, 2000, 2
"""Rows made and written, or compared, at once; rows that `main` measures."""


@dataclass(frozen=True, slots=True, eq=False)
class Million:
    """The four files. `vectors` stays on the disk."""

    real: Vectors
    queries: Vectors
    vectors: Vectors
    truth: Places


def million(photos: Path | None, out: Path, rows: int) -> Million | None:
    """What the folder `out` holds, made where it is missing; none where that needs photos and there are none."""
    if not (out / "queries.npy").is_file():
        found = photographs(photos) if photos else []
        if not found:
            return None
        out.mkdir(parents=True, exist_ok=True)
        save_real(embedded(found), out)
    real, queries = np.load(out / "real.npy"), np.load(out / "queries.npy")
    if not is_made(out, rows):
        (out / "truth.npy").unlink(missing_ok=True)
        expand(real, rows, out / "vectors.npy")
        np.save(out / "truth.npy", nearest(queries, opened(out), K)[0])
    return Million(real, queries, opened(out), np.load(out / "truth.npy"))


def save_real(real: tuple[Vectors, Vectors], out: Path) -> None:
    np.save(out / "real.npy", real[0])
    np.save(out / "queries.npy", real[1])


def is_made(out: Path, rows: int) -> bool:
    return (out / "truth.npy").is_file() and opened(out).shape == (rows, DIM)


def opened(out: Path) -> Vectors:
    return np.asarray(np.load(out / "vectors.npy", mmap_mode="r"))


def photographs(folder: Path) -> list[Path]:
    """All of them, in the order of their paths."""
    return sorted(folder.rglob("*.jpg"))


def embedded(photos: list[Path]) -> tuple[Vectors, Vectors]:
    """Rows of all photos but the held-out ones, and the queries."""
    detector, activations = CompactDetector(WEIGHTS / "detector.onnx", 1), Activations(WEIGHTS / "embedder.onnx")

    def rows(path: Path) -> Vectors:
        with Image.open(path) as photo:
            return activations.embed(crops(photo.convert("RGB"), detector))

    parts: tuple[list[Vectors], list[Vectors]] = [], []
    with ThreadPoolExecutor(THREADS) as pool:
        for path, found in zip(photos, pool.map(rows, photos), strict=True):
            parts[is_held_out(path)].append(found)
    real, held_out = (np.concatenate(some) for some in parts)
    return real, np.random.default_rng(SEED).permutation(held_out)[:QUERIES]


def is_held_out(photo: Path) -> bool:
    digest = hashlib.sha256(f"{SEED} {photo.name}".encode()).digest()
    return int.from_bytes(digest[:4], "big") < HELD_OUT * 2**32


def crops(photo: Image.Image, detector: CompactDetector) -> Iterator[Image.Image]:
    """The photo, its garments at any score, and its windows, each once."""
    width, height = photo.size
    windows = [Box(left * width, top * height, right * width, low * height) for left, top, right, low in WINDOWS]
    garments = [found.box for found in detector.detect(photo, CancelToken(), threshold=0.0)]
    boxes = [Box(0, 0, width, height), *garments, *windows]
    yield from map(photo.crop, dict.fromkeys(box.pixel_bounds(width, height) for box in boxes))


class Activations:
    """Embeds pictures by what the built-in embedder's last blocks make of them. May be used from several threads."""

    def __init__(self, weights: Path) -> None:
        options = SessionOptions()
        options.intra_op_num_threads = 1
        network = weights.read_bytes() + outputs(LAYERS)
        self._session = InferenceSession(network, options, providers=["CPUExecutionProvider"])

    def embed(self, images: Iterable[Image.Image]) -> Vectors:
        """Unit rows (n, DIM) of pictures, in their order."""
        maps = self._session.run(LAYERS, {"pixels": np.stack([fit_on_canvas(image) for image in images])})
        return normalize_rows(np.concatenate([cells(one) for one in maps], 1))


def cells(maps: Vectors) -> Vectors:
    """Means (n, channels * CELLS²) of maps (n, channels, side, side) in each cell."""
    number, channels, side, _ = maps.shape
    parted = maps.reshape(number, channels, CELLS, side // CELLS, CELLS, side // CELLS)
    return np.asarray(parted.mean((3, 5)).reshape(number, -1), np.float32)


def outputs(names: Iterable[str]) -> bytes:
    """What to append to an ONNX file so that it gives these inner results too.

    A protocol buffer is merged with what follows it. Fields: ModelProto.graph is 7, GraphProto.output 12, its name 1.
    """
    return b"".join(message(7, message(12, message(1, name.encode()))) for name in names)


def message(field: int, content: bytes) -> bytes:
    return bytes([field << 3 | 2, len(content)]) + content


def expand(real: Vectors, rows: int, path: Path) -> None:
    """Write `rows` unit rows to the file: the real ones, then made ones. A row is the same however many there are."""
    whole = np.lib.format.open_memmap(path, "w+", np.float32, (rows, DIM))
    whole[: len(real)] = real[:rows]
    near = nearest(real, real, NEAR + 1)[0][:, 1:]
    root = noise_root(real, near)
    for number, start in enumerate(range(len(real), rows, BLOCK)):
        part = whole[start : start + BLOCK]
        part[:] = made(real, near, root, np.random.default_rng([SEED, number]))[: len(part)]
    whole.flush()


def made(real: Vectors, near: Places, root: Vectors, dice: np.random.Generator) -> Vectors:
    """BLOCK rows, not negative, as the real ones are not."""
    places = dice.integers(0, len(real), BLOCK)
    steps = real[near[places, dice.integers(0, NEAR, BLOCK)]] - real[places]
    noise = dice.standard_normal((BLOCK, DIM), dtype=np.float32) @ root
    noise *= np.linalg.norm(steps, axis=1, keepdims=True) * drawn(NOISE, dice)
    return normalize_rows(np.maximum(real[places] + drawn(BETWEEN, dice) * steps + noise, 0))


def drawn(limits: tuple[float, float], dice: np.random.Generator) -> Vectors:
    return dice.uniform(*limits, (BLOCK, 1)).astype(np.float32)


def noise_root(real: Vectors, near: Places) -> Vectors:
    """Shape (DIM, DIM): normal numbers times it have length 1 on average, and the covariance of near neighbors' differences."""
    dice = np.random.default_rng(SEED)
    places = dice.integers(0, len(real), 5 * BLOCK)
    apart = normalize_rows(real[near[places, dice.integers(0, NEAR, len(places))]] - real[places])
    values, directions = np.linalg.eigh((apart.T @ apart / len(apart)).astype(np.float64))
    return np.asarray((directions * np.sqrt(values.clip(0))).T, np.float32)


def nearest(queries: Vectors, rows: Vectors, k: int) -> tuple[Places, Vectors]:
    """Places and similarities (q, k) of each query's nearest, most similar first."""
    blocks = (queries[start : start + BLOCK // 4] for start in range(0, len(queries), BLOCK // 4))
    places, similarities = zip(*(nearest_of_block(block, rows, k) for block in blocks), strict=True)
    return np.concatenate(places), np.concatenate(similarities)


def nearest_of_block(queries: Vectors, rows: Vectors, k: int) -> tuple[Places, Vectors]:
    places, similarities = [], []
    for start in range(0, len(rows), 8 * BLOCK):
        scores = queries @ rows[start : start + 8 * BLOCK].T
        best = np.argpartition(-scores, min(k, scores.shape[1]) - 1, 1)[:, :k]
        places.append(best + start)
        similarities.append(np.take_along_axis(scores, best, 1))
    found, near = np.concatenate(places, 1), np.concatenate(similarities, 1)
    order = np.argsort(-near, 1, kind="stable")[:, :k]
    return np.take_along_axis(found, order, 1), np.take_along_axis(near, order, 1)


def spread(similarities: Vectors) -> str:
    """Percentiles 5, 25, 50, 75 and 95 of the Euclidean distances."""
    distances = np.sqrt(np.maximum(0, 2 - 2 * similarities))
    return " ".join(f"{distance:.3f}" for distance in np.percentile(distances, (5, 25, 50, 75, 95)))


def distances(some: Vectors, rows: Vectors, skip: int) -> str:
    """How far the first and the tenth neighbor are; with `skip` 1, of rows that are among them."""
    similarities = nearest(some[:SAMPLE], rows, K + skip)[1]
    return f"{spread(similarities[:, skip])}   {spread(similarities[:, -1])}"


def report(found: Million) -> None:
    dice = np.random.default_rng(SEED)
    real = dice.permutation(found.real)
    few = np.sort(dice.choice(np.arange(len(real), len(found.vectors)), len(real), replace=False))
    same = dice.permutation(found.vectors[few])
    print(
        f"{len(real):,} real rows, {len(found.queries):,} held-out queries, {len(found.vectors):,} rows in all, {DIM} numbers"
    )
    print(f"{'distances, 5 25 50 75 95 %':<40}{'to the nearest':<32}to the tenth")
    print(f"{'real to real':<40}{distances(real, real, 1)}")
    print(f"{'as many made to made':<40}{distances(same, same, 1)}")
    print(f"{'queries to real':<40}{distances(found.queries, real, 0)}")
    print(f"{'queries to as many made':<40}{distances(found.queries, same, 0)}")
    print(f"{'queries to all':<40}{distances(found.queries, found.vectors, 0)}")
    values = np.linalg.eigvalsh(np.cov(real, rowvar=False))[::-1]
    kept = {count: values[:count].sum() / values.sum() for count in (128, 256, 384, 512, 1024)}
    print("variance in the first components: " + ", ".join(f"{count}: {share:.3f}" for count, share in kept.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="a folder of photographs, searched with its folders")
    parser.add_argument("--out", type=Path, default=Path(".lookalike/million"))
    parser.add_argument("--rows", type=int, default=1_000_000)
    asked = parser.parse_args()
    began = time.perf_counter()
    found = million(asked.photos, asked.out, asked.rows)
    if found is None:
        print(
            f"SKIPPED: {asked.out} holds no data, and there are no photographs to make it from (--photos {asked.photos})"
        )
        return
    print(f"at hand after {time.perf_counter() - began:.0f} s")
    report(found)


if __name__ == "__main__":
    main()
