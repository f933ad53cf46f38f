"""Data for measuring an approximate index: a million rows of 2,048 numbers, expanded from embedded crops of photos.

`python -m tests.benchmarks.million_data --photos FOLDER` writes these files to the folder `--out`. It takes 8 to 15 minutes
on two cores and skips files that exist.

- `real.npy`: float32 unit rows (n, 2048) of crops: each whole photo, the garments that the built-in detector finds in it, and
  fixed windows of it. A row has the mean activations, in 2 x 2 cells, of the 256 channels inside each of the last two blocks of
  the built-in embedder. They stand in for features of a trained ResNet50, which are means after a ReLU as well.
- `queries.npy`: QUERIES such rows, of crops of held-out photos. No other file has rows of these photos.
- `vectors.npy`: float32 unit rows (rows, 2048): the real rows, then generated ones. A generated row lies between a real row and
  one of its near neighbors, with noise that has the covariance of neighbors' differences.
- `truth.npy`: int64 (QUERIES, 10): for each query the positions of its nearest vectors by exact search, most similar first.
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

Positions = NDArray[np.int64]

LAYERS = ("relu_20", "relu_22")
"""Inner outputs of the built-in embedder."""
CHANNELS = 256
CELLS = 2
"""Cells in each direction in which activations are averaged."""
DIM = len(LAYERS) * CHANNELS * CELLS**2
WINDOWS = ((0.0, 0.0, 1.0, 0.5), (0.0, 0.25, 1.0, 0.75), (0.0, 0.5, 1.0, 1.0))
"""Left, top, right and bottom of each window, as fractions of the photo."""
SEED = 20_262
HELD_OUT = 0.05
"""Fraction of the photos that is used for queries."""
QUERIES = 1000
K = 10
"""Nearest rows of each query in `truth.npy`."""
NEIGHBORS = 32
"""Nearest real rows from which the second end of an interpolation is chosen."""
INTERPOLATION = (0.2, 0.8)
"""Range of the position between the two ends."""
NOISE = (0.1, 1.1)
"""Range of the noise's length, relative to the distance of the two ends.

