"""`lookalike ingest`, on the built-in models and real files."""

import base64
import json
from pathlib import Path

import pytest

from lookalike.bootstrap import Services, services
from lookalike.domain.webhook import sign
from lookalike.usecases.ingest import Source
from tests.cli.conftest import run
from tests.conftest import jpeg
from tests.docs.expected import same_form
from tests.docs.markdown import ROOT, blocks
from tests.emulators.storage_server import storage_server
from tests.emulators.web_server import web_server
from tests.sample_photos import sample_photo


def test_ingest_stores_each_photo_once_and_skips_broken_ones(folder: Path, real: Services) -> None:
    summary = json.loads(run("ingest", folder, "--json").output)
    assert (
        summary["stored"] == 2 and summary["garments"] >= 2 and set(summary["failed"]) == {"broken.jpg", "moving.gif"}
    )
    again = json.loads(run("ingest", folder, "--json").output)
    assert (again["stored"], again["known"], set(again["failed"])) == (0, 2, {"broken.jpg", "moving.gif"})
    (folder / "broken.jpg").write_bytes(jpeg(sample_photo(9)))
    mended = json.loads(run("ingest", folder, "--json").output)
    assert mended["stored"] == 1 and set(mended["failed"]) == {"moving.gif"}
    assert real.catalog.photo("dress") and real.catalog.photo("summer-dress")


def test_dry_run_counts_photos_and_stores_none(folder: Path, real: Services) -> None:
    planned = json.loads(run("ingest", folder, "--dry-run", "--json").output)
    assert (planned["due"], planned["stored"], planned["known"], planned["failed"]) == (4, 0, 0, {})
    assert real.catalog.photo("dress") is None and not list(real.store.list())
    run("ingest", folder)
    again = run("ingest", folder, "--dry-run").output
    assert "0 photos would be stored, 2 stored before, 2 skipped" in again and "skipped broken.jpg" in again
    assert json.loads(run("ingest", folder, "--dry-run", "--retry-failed", "--json").output)["due"] == 2


def test_ingest_prints_counts_and_rate(folder: Path, real: Services) -> None:
    result = run("ingest", folder).output
    assert "2 photos stored with" in result and " photos/s)" in result
    summary = json.loads(run("ingest", folder, "--retry-failed", "--json").output)
    assert (summary["due"], summary["known"], len(summary["failed"])) == (2, 2, 2) and summary["photos_per_second"] > 0


def test_ingest_replaces_objects_left_by_a_crash(folder: Path, real: Services) -> None:
    real.store.put("dress/claim", b"\njob 1", "text/plain")
    real.store.delete("dress/claim")
    real.store.put("dress/segment_0.png", b"half written", "image/png")
    assert json.loads(run("ingest", folder, "--json").output)["stored"] == 2
    assert real.store.get("dress/segment_0.png").startswith(b"\x89PNG")


def test_ingest_runs_in_parallel_if_models_accept_several_photos(folder: Path, real: Services) -> None:
    real.models.max_concurrency = 4
    summary = json.loads(run("ingest", folder, "--json").output)
    assert (summary["stored"], summary["known"], len(summary["failed"])) == (2, 0, 2)
    summary = json.loads(run("ingest", folder, "--json").output)
    assert (summary["stored"], summary["known"], len(summary["failed"])) == (0, 2, 2)


