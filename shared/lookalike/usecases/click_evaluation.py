"""Evaluation by feedback: at which place of past searches the users found the garment that they chose."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lookalike.domain.errors import NotFound
from lookalike.domain.history import PastSearch
from lookalike.domain.ports import History
from lookalike.domain.ranking_metrics import Estimate, Floats, estimate_means, recall_at, reciprocal_rank

CLICK_METRICS = ("MRR", "R@1", "R@10")
PAGE_SIZE = 100
"""Searches read with one query."""


@dataclass(frozen=True, slots=True)
class ClickReport:
    """Places of chosen results. `estimates` are in the order of `CLICK_METRICS`."""

    searches: int
    users: int
    mean_hits: float
    """Mean number of results of the searches that are still stored."""
    estimates: list[Estimate]


def evaluate_clicks(history: History) -> ClickReport:
    """Evaluate all searches with a chosen garment. Raises `NotFound` if there are none.

    The users are the clusters of the intervals: searches of one user are not independent. Of several garments that
    were chosen in one search, the first counts.
    """
    rows, owners, hit_counts = list[Floats](), list[str](), list[int]()
    for search in _chosen_searches(history):
        rows.append(_metrics(search))
        owners.append(search.owner)
        hit_counts.append(len(search.hits))
    if not rows:
        raise NotFound(
            "No search has a chosen result yet: clients send POST /feedback when a signed-in user chooses one"
        )
    _, clusters = np.unique(owners, return_inverse=True)
    estimates = estimate_means(np.stack(rows), clusters)
    return ClickReport(len(rows), len(set(owners)), float(np.mean(hit_counts)), estimates)


def _chosen_searches(history: History) -> Iterator[PastSearch]:
    after: tuple[str, str] | None = None
    while page := history.list_chosen_searches(PAGE_SIZE, after):
        yield from page
        after = page[-1].owner, page[-1].id


def _metrics(search: PastSearch) -> Floats:
    """Return the metrics (3,) of one search: the best of its query garments, each of which has a ranking of its own."""
    chosen = {choice.row_id for choice in search.choices}
    rankings: dict[int, list[float]] = {}
    for hit in search.hits:
        rankings.setdefault(hit.garment_index, []).append(float(hit.row_id in chosen))
    metrics = [
        [metric[0] for metric in (reciprocal_rank(ranked), recall_at(ranked, 1), recall_at(ranked, 10))]
        for ranked in (np.array([ranking]) for ranking in rankings.values())
    ]
    return np.asarray(np.max(metrics, axis=0), np.float64)
