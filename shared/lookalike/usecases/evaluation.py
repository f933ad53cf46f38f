"""Evaluation: how well embedders rank photos of the same product, on photos whose matches are known."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import BadRequest, InvalidImage, TooLarge, UnsupportedFormat
from lookalike.domain.model import Vectors
from lookalike.domain.ranking_metrics import (
    Estimate,
    Floats,
    average_precision,
    estimate_means,
    ndcg_at,
    precision_at,
    recall_at,
)
from lookalike.usecases.models import Models, whole_photo_detection
from lookalike.usecases.photo_reader import PhotoReader

METRICS = ("R@1", "R@10", "P@5", "mAP", "nDCG@10")
"""The columns of `SystemResult.values`."""
NDCG = METRICS.index("nDCG@10")
QUERIES_PER_BLOCK = 32
"""Query photos ranked at a time. Bounds the memory of the scores, (garments of the queries, garments of all photos)."""
MAX_WRONG = 5
"""Wrong results kept for each query."""
UNREADABLE = (InvalidImage, TooLarge, UnsupportedFormat)
"""Errors of a photo that is skipped. All others end the evaluation."""
Positions = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class EvaluationPhoto:
    """A photo. `read` returns the encoded image, or raises one of `UNREADABLE`."""

    name: str
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """A photo to search with, and what a search should find. Queries of one product may share the arrays."""

    photo: int
    """Position in `JudgedPhotos.photos`."""
    relevant: Positions
    """Positions of the relevant photos. The query itself is ignored."""
    relevance: Floats
    """How relevant each of them is, above 0."""
    cluster: int
    """Number of its product. Queries of one product are not independent of each other."""


@dataclass(frozen=True, slots=True)
class JudgedPhotos:
    """Photos and the matches that are known. Searches find the photos of `gallery` (positions), except the query."""

    photos: Sequence[EvaluationPhoto]
    queries: Sequence[Query]
    gallery: Positions


@dataclass(frozen=True, slots=True)
class RankedPhoto:
    """A photo in a ranking. `rank` is counted from 1; `similarity` is a cosine."""

    name: str
    rank: int
    similarity: float


@dataclass(frozen=True, slots=True)
class RankedQuery:
    """The ranking of one query."""

    wrong: list[RankedPhoto]
    """The first photos that are not relevant, if they come before the last relevant one. At most `MAX_WRONG`."""
    missed: RankedPhoto
    """The relevant photo with the highest rank number."""


@dataclass(slots=True, eq=False)
class SystemResult:
    """Figures of one system: a detector and an embedder."""

    name: str
    """Settings that select the system."""
    embedder: str
    dim: int
    values: Floats
    """Metrics of each query, (queries, 5) in the order of `METRICS`."""
    rankings: list[RankedQuery]
    milliseconds: float
    """Median time to detect and embed the garments of a photo, one photo at a time."""
    garments: int
    """Garments cut out of all photos."""
    estimates: list[Estimate] = field(default_factory=list)
    """Means of the metrics with their intervals."""

    @property
    def bytes_per_garment(self) -> int:
        """Bytes of a stored vector, float32."""
        return self.dim * np.dtype(np.float32).itemsize


@dataclass(slots=True, eq=False)
class EvaluationReport:
    """Result of an evaluation. All figures are about the same queries."""

    photos: int
    """Photos that could be read."""
    queries: list[str]
    """Names of the query photos."""
    products: int
    """Clusters of queries that the intervals are based on."""
    skipped: dict[str, str]
    """Reasons by name of the photos that could not be read."""
    skipped_queries: int
    """Queries left out because they, or all their relevant photos, could not be read."""
    systems: list[SystemResult]
    differences: list[Estimate] = field(default_factory=list)
    """The second system's metrics minus the first's, if there are two."""

    @property
    def ndcg_changes(self) -> Floats:
        """Change of each query's nDCG@10 from the first system to the second."""
        first, second = self.systems
        return np.asarray(second.values[:, NDCG] - first.values[:, NDCG])

    def worst_queries(self, count: int) -> list[int]:
        """Return positions of the worst queries, worst first: with two systems, the queries that lose most.

        Queries whose relevant photos all come first are left out.
        """
        last = self.systems[-1]
        loss = self.ndcg_changes if len(self.systems) > 1 else last.values[:, NDCG]
        order = np.lexsort((last.values[:, METRICS.index("mAP")], loss))
        failed = [position for position in order.tolist() if any(one.rankings[position].wrong for one in self.systems)]
        return failed[:count]


