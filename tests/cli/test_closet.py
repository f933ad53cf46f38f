"""`lookalike closet`."""

from pathlib import Path

from tests.cli.conftest import run


def test_closet_writes_photos_and_a_query(home: Path) -> None:
    assert run("closet", "closet", "--count", "3", "--query", "query.jpg").exit_code == 0
    assert len(list(Path("closet").glob("*.jpg"))) == 3 and Path("query.jpg").exists()
