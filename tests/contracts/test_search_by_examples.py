"""Searches by several weighted examples equal brute force with every index adapter."""

import importlib.util

import numpy as np
import pytest

from lookalike.adapters.compact_embedder import CompactEmbedder
from lookalike.bootstrap import Services, services
from lookalike.domain.filter import Condition
from lookalike.domain.model import Box, Caller, NewSegment, Photo, Vectors
from lookalike.usecases.jobs import validate_or_create_job_id
from lookalike.usecases.search import GarmentExample, Include, SearchRequest

ROWS, DELETED, ADDED = 300, range(0, 300, 7), 40
random = np.random.default_rng(5)


def add_rows(real: Services, first: int, vectors: Vectors) -> None:
    """Store a photo with a segment for each vector (n, dim), named by its number from `first`; odd ones are bags."""
    box = Box(0, 0, 9, 9)
    segments = [
        NewSegment(f"{number}", f"{number}.png", f"{number}.jpg", box, "bag" if number % 2 else "top", 0.9, vector)
        for number, vector in enumerate(vectors, first)
    ]
    real.catalog.add_photo(Photo(f"photo-{first}", "0" * 64, 9, 9), segments, CompactEmbedder.name)


def random_vectors(count: int) -> Vectors:
    """Return unit vectors (count, dim) of a few clusters."""
    centers = random.normal(size=(12, CompactEmbedder.dim))
    rows = centers[random.integers(12, size=count)] + 0.7 * random.normal(size=(count, CompactEmbedder.dim))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


@pytest.fixture(params=["exact", "approximate", "milvus"])
def stored(request: pytest.FixtureRequest, real: Services, monkeypatch: pytest.MonkeyPatch) -> Vectors:
    """Store and index rows; delete some and add others after that. Returns all vectors (n, dim), also deleted ones."""
    if request.param == "milvus":
        if importlib.util.find_spec("milvus_lite") is None:
            pytest.skip("Needs milvus-lite")
        monkeypatch.setenv("INDEX_URL", "milvus:vectors.db")
    if request.param == "approximate":
        pytest.importorskip("faiss")
        monkeypatch.setenv("APPROXIMATE_ABOVE", "1")
    services.cache_clear()
    vectors = random_vectors(ROWS + ADDED)
    current = services()
    add_rows(current, 0, vectors[:ROWS])
    current.reindex.build()
    add_rows(current, ROWS, vectors[ROWS:])
    for number in DELETED:
        current.segments.delete_segment(f"{number}")
    return vectors


def search(request: SearchRequest) -> list[tuple[int, float]]:
    """Return number and similarity of the matches."""
    current = services()
    with current.jobs.run_job("search", Caller(), validate_or_create_job_id(None)) as job:
        matches = current.search.search(request, job).groups[0].matches
    return [(int(match.segment.name), match.similarity or 0.0) for match in matches]


def test_several_examples_equal_brute_force(stored: Vectors) -> None:
    living = [number for number in range(len(stored)) if number not in DELETED]
    for count in (1, 2, 3, 5):
        for wanted in (None, "bag"):
            numbers = random.choice(living, count, replace=False).tolist()
            weights = [1.0, *random.uniform(-1, 1, count - 1)]
            query = np.sum(
                [weight * stored[number].astype(np.float64) for number, weight in zip(numbers, weights, strict=True)], 0
            )
            scores = stored.astype(np.float64) @ (query / np.linalg.norm(query))
            allowed = [number for number in living if wanted is None or number % 2]
            best = sorted(allowed, key=lambda number: -scores[number])[:12]
            request = SearchRequest(
                [GarmentExample(str(number), weight) for number, weight in zip(numbers, weights, strict=True)],
                12,
                include=Include.NONE,
                filter={"label": Condition((wanted,))} if wanted else {},
            )
            found = search(request)
            assert [number for number, _ in found] == best
            assert [similarity for _, similarity in found] == pytest.approx(scores[best], abs=1e-5)
