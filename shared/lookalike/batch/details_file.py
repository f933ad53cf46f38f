"""Parse product details from a CSV or JSONL file: valid lines as details, invalid ones with their problem."""

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

LIST_COLUMNS = ("tags", "size")
COLUMNS = {"image_id", *ProductDetailsRequest.model_fields} - {"request_id"}
JSON_LINES_SUFFIXES = (".jsonl", ".ndjson")
NOT_UTF8 = re.compile("[\ud800-\udfff]")
"""Surrogates: with `surrogateescape`, bytes that are not valid UTF-8 decode to them."""
NOT_UTF8_PROBLEM = "not valid UTF-8"
MAX_LINE_LENGTH = 1_000_000
"""Characters."""


@dataclass(frozen=True, slots=True)
class InvalidLine:
    """A line that cannot be used. `line` is counted from 1; `problem` is a phrase for the user."""

    line: int
    problem: str


@dataclass(frozen=True, slots=True)
class ValidLine:
    """The details on a line. `line` is counted from 1."""

    line: int
    details: ProductDetails


class NumberedLines:
    """Iterates over the lines of a file; `number` is the last line read, counted from 1."""

    def __init__(self, file: TextIO, progress: Callable[[int], object]) -> None:
        self._file, self._progress, self.number = file, progress, 0

    def __iter__(self) -> Iterator[str]:
        for line in self._file:
            self.number += 1
            self._progress(len(line))
            yield line


ParsedLines = Iterator[ValidLine | InvalidLine]


def parse_details_file(path: Path, progress: Callable[[int], object] = lambda characters: None) -> ParsedLines:
    """Yield one result per line, in constant memory. `progress` is called with the characters read since its last call.

    The suffix decides the format. Raises `BadRequest` if the first line of a CSV file does not name valid columns.
    """
    # invalid UTF-8 must fail only its own line, so it is decoded to surrogates and rejected there
    with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        lines = NumberedLines(file, progress)
        yield from _parse_json_lines(lines) if path.suffix.lower() in JSON_LINES_SUFFIXES else _parse_csv(lines)


def _parse_json_lines(lines: NumberedLines) -> ParsedLines:
    for line in lines:
        number = lines.number
        if not line.strip():
            continue
        if NOT_UTF8.search(line):
            yield InvalidLine(number, NOT_UTF8_PROBLEM)
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield InvalidLine(number, f"not valid JSON: {error}")
            continue
        yield _from_json(row, number) if isinstance(row, dict) else InvalidLine(number, "not a JSON object")


def _parse_csv(lines: NumberedLines) -> ParsedLines:
    csv.field_size_limit(MAX_LINE_LENGTH)
    rows = csv.reader(iter(lines), strict=True)
    columns = _read_columns(rows)
    while True:
        first = lines.number + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            # an unclosed quote also consumes the following lines, and the original rows cannot be restored
            span = f" (up to line {lines.number}; check for an unclosed quote)" if lines.number > first else ""
            yield InvalidLine(first, f"{error}{span}")
        else:
            if row:
                yield _from_csv(columns, row, first)


def _read_columns(rows: Iterator[list[str]]) -> list[str]:
    try:
        columns = next(rows, [])
    except csv.Error as error:
        raise BadRequest(f"The first line must name the columns, as CSV: {error}") from error
    if NOT_UTF8.search("".join(columns)):
        raise BadRequest(
            "The first line is not valid UTF-8; save the file as UTF-8, with the column names in the first line"
        )
    if "image_id" not in columns:
        raise BadRequest("The first line must name the columns, including image_id")
    if unknown := set(columns) - COLUMNS:
        raise BadRequest(
            f"The first line has unknown columns: {', '.join(sorted(unknown))}; use {', '.join(sorted(COLUMNS))}"
        )
    if len(columns) > len(set(columns)):
        raise BadRequest("The first line names a column twice")
    return columns


def _from_csv(columns: list[str], row: list[str], line: int) -> ValidLine | InvalidLine:
    if NOT_UTF8.search("".join(row)):
        return InvalidLine(line, NOT_UTF8_PROBLEM)
    if len(row) != len(columns):
        return InvalidLine(line, f"has {len(row)} fields; the first line names {len(columns)} columns")
    texts = {name: text.strip() for name, text in zip(columns, row, strict=True)}
    return _validate({name: _parse_value(name, text) for name, text in texts.items() if text}, line, strict=False)


def _from_json(row: dict[str, Any], line: int) -> ValidLine | InvalidLine:
    if unknown := row.keys() - COLUMNS:
        return InvalidLine(line, f"unknown fields: {', '.join(sorted(unknown))[:200]}")
    return _validate(row, line, strict=True)


def _validate(fields: dict[str, Any], line: int, strict: bool) -> ValidLine | InvalidLine:
    """Validate a row. JSON values must have the right type (`strict`); CSV text is converted."""
    image_id = fields.pop("image_id", "")
    if not isinstance(image_id, str) or not 0 < len(image_id) < 256:
        return InvalidLine(line, "image_id: must have 1 to 255 characters")
    try:
        body = ProductDetailsRequest.model_validate(fields, strict=strict)
        return ValidLine(line, ProductDetails(image_id, **body.model_dump(exclude={"request_id"})))
    except (ValidationError, InvalidField) as error:
        return InvalidLine(line, _describe(error))


def _parse_value(name: str, text: str) -> Any:
    """Parse a CSV field; lists are written as JSON or separated by semicolons."""
    if name not in LIST_COLUMNS:
        return text
    if text.startswith("["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return [part.strip() for part in text.split(";")]


def _describe(error: ValidationError | InvalidField) -> str:
    if isinstance(error, InvalidField):
        return error.message
    return "; ".join(f"{'.'.join(map(str, one['loc'][:1]))}: {one['msg']}" for one in error.errors(include_input=False))
