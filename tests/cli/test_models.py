"""`lookalike models`."""

from pathlib import Path

import pytest

from lookalike.adapters.weights import RESNET50
from lookalike.bootstrap import services
from tests.cli.conftest import run
from tests.emulators.file_server import CHECKSUMS, WEIGHTS, file_server
from tests.emulators.storage_server import storage_server


def test_fetch_downloads_missing_weights_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELS_SHA256", CHECKSUMS)
    services.cache_clear()
    listed = run("models", "list")
    assert listed.exit_code == 1 and listed.output.count(f"are not in {home / 'models'}") == 3
    with file_server(WEIGHTS) as server:
        server.truncate_after = [5000]
        fetched = run("models", "fetch", "--mirror", f"{server.url}/")
        assert fetched.exit_code == 0 and fetched.output.count("fetched") == 3 and len(server.requested_ranges) == 4
        assert run("models", "fetch", "--mirror", server.url).output.count("was there") == 3
        assert len(server.requested_ranges) == 4
    listed = run("models", "list")
    assert listed.exit_code == 0 and listed.output.count(": ok") == 3
    assert {path.name: path.read_bytes() for path in (home / "models").iterdir()} == WEIGHTS


def test_fetch_rejects_weights_with_wrong_checksum(home: Path) -> None:
    services.cache_clear()
    with file_server(WEIGHTS) as server:
        refused = run("models", "fetch", "--mirror", server.url)
    assert refused.exit_code == 1 and "groundingdino_swint_ogc.pth as published" in refused.output


def test_fetch_into_a_bucket_resumes_a_partial_download(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with storage_server("weights") as bucket, file_server(WEIGHTS) as server:
        monkeypatch.setenv("MODELS_SHA256", CHECKSUMS)
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)
        monkeypatch.setenv("MODELS_DIR", "gs://weights/full")
        services.cache_clear()
        assert run("models", "list").output.count("are not in gs://weights/full") == 3
        part = home / "models" / f"{RESNET50.name}.part"
        part.parent.mkdir(parents=True)
        part.write_bytes(WEIGHTS[RESNET50.name][:7])
        assert run("models", "fetch", "--mirror", server.url).output.count("fetched") == 3
        assert run("models", "fetch", "--mirror", server.url).output.count("was there") == 3
        assert run("models", "list").exit_code == 0
        assert "bytes=7-" in server.requested_ranges and not [*part.parent.iterdir()]
        there = services().weights_bucket
        assert there and {one.path: there.get(one.path) for one in there.list()} == WEIGHTS
