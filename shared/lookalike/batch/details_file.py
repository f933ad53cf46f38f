"""Product details from a CSV or JSONL file: the good lines, and what is wrong with the others."""

import csv
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from pydantic import ValidationError

from lookalike.domain.errors import BadRequest, InvalidField
from lookalike.domain.model import ProductDetails
from lookalike.http.request_schemas import ProductDetailsRequest

LISTS = ("tags", "size")
COLUMNS = {"image_id", *ProductDetailsRequest.model_fields} - {"request_id"}
JSON_LINES = (".jsonl", ".ndjson")
NOT_UTF8, NO_TEXT = re.compile("[\ud800-\udfff]"), "no text in UTF-8"
MAX_LINE_LENGTH = 1_000_000
"""Characters of a line."""


@dataclass(frozen=True, slots=True)
class InvalidLine:
    line: int
    problem: str


@dataclass(frozen=True, slots=True)
class ValidLine:
    line: int
    details: ProductDetails


class NumberedLines:
    """Of a file; `number` is that of the last one that was read."""

    def __init__(self, file: TextIO, progress: Callable[[int], object]) -> None:
        self._file, self._progress, self.number = file, progress, 0

    def __iter__(self) -> Iterator[str]:
        for line in self._file:
            self.number += 1
            self._progress(len(line))
            yield line


ParsedLines = Iterator[ValidLine | InvalidLine]


def parse_details_file(path: Path, progress: Callable[[int], object] = lambda characters: None) -> ParsedLines:
    """One a line, of a file that needs no memory; `progress` hears of how many more characters were read.

    Raises `BadRequest` for CSV whose first line does not name the columns.
    """
    # what is no UTF-8 is the fault of its line alone, and shows there as half a character
    with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        lines = NumberedLines(file, progress)
        yield from _json_lines(lines) if path.suffix.lower() in JSON_LINES else _csv(lines)


def _json_lines(lines: NumberedLines) -> ParsedLines:
    for line in lines:
        number = lines.number
        if not line.strip():
            continue
        if NOT_UTF8.search(line):
            yield InvalidLine(number, NO_TEXT)
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield InvalidLine(number, f"no JSON: {error}")
            continue
        yield _typed(found, number) if isinstance(found, dict) else InvalidLine(number, "no JSON object")


def _csv(lines: NumberedLines) -> ParsedLines:
    csv.field_size_limit(MAX_LINE_LENGTH)
    rows = csv.reader(iter(lines), strict=True)
    columns = _columns(rows)
    while True:
        first = lines.number + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            # a quote that is missing swallows lines; which of them were meant as rows, nobody can tell
            swallowed = f", down to line {lines.number}: is a quote missing?" if lines.number > first else ""
            yield InvalidLine(first, f"{error}{swallowed}")
        else:
            if row:
                yield _details(columns, row, first)


def _columns(rows: Iterator[list[str]]) -> list[str]:
    try:
        columns = next(rows, [])
    except csv.Error as error:
        raise BadRequest(f"The first line must name the columns, as CSV: {error}") from error
    if NOT_UTF8.search("".join(columns)):
        raise BadRequest("The file is no text in UTF-8, to tell by its first line, which must name the columns")
    if "image_id" not in columns:
        raise BadRequest("The first line must name the columns, image_id among them")
    if unknown := set(columns) - COLUMNS:
        raise BadRequest(
            f"The first line has unknown columns: {', '.join(sorted(unknown))}; known are {', '.join(sorted(COLUMNS))}"
        )
    if len(columns) > len(set(columns)):
        raise BadRequest("The first line names a column twice")
    return columns


def _details(columns: list[str], row: list[str], line: int) -> ValidLine | InvalidLine:
    if NOT_UTF8.search("".join(row)):
        return InvalidLine(line, NO_TEXT)
    if len(row) != len(columns):
        return InvalidLine(line, f"has {len(row)} fields, the first line {len(columns)}")
    texts = {name: text.strip() for name, text in zip(columns, row, strict=True)}
    return _checked({name: _value(name, text) for name, text in texts.items() if text}, line, False)


def _typed(row: dict[str, Any], line: int) -> ValidLine | InvalidLine:
    if unknown := row.keys() - COLUMNS:
        return InvalidLine(line, f"unknown: {', '.join(sorted(unknown))[:200]}")
    return _checked(row, line, True)


def _checked(fields: dict[str, Any], line: int, typed: bool) -> ValidLine | InvalidLine:
    """JSON says of what type a value is; CSV knows text alone."""
    image_id = fields.pop("image_id", "")
    if not isinstance(image_id, str) or not 0 < len(image_id) < 256:
        return InvalidLine(line, "image_id: 1 to 255 characters are required")
    try:
        body = ProductDetailsRequest.model_validate(fields, strict=typed)
        return ValidLine(line, ProductDetails(image_id, **body.model_dump(exclude={"request_id"})))
    except (ValidationError, InvalidField) as error:
        return InvalidLine(line, _problem(error))


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
