"""Between the domain's values and the columns', and what no column may hold."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Column, ColumnElement, RowMapping, Table

from lookalike.adapters.catalog.tables import NAME, image_details, originals, splitted_images
from lookalike.domain.color import Lab
from lookalike.domain.errors import InvalidField
from lookalike.domain.model import Box, NewSegment, Photo, ProductDetails, Segment

T = TypeVar("T")
EPOCH = datetime.fromtimestamp(0, UTC)
BATCH = 500
"""Values in one IN list: under SQLite's limit of variables and MySQL's packet."""


def now() -> datetime:
    """UTC, naive, as it is stored."""
    return datetime.now(UTC).replace(tzinfo=None)


def this_second() -> datetime:
    """For the original's columns, which MySQL rounds to seconds (and up)."""
    return now().replace(microsecond=0)


def aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def is_text(value: str, length: int) -> bool:
    """Whether it can be stored: lone surrogates have no UTF-8."""
    return len(value) <= length and not any("\ud800" <= character <= "\udfff" for character in value)


def is_name(value: str) -> bool:
    """Whether every database finds it again, and it alone: MySQL ignores spaces at the end."""
    return is_text(value, 255) and "\0" not in value and not value.endswith(" ")


def named(column: ColumnElement[Any], *names: str) -> ColumnElement[bool]:
    """The rows of those names; what cannot be a name is not looked for."""
    return column.in_([name for name in names if is_name(name)])


def numbered(row_ids: Sequence[int], column: ColumnElement[Any] = splitted_images.c.id) -> ColumnElement[bool]:
    """The garments of those row numbers; what cannot be one is not looked for."""
    # int: the index's numbers are numpy's, which SQLite would take for blobs
    return column.in_([int(row_id) for row_id in row_ids if 0 < row_id < 2**63])


def batches(values: Sequence[T]) -> Iterable[Sequence[T]]:
    return (values[start : start + BATCH] for start in range(0, len(values), BATCH))


def checked(table: Table, **values: object) -> dict[str, object]:
    """Those values. Raises `InvalidField` for what not every database would keep as it is."""
    for key, value in values.items():
        if not _fits(table.c[key], value):
            raise InvalidField(f"{key} cannot be stored: too long, or not valid text", field=key)
    return values


def _fits(column: Column[Any], value: object) -> bool:
    if isinstance(value, str):
        return is_name(value) if column.type is NAME else is_text(value, _length(column))
    if isinstance(value, list):
        return all(is_text(item, 16_383) for item in value if isinstance(item, str))
    return math.isfinite(value) if isinstance(value, float) else True


def _length(column: Column[Any]) -> int:
    # MySQL's TEXT holds 65,535 bytes, four a character at most
    return getattr(column.type, "length", None) or 16_383


def photo_row(photo: Photo) -> dict[str, object]:
    return checked(originals, **asdict(photo), create_time=this_second())


def to_photo(row: RowMapping) -> Photo:
    return Photo(row["name"], row["sha256"], row["width"], row["height"], row["path"], row["owner"])


def segment_row(segment: NewSegment, photo: str, embedder: str) -> dict[str, object]:
    moment = this_second()
    return checked(
        splitted_images,
        splitted_image_id=segment.name,
        splitted_image_path=segment.path,
        thumbnail_path=segment.thumbnail,
        original_image_id=photo,
        bounding_box=box_text(segment.box),
        label=segment.label,
        score=None if segment.score is None else float(segment.score),
        embedder=embedder,
        embedding=vector_bytes(segment.vector),
        colour=json.dumps(segment.color) if segment.color else None,
        create_time=moment,
        update_time=moment,
    )


def to_segment(row: RowMapping) -> Segment:
    return Segment(
        row_id=row["id"],
        name=row["splitted_image_id"],
        path=row["splitted_image_path"],
        thumbnail=row["thumbnail_path"],
        photo=row["original_image_id"],
        box=to_box(row["bounding_box"]),
        label=row["label"],
        score=row["score"],
        created=aware(row["create_time"]) if row["create_time"] else EPOCH,
        color=to_colour(row["colour"]),
    )


def vector_bytes(vector: NDArray[np.float32]) -> bytes:
    return np.ascontiguousarray(vector, "<f4").tobytes()


def box_text(box: Box) -> str:
    """Raises `InvalidField` for a box that is not finite."""
    if not all(math.isfinite(value) for value in (box.x1, box.y1, box.x2, box.y2)):
        raise InvalidField("bounding_box must be four finite numbers", field="bounding_box")
    return json.dumps(box.as_list())


def to_box(text: str | None) -> Box | None:
    """None for whatever else the original may have written there."""
    try:
        x1, y1, x2, y2 = (float(value) for value in json.loads(text or ""))
    except (ValueError, TypeError, RecursionError):
        return None
    return Box(x1, y1, x2, y2) if all(map(math.isfinite, (x1, y1, x2, y2))) else None


def to_colour(text: str | None) -> Lab | None:
    if text is None:
        return None
    lightness, red, yellow = json.loads(text)
    return lightness, red, yellow


def details_row(details: ProductDetails) -> dict[str, object]:
    return checked(image_details, **asdict(details))


def to_details(row: RowMapping) -> ProductDetails:
    times = {"create_time", "update_time"}
    return ProductDetails(
        **{key: value for key, value in row.items() if key not in times | {"tags", "size"}},
        tags=words(row["tags"]),
        size=words(row["size"]),
    )


def words(value: object) -> list[str] | None:
    if isinstance(value, str):
        return [value]
    return [str(item) for item in value] if isinstance(value, list) else None