@dataclass(frozen=True, slots=True)
class System:
    """A detector and an embedder to evaluate. `name` has the settings that select them."""

    name: str
    models: Models


@dataclass(slots=True, eq=False)
class EmbeddedPhotos:
    """Vectors of all garments of the photos that could be read: those of one photo follow each other."""

    vectors: list[Vectors] = field(default_factory=list)
    """One array (garments, dim) for each photo."""
    seconds: list[float] = field(default_factory=list)

    def add(self, models: Models, photo: Image.Image, whole_photo: bool) -> None:
        """Detect and embed the garments of a photo in the same way as an upload, or the whole photo."""
        started, cancel = time.perf_counter(), CancelToken()
        found = [] if whole_photo else models.detect(photo, cancel, thorough=True)
        detections = found or [whole_photo_detection(photo)]
        self.vectors.append(models.embed([detection.cut_out(photo) for detection in detections], cancel))
        self.seconds.append(time.perf_counter() - started)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Evaluates one system, or compares two on the same photos.

    Two photos are as similar as the two most similar garments in them, as in a search for each garment of a photo.
    """

    systems: Sequence[System]
    whole_photo: bool = False
    """Whether to embed whole photos instead of garments."""
    reader: PhotoReader = field(default_factory=PhotoReader)

    def run(self, judged: JudgedPhotos, progress: Callable[[int], object] = lambda count: None) -> EvaluationReport:
        """Embed the photos one by one, and rank them for each query.

        `progress` is called with the number of photos processed since the last call. Only the vectors stay in memory.
        Photos that cannot be read are skipped. Raises `BadRequest` if no query is left.
        """
        for system in self.systems:
            # so that the first photo's time does not include the initialization
            system.models.warm_up()
        embedded, readable, skipped = self._embed_photos(judged.photos, progress)
        queries, gallery = readable_queries(judged, readable)
        if not queries:
            raise BadRequest(_nothing_to_evaluate(skipped))
        names = [judged.photos[position].name for position in readable]
        results = [
            rank_photos(system, photos, queries, gallery, names)
            for system, photos in zip(self.systems, embedded, strict=True)
        ]
        clusters = np.array([query.cluster for query in queries])
        report = EvaluationReport(
            photos=len(readable),
            queries=[names[query.photo] for query in queries],
            products=len(np.unique(clusters)),
            skipped=skipped,
            skipped_queries=len(judged.queries) - len(queries),
            systems=results,
        )
        add_estimates(report, clusters)
        return report

    def _embed_photos(
        self, photos: Sequence[EvaluationPhoto], progress: Callable[[int], object]
    ) -> tuple[list[EmbeddedPhotos], list[int], dict[str, str]]:
        """Return each system's vectors, the positions of the photos that could be read, and why others could not."""
        embedded = [EmbeddedPhotos() for _ in self.systems]
        readable, skipped = list[int](), dict[str, str]()
        for position, photo in enumerate(photos):
            try:
                with self.reader.open_photo(photo.read(), CancelToken()) as image:
                    for system, vectors in zip(self.systems, embedded, strict=True):
                        vectors.add(system.models, image, self.whole_photo)
                readable.append(position)
            except UNREADABLE as error:
                skipped[photo.name] = error.message
            progress(1)
        return embedded, readable, skipped


def _nothing_to_evaluate(skipped: dict[str, str]) -> str:
    reasons = "".join(f"; {name}: {reason}" for name, reason in list(skipped.items())[:1])
    return (
        "There is nothing to evaluate: no photo that can be read has another one that is relevant to it"
        f" ({len(skipped)} photos cannot be read{reasons})"
    )


def readable_queries(judged: JudgedPhotos, readable: Sequence[int]) -> tuple[list[Query], NDArray[np.bool_]]:
    """Return the queries that are left, with positions among the readable photos, and which of these are searched."""
    new_positions = np.full(len(judged.photos), -1)
    new_positions[readable] = np.arange(len(readable))
    is_searched = np.zeros(len(readable), np.bool_)
    is_searched[new_positions[judged.gallery[new_positions[judged.gallery] >= 0]]] = True
    # The photos of one product share their arrays, which keeps the memory small for large products.
    arrays: dict[int, tuple[Positions, Floats]] = {}
    queries = []
    for query in judged.queries:
        if id(query.relevant) not in arrays:
            relevant = new_positions[query.relevant]
            arrays[id(query.relevant)] = relevant[relevant >= 0], query.relevance[relevant >= 0]
        own, pair = int(new_positions[query.photo]), arrays[id(query.relevant)]
        if own >= 0 and (pair[0] != own).any():
            queries.append(Query(own, *pair, query.cluster))
    return queries, is_searched


