"""Report about the quality of a catalog: counts, outliers, likely wrong labels, duplicates and missing pictures."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.cancel import CancelToken
from lookalike.domain.color import count_color_names
from lookalike.domain.duplicates import DuplicateGroup, PairState, group_pairs
from lookalike.domain.filter import Value
from lookalike.domain.model import Segment, Vectors
from lookalike.domain.ports import Catalog, ObjectStore, Products
from lookalike.usecases.duplicate_review import DuplicateReview
from lookalike.usecases.live_index import LiveIndex
from lookalike.usecases.wrong_labels import WrongLabel, label_against_neighbors, labels_against_products

MAX_SAMPLE = 2000
"""Garments on the map, and garments whose neighbors are examined."""
NEIGHBORS = 10
MAX_LISTED = 24
"""Outliers, likely wrong labels, groups of duplicates and missing pictures that a report lists."""
PAGE_SIZE, SEARCH_BLOCK = 500, 128
SEED = 11
Counts = list[tuple[Value, int]]


@dataclass(frozen=True, slots=True)
class Outlier:
    """A garment that is far from all others."""

    segment: Segment
    similarity: float
    """Mean cosine to its nearest neighbors."""


@dataclass(frozen=True, slots=True, eq=False)
class CatalogReport:
    """Content of the report. Lists have at most `MAX_LISTED` entries, the most striking first."""

    embedder: str
    garments: int
    """Garments with a vector of the embedder."""
    without_vector: int
    counts: dict[str, Counts]
    """Number of garments by value of `label`, `brand` and `color`."""
    sample: Sequence[Segment]
    """Garments of the map and of the lists of outliers and labels, ordered by row id."""
    positions: NDArray[np.float32]
    """Map of the sample (n, 2), from 0 to 1, by principal component analysis of the vectors."""
    explained: float
    """Share of the variance that the map shows, 0 to 1."""
    outliers: Sequence[Outlier]
    wrong_labels: Sequence[WrongLabel]
    wrong_label_count: int
    duplicates: Sequence[DuplicateGroup]
    duplicate_group_count: int
    duplicate_segments: dict[int, Segment]
    """Garments of `duplicates` by row id."""
    threshold: float
    missing: Sequence[Segment]
    missing_count: int


@dataclass(frozen=True, slots=True)
class BuildReport:
    """Reads the whole catalog and the list of objects once."""

    catalog: Catalog
    products: Products
    store: ObjectStore
    index: LiveIndex
    review: DuplicateReview
    embedder: str
    count_without_vector: Callable[[], int]

    def build(self, on_step: Callable[[str], object] = lambda step: None) -> CatalogReport:
        """Return the report. `on_step` is called with the name of each step. Raises `Unavailable`."""
        on_step("counts")
        counts = self._counts()
        on_step("map")
        row_ids = self._sample_ids()
        vectors = self.catalog.vectors(self.embedder, row_ids)
        segments = {one: found for one, found in self.catalog.segments(row_ids).items() if one in vectors}
        matrix = np.stack([vectors[one] for one in segments]) if segments else np.empty((0, 1), np.float32)
        positions, explained = principal_components(matrix)
        on_step("neighbors")
        outliers, wrong_labels = self._examine(list(segments.values()), matrix)
        on_step("duplicates")
        groups = group_pairs(self.review.add_decisions(self.review.find_pairs(), PairState.OPEN))
        in_groups = [row_id for group in groups[:MAX_LISTED] for row_id in group.row_ids]
        on_step("pictures")
        missing, missing_count = self._missing_pictures()
        on_step("labels")
        wrong_labels, wrong_label_count = self._add_product_labels(wrong_labels)
        return CatalogReport(
            self.embedder,
            self.index.warm_up().rows,
            self.count_without_vector(),
            counts,
            list(segments.values()),
            positions,
            explained,
            sorted(outliers, key=lambda one: one.similarity)[:MAX_LISTED],
            sorted(wrong_labels, key=lambda one: one.order)[:MAX_LISTED],
            wrong_label_count,
            groups[:MAX_LISTED],
            len(groups),
            self.catalog.segments(in_groups),
            self.review.threshold,
            missing,
            missing_count,
        )

    def _counts(self) -> dict[str, Counts]:
        _, labs = self.catalog.colors(self.embedder)
        colors = sorted(count_color_names(labs).items(), key=lambda pair: (-pair[1], pair[0]))
        return self.catalog.facet_counts(self.embedder, ["label", "brand"]) | {"color": [*colors]}

    def _sample_ids(self) -> list[int]:
        with self.catalog.snapshot(self.embedder, 0) as snapshot:
            row_ids = snapshot.row_ids
        if len(row_ids) > MAX_SAMPLE:
            row_ids = np.sort(np.random.default_rng(SEED).choice(row_ids, MAX_SAMPLE, replace=False))
        return [int(row_id) for row_id in row_ids]

    def _examine(self, segments: Sequence[Segment], vectors: Vectors) -> tuple[list[Outlier], list[WrongLabel]]:
        outliers: list[Outlier] = []
        wrong_labels: list[WrongLabel] = []
        for start in range(0, len(segments), SEARCH_BLOCK):
            block = segments[start : start + SEARCH_BLOCK]
            results, _ = self.index.search(vectors[start : start + SEARCH_BLOCK], NEIGHBORS + 1, CancelToken())
            neighbors = [
                [hit for hit in hits if hit.row_id != segment.row_id][:NEIGHBORS]
                for segment, hits in zip(block, results, strict=True)
            ]
            found = self.catalog.segments(sorted({hit.row_id for hits in neighbors for hit in hits}))
            for segment, hits in zip(block, neighbors, strict=True):
                if hits:
                    outliers.append(Outlier(segment, float(np.mean([hit.similarity for hit in hits]))))
                labels = [found[hit.row_id].label for hit in hits if hit.row_id in found]
                if wrong := label_against_neighbors(segment, labels):
                    wrong_labels.append(wrong)
        return outliers, wrong_labels

    def _add_product_labels(self, of_neighbors: Sequence[WrongLabel]) -> tuple[list[WrongLabel], int]:
        """Return the first labels that are wrong by the products of the whole catalog or by neighbors, and their number."""
        by_row = {one.segment.row_id: one for one in of_neighbors}
        merged: list[WrongLabel] = []
        alone: list[WrongLabel] = []
        alone_count = 0
        for page in self._pages():
            for wrong in labels_against_products(page, self.catalog, self.products):
                neighbors = by_row.pop(wrong.segment.row_id, None)
                if neighbors:
                    merged.append(wrong.merge(neighbors))
                else:
                    alone_count += 1
                    alone += [wrong] if len(alone) < MAX_LISTED else []
        return [*merged, *alone, *by_row.values()], len(merged) + alone_count + len(by_row)

    def _missing_pictures(self) -> tuple[list[Segment], int]:
        """Return the first garments whose picture or thumbnail is not in the store, and the number of all."""
        # 8 bytes an object instead of about 100 for its path. A wrong match has a probability of 1 to 10^13 a garment.
        known = np.sort(np.fromiter((hash(stored.path) for stored in self.store.list()), np.int64))
        missing = [segment for page in self._pages() for segment in self._without_picture(page, known)]
        return missing[:MAX_LISTED], len(missing)

    def _pages(self) -> Iterator[list[Segment]]:
        row_ids = self.catalog.matching_row_ids(None, {}).tolist()
        for start in range(0, len(row_ids), PAGE_SIZE):
            yield list(self.catalog.segments(row_ids[start : start + PAGE_SIZE]).values())

    def _without_picture(self, segments: Sequence[Segment], known: NDArray[np.int64]) -> Iterator[Segment]:
        for segment in segments:
            paths = np.array([hash(path) for path in (segment.path, segment.thumbnail) if path], np.int64)
            positions = np.minimum(np.searchsorted(known, paths), max(0, len(known) - 1))
            is_stored = len(known) > 0 and bool((known[positions] == paths).all())
            # Rows of the original system without a thumbnail contain their picture.
            if not is_stored and (segment.thumbnail or self.catalog.legacy_image(segment.row_id) is None):
                yield segment


def principal_components(vectors: Vectors) -> tuple[NDArray[np.float32], float]:
    """Return the first two principal components of vectors (n, dim) as (n, 2), scaled to 0 to 1, and their variance.

    Both axes have the same scale. The variance is a share of the whole, 0 to 1.
    """
    if len(vectors) < 2:
        return np.full((len(vectors), 2), 0.5, np.float32), 0.0
    centered = vectors.astype(np.float64) - vectors.mean(axis=0)
    left, singular, _ = np.linalg.svd(centered, full_matrices=False)
    components = np.zeros((len(vectors), 2))
    kept = min(2, len(singular))
    components[:, :kept] = left[:, :kept] * singular[:kept]
    total = float((singular**2).sum())
    span = float(np.ptp(components, axis=0).max()) or 1.0
    middle = (components.max(axis=0) + components.min(axis=0)) / 2
    scaled = (components - middle) / span + 0.5
    return scaled.astype(np.float32), float((singular[:kept] ** 2).sum()) / total if total else 0.0
