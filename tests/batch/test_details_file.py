"""Parsing product details: every file gives valid lines, invalid lines or a `BadRequest`, and nothing else."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lookalike.batch.details_file import InvalidLine, ValidLine, parse_details_file
from lookalike.domain.errors import BadRequest
from lookalike.domain.model import ProductDetails

property_test = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
words = st.text(st.characters(blacklist_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
NAMES = ["image_id", "brand", "rating", "tags", "size", "url", "colour"]


def read(path: Path, data: bytes) -> list[ValidLine | InvalidLine]:
    path.write_bytes(data)
    return list(parse_details_file(path))


@property_test
@given(st.binary(max_size=300) | words.map(str.encode))
@pytest.mark.parametrize("file_format", ["csv", "jsonl"])
def test_arbitrary_bytes_parse_or_raise_bad_request(tmp_path: Path, file_format: str, data: bytes) -> None:
    for start in (b"", b"\xef\xbb\xbfimage_id,brand,rating,tags\n"):
        try:
            read(tmp_path / f"some.{file_format}", start + data)
        except BadRequest as error:
            assert error.message


@property_test
@given(st.lists(st.dictionaries(st.sampled_from(NAMES), values, max_size=5), max_size=5))
def test_each_json_line_is_valid_or_invalid(tmp_path: Path, rows: list[dict[str, object]]) -> None:
    found = read(tmp_path / "some.jsonl", "\n".join(map(json.dumps, rows)).encode())
    assert [one.line for one in found] == list(range(1, len(rows) + 1))
    for row, line in zip(rows, found, strict=True):
        if isinstance(line, ValidLine):
            assert row.keys() <= set(NAMES) - {"colour"} and line.details.image_id == row["image_id"]


@property_test
@given(st.lists(st.tuples(words, words), min_size=1, max_size=6))
def test_csv_round_trip(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    import csv

    path = tmp_path / "some.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows(
            [("image_id", "brand"), *((f"look {number}", brand) for number, (_, brand) in enumerate(rows))]
        )
    found = list(parse_details_file(path))
    expected = [brand.strip() or None for _, brand in rows]
    assert [one.details.brand for one in found if isinstance(one, ValidLine)] == expected


def test_parsing_continues_after_an_invalid_line(tmp_path: Path) -> None:
    found = read(tmp_path / "some.csv", b'image_id,brand\na,"x"y\nb,Marlow\n')
    assert isinstance(found[0], InvalidLine) and found[0].line == 2
    assert found[1] == ValidLine(3, ProductDetails("b", brand="Marlow"))


def test_line_number_is_where_the_row_begins(tmp_path: Path) -> None:
    found = read(tmp_path / "some.csv", b'image_id,store_description\n\na,"x\ny"\nb,c,d\n"e\nf,""\ng,h\n')
    assert found[0] == ValidLine(3, ProductDetails("a", store_description="x\ny"))
    assert [one.line for one in found] == [3, 5, 6]
    problem = found[2].problem if isinstance(found[2], InvalidLine) else ""
    assert "up to line 8; check for an unclosed quote" in problem


def test_invalid_utf8_fails_only_its_line(tmp_path: Path) -> None:
    found = read(tmp_path / "some.csv", b'image_id,brand\na,\xc9toile\nb,"\xc3\x89toile"\n')
    assert found == [InvalidLine(2, "not valid UTF-8"), ValidLine(3, ProductDetails("b", brand="Étoile"))]
    found = read(tmp_path / "some.jsonl", b'{"image_id": "\xc9"}\n{"image_id": "\xc3\x89"}\n')
    assert found == [InvalidLine(1, "not valid UTF-8"), ValidLine(2, ProductDetails("É"))]
    with pytest.raises(BadRequest, match="UTF-8"):
        read(tmp_path / "some.csv", "image_id,brand\na,b\n".encode("utf-16"))


@pytest.mark.parametrize("first", [b"", b"brand\n", b"image_id,colour\n", b"image_id,brand,brand\n", b"\n"])
def test_invalid_header_is_rejected(tmp_path: Path, first: bytes) -> None:
    with pytest.raises(BadRequest, match="first line"):
        read(tmp_path / "some.csv", first + b"a,b,c\n")


def test_progress_counts_every_character(tmp_path: Path) -> None:
    counts, path = list[int](), tmp_path / "some.csv"
    path.write_text("image_id\na\nb\n")
    list(parse_details_file(path, counts.append))
    assert sum(counts) == path.stat().st_size
