"""Conversion between domain objects and table rows, and validation of values that not every database stores unchanged."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
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
from lookalike.domain.paths import is_utf8_encodable

T = TypeVar("T")
EPOCH = datetime.fromtimestamp(0, UTC)
BATCH_SIZE = 500
"""Values in one IN list or statement, below SQLite's variable limit (999 in old versions) and MySQL's packet size."""
MAX_TEXT_LENGTH = 16_383
"""Characters in a TEXT column: MySQL's TEXT holds 65,535 bytes, and UTF-8 needs up to 4 a character."""
MAX_NAME_LENGTH = 255


def utc_now() -> datetime:
    """Return the current time in UTC without a time zone, as it is stored."""
    return datetime.now(UTC).replace(tzinfo=None)


def utc_now_seconds() -> datetime:
    """Return the current time truncated to seconds, for DATETIME columns without fractions: MySQL would round them up."""
    return utc_now().replace(microsecond=0)


def to_aware_utc(moment: datetime) -> datetime:
    """Add the time zone UTC to a stored time."""
    return moment.replace(tzinfo=UTC)


def to_naive_utc(moment: datetime) -> datetime:
    """Convert a time to UTC and remove the time zone, for storage or comparison with stored times."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def is_storable_text(value: str, length: int) -> bool:
    """Return whether the text is short enough and can be encoded in UTF-8."""
    return len(value) <= length and is_utf8_encodable(value)


def is_name(value: str) -> bool:
    """Return whether all databases compare the name exactly. MySQL ignores trailing spaces."""
    return is_storable_text(value, MAX_NAME_LENGTH) and "\0" not in value and not value.endswith(" ")


def name_in(column: ColumnElement[Any], *names: str) -> ColumnElement[bool]:
    """Match rows with one of the names. Names that cannot be stored match nothing."""
    storable = [name for name in names if is_name(name)]
    # an equality takes SQLAlchemy less time than a list of one
    return column == storable[0] if len(storable) == 1 else column.in_(storable)


def row_id_in(row_ids: Sequence[int], column: ColumnElement[Any] = splitted_images.c.id) -> ColumnElement[bool]:
    """Match rows with one of the ids. Numbers outside 64 bits, which drivers reject, match nothing."""
    # int(): ids from an index are NumPy integers, which the SQLite driver would bind as blobs.
    return column.in_([int(row_id) for row_id in row_ids if 0 < row_id < 2**63])


def batches(values: Sequence[T]) -> Iterable[Sequence[T]]:
    """Split a sequence into parts of at most `BATCH_SIZE` values."""
    return (values[start : start + BATCH_SIZE] for start in range(0, len(values), BATCH_SIZE))


def validated(table: Table, **values: object) -> dict[str, object]:
    """Return the column values as a dictionary. Raises `InvalidField` for a value not every database stores unchanged."""
    for key, value in values.items():
        if not _fits(table.c[key], value):
            raise InvalidField(f"{key} cannot be stored: it is too long or not valid text", field=key)
    return values


def _fits(column: Column[Any], value: object) -> bool:
    if isinstance(value, str):
        max_length = getattr(column.type, "length", None) or MAX_TEXT_LENGTH
        return is_name(value) if column.type is NAME else is_storable_text(value, max_length)
    if isinstance(value, list):
        return all(is_storable_text(item, MAX_TEXT_LENGTH) for item in value if isinstance(item, str))
    return math.isfinite(value) if isinstance(value, float) else True


def photo_row(photo: Photo) -> dict[str, object]:
    """Return the column values of a photo. Raises `InvalidField`."""
    return validated(originals, **asdict(photo), create_time=utc_now_seconds())


def to_photo(row: RowMapping) -> Photo:
    """Return the photo of a row."""
    return Photo(row["name"], row["sha256"], row["width"], row["height"], row["path"], row["owner"])


def segment_row(segment: NewSegment, photo: str, embedder: str) -> dict[str, object]:
    """Return the column values of a segment, without id and commit number. Raises `InvalidField`."""
    moment = utc_now_seconds()
    return validated(
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
    """Return the segment of a row. Legacy rows may lack a creation time."""
    return Segment(
        row_id=row["id"],
        name=row["splitted_image_id"],
        path=row["splitted_image_path"],
        thumbnail=row["thumbnail_path"],
        photo=row["original_image_id"],
        box=to_box(row["bounding_box"]),
        label=row["label"],
        score=row["score"],
        created=to_aware_utc(row["create_time"]) if row["create_time"] else EPOCH,
        color=to_color(row["colour"]),
    )


def vector_bytes(vector: NDArray[np.float32]) -> bytes:
    """Return a vector (dim,) as little-endian float32, the format of the `embedding` columns."""
    return np.ascontiguousarray(vector, "<f4").tobytes()


def box_text(box: Box) -> str:
    """Return the JSON array [x1, y1, x2, y2] of a box. Raises `InvalidField` for coordinates that are not finite."""
    if not all(math.isfinite(value) for value in (box.x1, box.y1, box.x2, box.y2)):
        raise InvalidField("bounding_box must be four finite numbers", field="bounding_box")
    return json.dumps(box.as_list())


def to_box(text: str | None) -> Box | None:
    """Return the box of a JSON array, or `None` for other text, which legacy rows can contain."""
    try:
        x1, y1, x2, y2 = (float(value) for value in json.loads(text or ""))
    except (ValueError, TypeError, RecursionError):
        return None
    return Box(x1, y1, x2, y2) if all(map(math.isfinite, (x1, y1, x2, y2))) else None


def to_color(text: str | None) -> Lab | None:
    """Return the CIELAB color (L*, a*, b*) of a JSON array, or `None`."""
    if text is None:
        return None
    lightness, a, b = json.loads(text)
    return lightness, a, b


def details_row(details: ProductDetails) -> dict[str, object]:
    """Return the column values of product details. Raises `InvalidField`."""
    return validated(image_details, **asdict(details))


def to_details(row: RowMapping | Mapping[str, Any]) -> ProductDetails:
    """Return the product details of a row."""
    times = {"create_time", "update_time"}
    return ProductDetails(
        **{key: value for key, value in row.items() if key not in times | {"tags", "size"}},
        tags=string_list(row["tags"]),
        size=string_list(row["size"]),
    )


def string_list(value: object) -> list[str] | None:
    """Return a JSON value as a list of strings. The original system also stored single strings."""
    if isinstance(value, str):
        return [value]
    return [str(item) for item in value] if isinstance(value, list) else None