def rank_photos(
    system: System,
    photos: EmbeddedPhotos,
    queries: Sequence[Query],
    is_searched: NDArray[np.bool_],
    names: Sequence[str],
) -> SystemResult:
    """Rank all searched photos for each query, and compute the metrics. Takes O(queries · garments · dim)."""
    values, rankings = [], list[RankedQuery]()
    for block, scores in _score_blocks(photos.vectors, queries):
        own = np.array([query.photo for query in block])
        lines = np.arange(len(block))
        gains = np.zeros(scores.shape)
        for line, query in enumerate(block):
            gains[line, query.relevant] = query.relevance
        # A query is neither a result of itself nor relevant to itself.
        gains[lines, own] = 0
        scores[:, ~is_searched] = scores[lines, own] = -np.inf
        # Of photos with equal similarity, relevant ones come last: an embedder that cannot tell photos apart must not
        # profit from their order.
        order = np.lexsort((gains, -scores), axis=1)
        ranked = np.take_along_axis(gains, order, axis=1)
        values.append(_metrics(ranked, gains))
        similarities = np.take_along_axis(scores, order, axis=1)
        rankings += [_ranked_query(*row, names) for row in zip(ranked, order, similarities, strict=True)]
    return SystemResult(
        name=system.name,
        embedder=system.models.embedder,
        dim=system.models.dim,
        values=np.concatenate(values),
        rankings=rankings,
        milliseconds=float(np.median(photos.seconds)) * 1000,
        garments=sum(len(vectors) for vectors in photos.vectors),
    )


def _score_blocks(
    vectors: Sequence[Vectors], queries: Sequence[Query]
) -> Iterator[tuple[Sequence[Query], NDArray[np.float32]]]:
    """Yield some queries at a time with their similarities to all photos, (queries, photos)."""
    stacked = np.concatenate(vectors)
    first_rows = np.cumsum([0, *(len(one) for one in vectors[:-1])])
    for start in range(0, len(queries), QUERIES_PER_BLOCK):
        block = queries[start : start + QUERIES_PER_BLOCK]
        own = [vectors[query.photo] for query in block]
        by_garment = np.concatenate(own) @ stacked.T
        by_photo = np.maximum.reduceat(by_garment, first_rows, axis=1)
        yield block, np.maximum.reduceat(by_photo, np.cumsum([0, *(len(one) for one in own[:-1])]), axis=0)


def _metrics(ranked: Floats, gains: Floats) -> Floats:
    """Return the metrics of each query, (queries, 5) in the order of `METRICS`."""
    relevant_counts = (gains > 0).sum(axis=1)
    columns = (
        recall_at(ranked, 1),
        recall_at(ranked, 10),
        precision_at(ranked, 5),
        average_precision(ranked, relevant_counts),
        ndcg_at(ranked, gains, 10),
    )
    return np.stack(columns, axis=1)


def _ranked_query(
    ranked: Floats, order: Positions, similarities: NDArray[np.float32], names: Sequence[str]
) -> RankedQuery:
    """Return the wrong results and the missed photo of one query. All arguments are in order of the ranking."""
    last = int(np.flatnonzero(ranked)[-1])
    wrong = np.flatnonzero(ranked[:last] == 0)[:MAX_WRONG]
    photos = [
        RankedPhoto(names[order[place]], place + 1, float(similarities[place])) for place in (*wrong.tolist(), last)
    ]
    return RankedQuery(photos[:-1], photos[-1])


def add_estimates(report: EvaluationReport, clusters: NDArray[np.int64]) -> None:
    """Add means and intervals to the systems, and those of the differences if there are two."""
    columns = [system.values for system in report.systems]
    if len(columns) > 1:
        columns.append(columns[1] - columns[0])
    estimates = estimate_means(np.concatenate(columns, axis=1), clusters)
    parts = [estimates[start : start + len(METRICS)] for start in range(0, len(estimates), len(METRICS))]
    for system, part in zip(report.systems, parts, strict=False):
        system.estimates = part
    report.differences = parts[2] if len(report.systems) > 1 else []
