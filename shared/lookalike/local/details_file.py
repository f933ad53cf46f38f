"""Product details from a CSV or JSONL file: the good lines, and what is wrong with the others."""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from pydantic import ValidationError

from lookalike.domain.errors import BadRequest, InvalidField
from lookalike.domain.model import ProductDetails
from lookalike.http.bodies import ProductBody

LISTS = ("tags", "size")
COLUMNS = {"image_id", *ProductBody.model_fields} - {"request_id"}
JSON_LINES = (".jsonl", ".ndjson")
LONGEST = 1_000_000
"""Characters of a line."""


@dataclass(frozen=True, slots=True)
class BadLine:
    line: int
    problem: str


@dataclass(frozen=True, slots=True)
class GoodLine:
    line: int
    details: ProductDetails


class Lines:
    """Of a file; `number` is that of the last one that was read."""

    def __init__(self, file: TextIO, progress: Callable[[int], object]) -> None:
        self._file, self._progress, self.number = file, progress, 0

    def __iter__(self) -> Iterator[str]:
        for line in self._file:
            self.number += 1
            self._progress(len(line))
            yield line


Read = Iterator[GoodLine | BadLine]


def read_details(path: Path, progress: Callable[[int], object] = lambda characters: None) -> Read:
    """One a line, of a file that needs no memory; `progress` hears of how many more characters were read.

    Raises `BadRequest` for another encoding than UTF-8, and for CSV without an `image_id` column.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            lines = Lines(file, progress)
            yield from _json_lines(lines) if path.suffix.lower() in JSON_LINES else _csv(lines)
        except (csv.Error, UnicodeDecodeError) as error:
            raise BadRequest(f"{path.name} is not a text file in UTF-8: {error}") from error


def _json_lines(lines: Lines) -> Read:
    for line in lines:
        number = lines.number
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield BadLine(number, f"no JSON: {error}")
            continue
        yield _typed(found, number) if isinstance(found, dict) else BadLine(number, "no JSON object")


def _csv(lines: Lines) -> Read:
    csv.field_size_limit(LONGEST)
    rows = csv.DictReader(iter(lines), strict=True)
    _check_columns(rows.fieldnames)
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            # what a broken quote swallowed is lost; the lines behind it are not
            yield BadLine(lines.number, str(error))
            continue
        yield _details(row, lines.number)


def _check_columns(found: Any) -> None:
    columns = set(found or ())
    if "image_id" not in columns:
        raise BadRequest("The first line must name the columns, image_id among them")
    if unknown := columns - COLUMNS:
        raise BadRequest(
            f"Unknown columns: {', '.join(sorted(map(str, unknown)))}; known are {', '.join(sorted(COLUMNS))}"
        )


def _details(row: dict[str, Any], line: int) -> GoodLine | BadLine:
    if None in row or None in row.values():
        return BadLine(line, "has another number of fields than the first line")
    return _checked({name: _value(name, text.strip()) for name, text in row.items() if text.strip()}, line, False)


def _typed(row: dict[str, Any], line: int) -> GoodLine | BadLine:
    if unknown := row.keys() - COLUMNS:
        return BadLine(line, f"unknown: {', '.join(sorted(unknown))[:200]}")
    return _checked(row, line, True)


def _checked(fields: dict[str, Any], line: int, typed: bool) -> GoodLine | BadLine:
    """JSON says of what type a value is; CSV knows text alone."""
    image_id = fields.pop("image_id", "")
    if not isinstance(image_id, str) or not 0 < len(image_id) < 256:
        return BadLine(line, "image_id: 1 to 255 characters are required")
    try:
        body = ProductBody.model_validate(fields, strict=typed)
        return GoodLine(line, ProductDetails(image_id, **body.model_dump(exclude={"request_id"})))
    except (ValidationError, InvalidField) as error:
        return BadLine(line, _problem(error))


def _value(name: str, text: str) -> Any:
    """Lists are written as JSON, or with semicolons."""
    if name not in LISTS:
        return text
    if text.startswith("["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return [part.strip() for part in text.split(";")]


def _problem(error: ValidationError | InvalidField) -> str:
    if isinstance(error, InvalidField):
        return error.message
    return "; ".join(f"{'.'.join(map(str, one['loc'][:1]))}: {one['msg']}" for one in error.errors(include_input=False))
