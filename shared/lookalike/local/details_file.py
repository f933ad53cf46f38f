"""Product details from a CSV file: the good lines, and what is wrong with the others."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lookalike.domain.errors import BadRequest, InvalidField
from lookalike.domain.model import ProductDetails
from lookalike.http.bodies import ProductBody

LISTS = ("tags", "size")


@dataclass(frozen=True, slots=True)
class BadLine:
    line: int
    problem: str


def read_details(path: Path) -> Iterator[ProductDetails | BadLine]:
    """One a line. Raises `BadRequest` for a file without an `image_id` column or in another encoding than UTF-8."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file, strict=True)
        try:
            _check_columns(rows.fieldnames)
            for row in rows:
                yield _details(row, rows.line_num)
        except (csv.Error, UnicodeDecodeError) as error:
            raise BadRequest(f"{path.name} is not a CSV file in UTF-8 after line {rows.line_num}: {error}") from error


def _check_columns(found: Any) -> None:
    columns = set(found or ())
    known = {"image_id", *ProductBody.model_fields} - {"request_id"}
    if "image_id" not in columns:
        raise BadRequest("The first line must name the columns, image_id among them")
    if unknown := columns - known:
        raise BadRequest(
            f"Unknown columns: {', '.join(sorted(map(str, unknown)))}; known are {', '.join(sorted(known))}"
        )


def _details(row: dict[str, Any], line: int) -> ProductDetails | BadLine:
    if None in row or None in row.values():
        return BadLine(line, "has another number of fields than the first line")
    fields = {name: _value(name, text.strip()) for name, text in row.items() if text.strip()}
    image_id = fields.pop("image_id", "")
    if not image_id or len(image_id) > 255:
        return BadLine(line, "image_id: 1 to 255 characters are required")
    try:
        return ProductDetails(image_id, **ProductBody(**fields).model_dump(exclude={"request_id"}))
    except (ValidationError, InvalidField) as error:
        return BadLine(line, _problem(error))


def _value(name: str, text: str) -> Any:
    """Lists are written as JSON, or with semicolons."""
    if name not in LISTS:
        return text
    if text.startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return [part.strip() for part in text.split(";")]


def _problem(error: ValidationError | InvalidField) -> str:
    if isinstance(error, InvalidField):
        return error.message
    return "; ".join(f"{one['loc'][0]}: {one['msg']}" for one in error.errors(include_input=False))
