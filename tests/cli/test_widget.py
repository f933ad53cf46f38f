"""Tests of `lookalike widget`."""

from pathlib import Path

import pytest

from lookalike.bootstrap import services
from lookalike.http.widget import load_widget
from tests.cli.conftest import run
from tests.emulators.storage_server import storage_server

NAMES = {"lookalike-search.js", f"lookalike-search.{load_widget().version}.js"}


def test_widget_is_written_to_a_folder(home: Path) -> None:
    result = run("widget", "public/js")
    assert result.exit_code == 0 and f'integrity="{load_widget().integrity}"' in result.output
    written = {file.name: file.read_bytes() for file in Path("public/js").iterdir()}
    assert written == dict.fromkeys(NAMES, load_widget().script)


def test_widget_in_a_bucket_replaces_an_earlier_version(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with storage_server("public") as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        services.cache_clear()
        bucket = services().open_store("gs://public")
        bucket.put("js/lookalike-search.js", b"earlier version", "text/javascript")
        for _ in range(2):
            assert run("widget", "gs://public/js/").exit_code == 0
        assert {one.path for one in bucket.list()} == {f"js/{name}" for name in NAMES}
        assert bucket.get("js/lookalike-search.js") == load_widget().script
    services.cache_clear()