def test_ingest_of_a_bucket_shares_the_ledger_with_events(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with storage_server("shop") as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        monkeypatch.setenv("STORE_URL", "gs://shop")
        services.cache_clear()
        store = services().store
        for name, data in {
            "a.jpg": jpeg(sample_photo(3)),
            "b/c.jpg": jpeg(sample_photo(8)),
            "bad.png": b"x",
            "notes.txt": b"x",
        }.items():
            store.put(f"incoming/{name}", data, "image/jpeg")
        first = json.loads(run("ingest", "gs://shop/incoming/", "--json").output)
        again = json.loads(run("ingest", "gs://shop/incoming/", "--json").output)
        assert (first["stored"], set(first["failed"])) == (2, {"incoming/bad.png"})
        assert (again["stored"], again["known"]) == (0, 2)
        dropped = store.stat("incoming/a.jpg")
        assert dropped is not None
        (entry,) = services().catalog.ledger_entries("shop", ["incoming/a.jpg"])
        assert (entry.generation, entry.photo) == (str(dropped.generation), "incoming-a")
        assert store.get("incoming-a/segment_0.png").startswith(b"\x89PNG")


def test_ingest_of_a_bucket_in_a_folder_shares_the_ledger_with_events(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with storage_server("shop") as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        monkeypatch.setenv("STORE_URL", "gs://shop/closet")
        services.cache_clear()
        stored = services().store.put("incoming/a.jpg", jpeg(sample_photo(3)), "image/jpeg")
        services().bucket_ingest.ingest_version(Source("shop", "incoming/a.jpg", str(stored.generation)))
        summary = json.loads(run("ingest", "gs://shop/closet/incoming/", "--json").output)
        assert (summary["stored"], summary["known"]) == (0, 1)


def test_own_images_are_not_ingested(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with storage_server("shop", "other") as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        monkeypatch.setenv("STORE_URL", "gs://shop")
        services.cache_clear()
        services().store.put("look/segment_0.png", jpeg(sample_photo(3)), "image/png")
        refused = run("ingest", "gs://shop", "--dry-run", "--json")
        assert refused.exit_code == 1 and "ingest that" in refused.output and "gs://shop/incoming/" in refused.output
        assert json.loads(run("ingest", "gs://other", "--dry-run", "--json").output)["due"] == 0


def test_own_images_in_a_local_store_are_not_ingested(real: Services) -> None:
    real.store.put("look/segment_0.png", jpeg(sample_photo(3)), "image/png")
    refused = run("ingest", real.settings.store.removeprefix("file:"), "--dry-run")
    assert refused.exit_code == 1 and "images that lookalike has stored" in refused.output


def test_tasks_of_a_job_share_the_photos(folder: Path, real: Services) -> None:
    stored, failed = 0, list[str]()
    for index in range(3):
        real.settings = real.settings.model_copy(update={"cloud_run_task_index": index, "cloud_run_task_count": 3})
        summary = json.loads(run("ingest", folder, "--json").output)
        stored, failed = stored + summary["stored"], [*failed, *summary["failed"]]
        assert summary["known"] == 0
    assert stored == 2 and sorted(failed) == ["broken.jpg", "moving.gif"]


def test_webhook_is_told_that_an_ingest_is_done(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "dress.jpg").write_bytes(jpeg(sample_photo(3)))
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no photo")
    key = bytes(32)
    with web_server() as server:
        server.responses["/hook"] = lambda handler: handler.reply(204)
        monkeypatch.setenv("WEBHOOK_URL", f"http://127.0.0.1:{server.server_port}/hook")
        monkeypatch.setenv("WEBHOOK_SECRET", "whsec_" + base64.b64encode(key).decode())
        services.cache_clear()
        run("ingest", "photos", "--dry-run")
        assert not server.received
        assert run("ingest", "photos").exit_code == 0
        (request,) = server.received
        event = json.loads(request.body)
        server.responses["/hook"] = lambda handler: handler.reply(404)
        # the log is written to the stderr of the time when the services were opened
        services.cache_clear()
        again = run("ingest", "photos", "--json")
    assert again.exit_code == 0 and json.loads(again.stdout)["known"] == 1 and len(server.received) == 2
    assert "status 404" in again.stderr
    headers = request.headers
    signed = sign(key, headers["webhook-id"], int(headers["webhook-timestamp"]), request.body)
    assert headers["webhook-signature"] == signed and event["type"] == "ingest.completed"
    data = event["data"]
    assert (data["source"], data["stored"], data["failed"], data["task"]) == ("photos", 1, 1, {"index": 0, "count": 1})
    assert data["failures"][0]["name"] == "broken.jpg" and data["garments"] >= 1
    documented = [block for block in blocks(ROOT / "docs" / "ingestion.md") if "ingest.completed" in block.text]
    same_form(json.loads(documented[0].text), event)
