"""Records of CSV and TSV files. A record that cannot be read costs its first line only."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass

from lookalike.adapters.product_feeds.columns import PRODUCT_COLUMNS, REPEATED_COLUMNS, column_name
from lookalike.adapters.product_feeds.limits import (
    MAX_COLUMNS,
    MAX_LINE_LENGTH,
    MAX_NAME_LENGTH,
    MAX_RECORD_LINES,
    quote,
)
from lookalike.adapters.product_feeds.text_lines import TextLine, TextLines
from lookalike.domain.errors import BadRequest
from lookalike.domain.product import InvalidFeedLine

HEADER_PROBLEM = "The first line of the feed must name the columns"
QUOTE_HINT = "check for a missing quote"


@dataclass(frozen=True, slots=True)
class Record:
    """The fields of a record, and the line where it begins."""

    number: int
    fields: list[str]


@dataclass(frozen=True, slots=True)
class Row:
    """The values of a record by column, and the line where it begins. Empty values are left out."""

    number: int
    values: dict[str, list[str]]

    def text(self, column: str) -> str:
        """The only or first value of a column without surrounding spaces, or an empty text."""
        return self.values.get(column, [""])[0].strip()


def read_header(lines: TextLines, delimiter: str) -> list[str]:
    """Read the names of the columns. Raises `BadRequest` if they are unusable."""
    while (first := lines.next()) and first.is_blank:
        pass
    if first is None:
        raise BadRequest("The feed is empty")
    record = _read_record(first, lines, delimiter, None)
    if isinstance(record, InvalidFeedLine):
        raise BadRequest(f"{HEADER_PROBLEM}: {record.problem}")
    names = [name.strip() for name in record.fields]
    while names and not names[-1]:
        names.pop()
    _check_header(names)
    return names


def read_rows(lines: TextLines, delimiter: str, columns: list[str]) -> Iterator[Row | InvalidFeedLine]:
    """Yield one result per record. Blank lines, and records of empty fields, are skipped."""
    for record in read_records(lines, delimiter, len(columns)):
        if isinstance(record, InvalidFeedLine):
            yield record
        elif any(field.strip() for field in record.fields):
            values: dict[str, list[str]] = {}
            # records with too many fields have only empty ones after the last column
            for name, field in zip(columns, record.fields, strict=False):
                if field.strip():
                    values.setdefault(name, []).append(field)
            yield _named_only(Row(record.number, values))


def read_records(lines: TextLines, delimiter: str, width: int | None) -> Iterator[Record | InvalidFeedLine]:
    """Yield records with `width` fields, or of any number if it is `None`. Blank lines are skipped."""
    while line := lines.next():
        if not line.is_blank:
            yield _read_record(line, lines, delimiter, width)


def _check_header(names: list[str]) -> None:
    if len(names) > MAX_COLUMNS:
        raise BadRequest(f"The feed has {len(names):,} columns; the limit is {MAX_COLUMNS}")
    if too_long := [name for name in names if len(name) > MAX_NAME_LENGTH]:
        raise BadRequest(
            f"{HEADER_PROBLEM}: a name has more than {MAX_NAME_LENGTH} characters: {quote(too_long[0])}; {QUOTE_HINT}"
        )
    columns = [column_name(name) for name in names]
    single = set(PRODUCT_COLUMNS) - REPEATED_COLUMNS
    if twice := sorted({name for name in columns if name in single and columns.count(name) > 1}):
        raise BadRequest(f"The first line of the feed names a column twice: {', '.join(twice)}")


def _named_only(row: Row) -> Row | InvalidFeedLine:
    if "" in row.values:
        return InvalidFeedLine(row.number, f"has a value in a column without a name: {quote(row.values[''][0])}")
    return row


def _read_record(first: TextLine, lines: TextLines, delimiter: str, width: int | None) -> Record | InvalidFeedLine:
    if first.problem:
        return InvalidFeedLine(first.number, first.problem)
    # a process-wide setting: it is only ever raised
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_LENGTH))
    taken = [first]
    try:
        fields = next(csv.reader(_supply(taken, lines), delimiter=delimiter, strict=True))
    except csv.Error as error:
        lines.take_back(taken[1:])
        return _read_literally(taken, delimiter, width, str(error))
    if _fits(fields, width):
        return Record(first.number, fields)
    if len(taken) > 1:
        # most likely a quote is missing: the lines after the first are read again
        lines.take_back(taken[1:])
    return InvalidFeedLine(first.number, _width_problem(len(fields), width, taken))


def _supply(taken: list[TextLine], lines: TextLines) -> Iterator[str]:
    """Yield the lines of one record and append them to `taken`. Ends early at a line that cannot be read."""
    yield taken[0].text
    length = len(taken[0].text)
    while len(taken) < MAX_RECORD_LINES and (line := lines.next()):
        length += len(line.text)
        if line.problem or length > MAX_LINE_LENGTH:
            lines.take_back([line])
            return
        taken.append(line)
        yield line.text


def _read_literally(taken: list[TextLine], delimiter: str, width: int | None, problem: str) -> Record | InvalidFeedLine:
    """Read a line whose quotes make no sense: TSV is often written without quoting."""
    fields = taken[0].text.rstrip("\r\n").split(delimiter)
    is_closed = len(taken) == 1 and "unexpected end" not in problem
    if delimiter == "\t" and is_closed and width and _fits(fields, width):
        return Record(taken[0].number, fields)
    return InvalidFeedLine(taken[0].number, f"not valid CSV: {problem}{_span(taken)}; {QUOTE_HINT}")


def _fits(fields: list[str], width: int | None) -> bool:
    return width is None or (len(fields) >= width and not any(field.strip() for field in fields[width:]))


def _width_problem(found: int, width: int | None, taken: list[TextLine]) -> str:
    return f"has {found} fields{_span(taken)}; the first line names {width} columns; {QUOTE_HINT}"


def _span(taken: list[TextLine]) -> str:
    return f" up to line {taken[-1].number}, which are read again" if len(taken) > 1 else ""
