"""`lookalike erase`: targets, dry run, confirmation and exit status."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from lookalike.bootstrap import Services
from lookalike.cli import main
from tests.cli.conftest import run
from tests.functions.harness import Client, store_owned_photos


@pytest.fixture
def stored(client: Client, real: Services) -> Services:
    """Services with the photos "one" and "two" of Anna and "three" of Bert; Anna searched once."""
    store_owned_photos(client, real)
    return real


def test_now_rebuilds_the_index_and_deletes_old_versions(stored: Services) -> None:
    before = {entry.path for entry in stored.store.list("index/")}
    result = CliRunner().invoke(main, ["erase", "--photo", "one", "--yes", "--now"])
    receipt = json.loads(result.stdout)
    assert result.exit_code == 0 and receipt["photos"] == 1 and receipt["segments"][0].startswith("one_segment_")
    after = {entry.path for entry in stored.store.list("index/")}
    assert after & before == {stored.versions.pointer_path}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--yes"],
        ["--photo", "a", "--owner", "b", "--yes"],
        ["--filter", "{", "--yes"],
        ["--filter", "{}", "--yes"],
    ],
)
def test_unclear_targets_are_rejected(stored: Services, arguments: list[str]) -> None:
    assert CliRunner().invoke(main, ["erase", *arguments]).exit_code != 0


def test_declined_confirmation_erases_nothing(stored: Services) -> None:
    result = CliRunner().invoke(main, ["erase", "--photo", "two"], input="n\n")
    assert result.exit_code == 1 and stored.segments.list_segments_of_photo("two")


@pytest.mark.parametrize(
    "target",
    [["--segment", "two_segment_0"], ["--photo", "two"], ["--owner", "anna"], ["--filter", '{"brand": "Marlow"}']],
)
def test_dry_run_lists_segments_and_erases_nothing(stored: Services, target: list[str]) -> None:
    before = stored.catalog.changes("compact-6", 0).row_ids.tolist()
    result = run("erase", *target, "--dry-run", "--now")
    receipt = json.loads(result.stdout)
    assert result.exit_code == 0 and "two_segment_0" in receipt["segments"] and receipt["remaining"] > 0
    assert receipt["garments"] == 0 and stored.catalog.changes("compact-6", 0).row_ids.tolist() == before


def test_exit_status_is_1_while_segments_remain(stored: Services) -> None:
    stored.lazy_values["erase"] = replace(stored.erase, time_limit=-1)
    assert run("erase", "--photo", "two", "--yes").exit_code == 1
