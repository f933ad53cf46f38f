"""`POST /reindex`: index build and clean-up."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lookalike.bootstrap import Services
from tests.contracts.databases import execute
from tests.functions.harness import REMOTE, Client, search_photo, upload_photo


def test_reindex_publishes_and_deletes_orphaned_objects(
    client: Client, admin: dict[str, str], real: Services, home: Path
) -> None:
    upload_photo(client, admin, image_name="kept")
    orphan = home / "bucket" / "left" / "segment_0.png"
    real.store.put("left/segment_0.png", b"of an interrupted upload", "image/png")
    os.utime(orphan, (0, 0))  # young objects may belong to a running upload and are kept
    response = client("reindex").post("/reindex")
    assert response.status_code == 202
    assert response.get_json()["data"]["rows"] == len(real.catalog.segments_of_photo("kept"))
    assert real.store.stat("left/segment_0.png") is None and real.store.stat("kept/segment_0.png")
    assert search_photo(client).get_json()["index"]["tail_rows"] == 0


def test_reindex_deletes_old_sign_in_attempts(client: Client, real: Services) -> None:
    now = datetime.now(UTC)
    real.attempts.add_attempt(["old", "new"], now - timedelta(hours=1))
    execute(
        real.settings.database,
        "UPDATE attempts SET create_time = '2026-01-01 00:00:00' WHERE key = (SELECT min(key) FROM attempts)",
    )
    client("reindex").post("/reindex")
    counts = real.attempts.add_attempt(["old", "new"], datetime(2025, 1, 1, tzinfo=UTC))
    assert sorted(counts.values()) == [1, 2]


def test_call_through_a_proxy_of_the_same_machine_is_not_local(client: Client) -> None:
    """Otherwise a proxy in front of a development server would give its rights to everyone."""
    for header in ("X-Forwarded-For", "Forwarded"):
        response = client("reindex").post("/reindex", json={}, headers={header: "for=203.0.113.9"})
        assert response.status_code == 401


def test_remote_reindex_requires_admin(client: Client, admin: dict[str, str]) -> None:
    assert client("reindex").post("/reindex", environ_overrides=REMOTE).status_code == 401
    assert client("reindex").post("/reindex", environ_overrides=REMOTE, headers=admin).status_code == 202
