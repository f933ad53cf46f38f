"""The CSV with which Google's Vision API Product Search imports products: one picture per line.

The lines of a product follow one another. Its first line has the name, the category and the labels; the API ignores
them on later lines. The format has no line with column names; one is accepted.
"""

import csv
import json
from collections.abc import Iterator

from lookalike.adapters.product_feeds.columns import PRODUCT_COLUMNS, column_name
from lookalike.adapters.product_feeds.groups import Group, group_rows
from lookalike.adapters.product_feeds.products import known_id, read_line
from lookalike.adapters.product_feeds.tables import Row, read_header, read_rows
from lookalike.adapters.product_feeds.text_lines import TextLines
from lookalike.domain.errors import BadRequest
from lookalike.domain.product import FeedLine, InvalidFeedLine

COLUMNS = [
    "image-uri",
    "image-id",
    "product-set-id",
    "product-id",
    "product-category",
    "product-display-name",
    "labels",
    "bounding-poly",
]
LABEL_FIELDS = frozenset(
    {"brand", "color", "size", "gender", "age_group", "material", "pattern", "product_type", "item_group_id"}
)
"""Labels that are a field of a product. All others are kept under their own name."""


def is_header(names: list[str]) -> bool:
    """Whether the columns are those of this format."""
    return {"image-uri", "product-id"} <= set(map(_name, names))


def is_first_line(fields: list[str]) -> bool:
    """Whether a line is one of this format without column names. Pictures must be in Cloud Storage."""
    return fields[:1] != [] and fields[0].strip().startswith("gs://")


def parse(lines: TextLines, delimiter: str, has_header: bool) -> Iterator[FeedLine | InvalidFeedLine]:
    """Yield one result per product, and one per line that cannot be used."""
    columns = list(map(_name, read_header(lines, delimiter))) if has_header else COLUMNS
    if missing := {"image-uri", "product-id"} - set(columns):
        raise BadRequest(f"The feed has no column {', '.join(sorted(missing))}")
    if len(columns) > len(set(columns)):
        raise BadRequest("The first line of the feed names a column twice")
    for group in group_rows(read_rows(lines, delimiter, columns), "product-id"):
        if isinstance(group, InvalidFeedLine):
            yield group
        else:
            yield from _read_group(group)


def _name(name: str) -> str:
    return name.strip().lower().replace("_", "-")


def _read_group(group: Group) -> Iterator[FeedLine | InvalidFeedLine]:
    rows = [row for row in group.rows if row.text("image-uri")]
    for row in group.rows:
        if not row.text("image-uri"):
            yield InvalidFeedLine(row.number, "image-uri: is missing", known_id([group.key]))
    if rows:
        yield _read_product(group.key, rows)


def _read_product(key: str, rows: list[Row]) -> FeedLine | InvalidFeedLine:
    first = rows[0]
    try:
        labels = _labels(first.text("labels"))
    except (ValueError, csv.Error) as error:
        return InvalidFeedLine(first.number, f"labels: {error}", known_id([key]))
    pictures = [row.text("image-uri") for row in rows]
    known = {
        "id": [key],
        "title": [first.text("product-display-name")],
        "image_link": pictures[:1],
        "additional_image_link": pictures[1:],
        "product-category": [first.text("product-category")],
        "product-set-id": list(dict.fromkeys(row.text("product-set-id") for row in rows)),
        "image-id": _by_picture(rows, "image-id"),
        "bounding-poly": _by_picture(rows, "bounding-poly"),
    }
    others = {name: values for name, values in first.values.items() if name not in COLUMNS}
    return read_line(first.number, others | labels | known, None)


def _labels(text: str) -> dict[str, list[str]]:
    """Parse `color=black,color=white,style=casual`."""
    labels: dict[str, list[str]] = {}
    if not text:
        return labels
    for label in next(csv.reader([text], skipinitialspace=True)):
        name, separator, value = label.partition("=")
        if label.strip() and not (separator and name.strip()):
            raise ValueError(f'"{label[:80]}" must be like color=black')
        if value.strip():
            labels.setdefault(_label_name(name.strip()), []).append(value)
    # a product has one color; several are written like those of the specification
    return {name: ["/".join(values)] if name in LABEL_FIELDS - {"size"} else values for name, values in labels.items()}


def _label_name(name: str) -> str:
    field = column_name(name)
    if field in LABEL_FIELDS or field not in PRODUCT_COLUMNS:
        return field
    return f"label {name}"


def _by_picture(rows: list[Row], column: str) -> list[str]:
    """Values that belong to a picture, as a JSON object with a list for each picture's address."""
    values: dict[str, list[str]] = {}
    for row in rows:
        if value := row.text(column):
            values.setdefault(row.text("image-uri"), []).append(value)
    return [json.dumps(values, ensure_ascii=False)] if values else []
