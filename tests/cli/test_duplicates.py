"""`lookalike duplicates`: list, page, decisions and merges."""

import json
import re
from pathlib import Path

import pytest

from lookalike.bootstrap import Services
from tests.cli.conftest import run
from tests.conftest import jpeg
from tests.functions.harness import Client, upload_photo
from tests.sample_photos import sample_photo

SMALL, LARGE = "small_segment_0", "large_segment_0"


@pytest.fixture
def stored(client: Client, real: Services, admin: dict[str, str]) -> Services:
    """Services with the photos "small" and "large", which are copies, and "other"."""
    for name, photo in (
        ("small", sample_photo(3).resize((225, 300))),
        ("other", sample_photo(8)),
        ("large", sample_photo(3)),
    ):
        assert upload_photo(client, admin, jpeg(photo), image_name=name).status_code == 200
    return real


def test_pairs_are_listed_as_text_json_and_page(stored: Services, tmp_path: Path) -> None:
    out = tmp_path / "pages" / "duplicates.html"
    listed = run("duplicates", "--out", out)
    assert listed.exit_code == 0 and re.search(rf"\d\.\d{{4}}  {SMALL}  {LARGE}\n", listed.stdout)
    assert "with a similarity of at least 0.98 (open)" in listed.stdout
    lines = [json.loads(line) for line in run("duplicates", "--json").stdout.splitlines()]
    assert {"garments": [SMALL, LARGE], "decision": None} in [
        {name: line[name] for name in ("garments", "decision")} for line in lines
    ]
    page = out.read_text()
    assert page.count("<img") == 2 * len(lines) and SMALL in page and "other_segment" not in page
    assert not re.search(r"""(src|href)=["'](?!data:)""", page), "nothing is loaded from elsewhere"


def test_decisions_stick(stored: Services) -> None:
    assert "1 pair decided" in run("duplicates", "--reject", SMALL, LARGE).stdout
    assert SMALL not in run("duplicates").stdout
    assert SMALL in run("duplicates", "--state", "rejected").stdout
    run("duplicates", "--reopen", SMALL, LARGE)
    assert SMALL in run("duplicates").stdout
    unknown = run("duplicates", "--accept", SMALL, "nothing")
    assert unknown.exit_code == 1 and "nothing" in unknown.output


def test_merge_asks_and_prints_receipts(stored: Services) -> None:
    run("duplicates", "--accept", SMALL, LARGE)
    assert run("duplicates", "--merge").exit_code == 1
    assert stored.catalog.segment(SMALL)
    merged = run("duplicates", "--merge", "--yes")
    receipt = json.loads(merged.stdout)
    assert (receipt["kept"], receipt["segments"]) == (LARGE, [SMALL]) and "1 pair merged" in merged.stderr
    assert stored.catalog.segment(SMALL) is None and stored.catalog.segment(LARGE)
    assert run("duplicates", "--merge", "--yes").stdout == ""


def test_threshold_selects_identical_pictures_only(stored: Services) -> None:
    assert "0 pairs in 0 groups" in run("duplicates", "--threshold", "1").stdout
