"""Sample rows for tests of the catalog."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import HealthCheck, settings

from lookalike.domain.model import (
    Box,
    Caller,
    Changes,
    NewSegment,
    Photo,
)
from lookalike.domain.ports import Catalog

MODEL = "compact-1"
ANNA, BERT = Caller(user="anna", address="10.0.0.1"), Caller(user="bert", address="10.0.0.1")
ANONYMOUS, OTHER_ANONYMOUS = Caller(address="10.0.0.1"), Caller(address="10.0.0.2")
serial = itertools.count()
few_examples = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass
class World:
    """A catalog. `open_another` opens the same database as another process would; `url` is `None` for the fake."""

    catalog: Catalog
    open_another: Callable[[], Catalog]
    url: str | None = None


def photo(name: str = "look") -> Photo:
    return Photo(name, "ab" * 32, 300, 400, f"{name}/original.jpg", "anna")


def garment(name: str = "look", number: int = 0, vector: tuple[float, ...] = (0.6, 0.8)) -> NewSegment:
    return NewSegment(
        name=f"{name}_segment_{number}",
        path=f"{name}/segment_{number}.png",
        thumbnail=f"{name}/segment_{number}.webp",
        box=Box(1, 2.25, 30, 40.5),
        label="dress",
        score=0.75,
        vector=np.array(vector, np.float32),
        color=(53.24, 80.09, -67.2),
    )


def add_photo(catalog: Catalog, name: str = "look", count: int = 1, embedder: str = MODEL) -> list[int]:
    """Store a photo with `count` garments. Return their row ids."""
    segments = [garment(name, number, (float(number), 1.0)) for number in range(count)]
    return [segment.row_id for segment in catalog.add_photo(photo(name), segments, embedder)]


def written_ids(changes: Changes) -> list[int]:
    return [int(row_id) for row_id in changes.row_ids]


def deleted_ids(changes: Changes) -> list[int]:
    return [int(row_id) for row_id in changes.deleted]


def one_minute_later() -> datetime:
    return datetime.now(UTC) + timedelta(minutes=1)