The three values were tuned so that distances to the first and tenth neighbor have the same distribution among generated rows
as among the same number of real rows. `main` prints both distributions.
"""
BLOCK = 4096
"""Rows that are generated at once. Part of the seed: another value gives other rows."""
SAMPLE = 2000
"""Rows that `report` measures."""
THREADS = 2


@dataclass(frozen=True, slots=True, eq=False)
class MillionRows:
    """Contents of the four files. `vectors` is mapped from disk."""

    real: Vectors
    queries: Vectors
    vectors: Vectors
    truth: Positions


def prepare(photos: Path | None, out: Path, rows: int) -> MillionRows | None:
    """Create the files that are missing in the folder `out`, and load all.

    Returns `None` if photos are needed and there are none.
    """
    if not (out / "queries.npy").is_file():
        paths = sorted(photos.rglob("*.jpg")) if photos else []
        if not paths:
            return None
        out.mkdir(parents=True, exist_ok=True)
        real, queries = embed_photos(paths)
        np.save(out / "real.npy", real)
        np.save(out / "queries.npy", queries)
    real, queries = np.load(out / "real.npy"), np.load(out / "queries.npy")
    if not is_complete(out, rows):
        (out / "truth.npy").unlink(missing_ok=True)
        expand(real, rows, out / "vectors.npy")
        np.save(out / "truth.npy", nearest(queries, map_vectors(out), K)[0])
    return MillionRows(real, queries, map_vectors(out), np.load(out / "truth.npy"))


def is_complete(out: Path, rows: int) -> bool:
    """Return whether the folder holds vectors of that many rows. The truth is written last."""
    return (out / "truth.npy").is_file() and map_vectors(out).shape == (rows, DIM)


def map_vectors(out: Path) -> Vectors:
    """Map `vectors.npy` into memory, read-only."""
    return np.asarray(np.load(out / "vectors.npy", mmap_mode="r"))


def embed_photos(photos: list[Path]) -> tuple[Vectors, Vectors]:
    """Return the rows of all photos that are not held out, and the queries."""
    detector, embedder = CompactDetector(WEIGHTS / "detector.onnx", 1), ActivationEmbedder(WEIGHTS / "embedder.onnx")

    def embed_photo(path: Path) -> Vectors:
        with Image.open(path) as photo:
            return embedder.embed(crops(photo.convert("RGB"), detector))

    real: list[Vectors] = []
    held_out: list[Vectors] = []
    with ThreadPoolExecutor(THREADS) as pool:
        for path, vectors in zip(photos, pool.map(embed_photo, photos), strict=True):
            (held_out if is_held_out(path) else real).append(vectors)
    queries = np.random.default_rng(SEED).permutation(np.concatenate(held_out))[:QUERIES]
    return np.concatenate(real), queries


def is_held_out(photo: Path) -> bool:
    """Decide by a hash of the file name, so that other photos in the folder do not matter."""
    digest = hashlib.sha256(f"{SEED} {photo.name}".encode()).digest()
    return int.from_bytes(digest[:4], "big") < HELD_OUT * 2**32


def crops(photo: Image.Image, detector: CompactDetector) -> Iterator[Image.Image]:
    """Yield the photo, its garments at any score and its windows, without duplicates."""
    width, height = photo.size
    windows = [Box(left * width, top * height, right * width, bottom * height) for left, top, right, bottom in WINDOWS]
    garments = [detection.box for detection in detector.detect(photo, CancelToken(), threshold=0.0)]
    boxes = [Box(0, 0, width, height), *garments, *windows]
    yield from map(photo.crop, dict.fromkeys(box.pixel_bounds(width, height) for box in boxes))


class ActivationEmbedder:
    """Embeds images by inner activations of the built-in embedder. Thread-safe."""

    def __init__(self, weights: Path) -> None:
        options = SessionOptions()
        options.intra_op_num_threads = 1
        network = weights.read_bytes() + encode_outputs(LAYERS)
        self._session = InferenceSession(network, options, providers=["CPUExecutionProvider"])

    def embed(self, images: Iterable[Image.Image]) -> Vectors:
        """Return unit rows (n, DIM) of images, in their order."""
        maps = self._session.run(LAYERS, {"pixels": np.stack([fit_on_canvas(image) for image in images])})
        return normalize_rows(np.concatenate([pool_cells(layer) for layer in maps], 1))


def pool_cells(maps: Vectors) -> Vectors:
    """Return the means (n, channels * CELLS²) in each cell of square maps (n, channels, side, side)."""
    count, channels, side, _ = maps.shape
    split = maps.reshape(count, channels, CELLS, side // CELLS, CELLS, side // CELLS)
    return np.asarray(split.mean((3, 5)).reshape(count, -1), np.float32)


def encode_outputs(names: Iterable[str]) -> bytes:
    """Encode additional outputs of an ONNX model. Appending the bytes to the model's file adds the outputs.

    A protocol buffer merges a field that occurs twice. Field numbers: ModelProto.graph is 7, GraphProto.output is 12, and
    ValueInfoProto.name is 1.
    """
    return b"".join(encode_field(7, encode_field(12, encode_field(1, name.encode()))) for name in names)


def encode_field(number: int, content: bytes) -> bytes:
    """Encode a length-delimited field of a protocol buffer, with at most 127 bytes of content."""
    return bytes([number << 3 | 2, len(content)]) + content


def expand(real: Vectors, rows: int, path: Path) -> None:
    """Write `rows` unit rows to the file: the real ones, then generated ones. A row does not depend on `rows`."""
    vectors = np.lib.format.open_memmap(path, "w+", np.float32, (rows, DIM))
    vectors[: len(real)] = real[:rows]
    # the first neighbor of a row is the row itself
    neighbors = nearest(real, real, NEIGHBORS + 1)[0][:, 1:]
    root = covariance_root(real, neighbors)
    for number, start in enumerate(range(len(real), rows, BLOCK)):
        block = vectors[start : start + BLOCK]
        block[:] = generate_block(real, neighbors, root, np.random.default_rng([SEED, number]))[: len(block)]
    vectors.flush()


def generate_block(real: Vectors, neighbors: Positions, root: Vectors, rng: np.random.Generator) -> Vectors:
    """Generate BLOCK unit rows. Values are not negative, like those of real rows."""
    positions = rng.integers(0, len(real), BLOCK)
    steps = real[neighbors[positions, rng.integers(0, NEIGHBORS, BLOCK)]] - real[positions]
    noise = rng.standard_normal((BLOCK, DIM), dtype=np.float32) @ root
    noise *= np.linalg.norm(steps, axis=1, keepdims=True) * uniform_column(NOISE, rng)
    return normalize_rows(np.maximum(real[positions] + uniform_column(INTERPOLATION, rng) * steps + noise, 0))


def uniform_column(limits: tuple[float, float], rng: np.random.Generator) -> Vectors:
    """Return uniform random numbers (BLOCK, 1)."""
    return rng.uniform(*limits, (BLOCK, 1)).astype(np.float32)


def covariance_root(real: Vectors, neighbors: Positions) -> Vectors:
    """Return a root (DIM, DIM) of the covariance of the unit differences between near neighbors.

    Standard normal rows times the root have this covariance and a mean squared length of 1.
    """
    rng = np.random.default_rng(SEED)
    positions = rng.integers(0, len(real), 5 * BLOCK)
    steps = normalize_rows(real[neighbors[positions, rng.integers(0, NEIGHBORS, len(positions))]] - real[positions])
    values, directions = np.linalg.eigh((steps.T @ steps / len(steps)).astype(np.float64))
    # rounding can make the smallest eigenvalues negative
    return np.asarray((directions * np.sqrt(values.clip(0))).T, np.float32)


def nearest(queries: Vectors, rows: Vectors, k: int) -> tuple[Positions, Vectors]:
    """Return positions and similarities (q, k) of the rows nearest to each query, most similar first."""
    blocks = (queries[start : start + BLOCK // 4] for start in range(0, len(queries), BLOCK // 4))
    positions, similarities = zip(*(nearest_of_block(block, rows, k) for block in blocks), strict=True)
    return np.concatenate(positions), np.concatenate(similarities)


def nearest_of_block(queries: Vectors, rows: Vectors, k: int) -> tuple[Positions, Vectors]:
    """Do the same for queries that fit one matrix product with a block of rows."""
    position_blocks, similarity_blocks = [], []
    for start in range(0, len(rows), 8 * BLOCK):
        scores = queries @ rows[start : start + 8 * BLOCK].T
        best = np.argpartition(-scores, min(k, scores.shape[1]) - 1, 1)[:, :k]
        position_blocks.append(best + start)
        similarity_blocks.append(np.take_along_axis(scores, best, 1))
    positions, similarities = np.concatenate(position_blocks, 1), np.concatenate(similarity_blocks, 1)
    order = np.argsort(-similarities, 1, kind="stable")[:, :k]
    return np.take_along_axis(positions, order, 1), np.take_along_axis(similarities, order, 1)


def format_percentiles(similarities: Vectors) -> str:
    """Format the 5th, 25th, 50th, 75th and 95th percentile of the Euclidean distances."""
    # |a - b|² = 2 - 2 a·b for unit vectors
    distances = np.sqrt(np.maximum(0, 2 - 2 * similarities))
    return " ".join(f"{distance:.3f}" for distance in np.percentile(distances, (5, 25, 50, 75, 95)))


def format_distances(queries: Vectors, rows: Vectors, skip: int) -> str:
    """Format the distances to the first and the tenth neighbor. `skip` is 1 if the queries are among the rows."""
    similarities = nearest(queries[:SAMPLE], rows, K + skip)[1]
    return f"{format_percentiles(similarities[:, skip])}   {format_percentiles(similarities[:, -1])}"


def report(data: MillionRows) -> None:
    """Print the distributions of distances, and the variance in the first principal components."""
    rng = np.random.default_rng(SEED)
    real = rng.permutation(data.real)
    # compared with an equal number of rows, because distances shrink with the number of rows
    chosen = np.sort(rng.choice(np.arange(len(real), len(data.vectors)), len(real), replace=False))
    generated = rng.permutation(data.vectors[chosen])
    counts = f"{len(real):,} real rows, {len(data.queries):,} held-out queries, {len(data.vectors):,} rows in total"
    print(f"{counts}, {DIM} numbers")
    print(f"{'distances: percentiles 5 25 50 75 95':<40}{'first neighbor':<32}tenth neighbor")
    print(f"{'real rows to real rows':<40}{format_distances(real, real, 1)}")
    print(f"{'as many generated rows to each other':<40}{format_distances(generated, generated, 1)}")
    print(f"{'queries to real rows':<40}{format_distances(data.queries, real, 0)}")
    print(f"{'queries to as many generated rows':<40}{format_distances(data.queries, generated, 0)}")
    print(f"{'queries to all rows':<40}{format_distances(data.queries, data.vectors, 0)}")
    values = np.linalg.eigvalsh(np.cov(real, rowvar=False))[::-1]
    shares = {count: values[:count].sum() / values.sum() for count in (128, 256, 384, 512, 1024)}
    print("variance in the first components: " + ", ".join(f"{count}: {share:.3f}" for count, share in shares.items()))


def main() -> None:
    """Create the data and print its distributions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="a folder of .jpg photos, searched with its subfolders")
    parser.add_argument("--out", type=Path, default=Path(".lookalike/million"))
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    start = time.perf_counter()
    data = prepare(options.photos, options.out, options.rows)
    if data is None:
        print(f"SKIPPED: {options.out} has no data. Pass --photos FOLDER with .jpg files to create it.")
        return
    print(f"ready after {time.perf_counter() - start:.0f} s")
    report(data)


if __name__ == "__main__":
    main()
