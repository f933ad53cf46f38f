"""`lookalike users`, `db`, `doctor` and `token`."""

import json
from pathlib import Path

import pytest

from lookalike import images
from lookalike.adapters.neighbors_index import ID_MAP_PART, INDEX_PART
from lookalike.bootstrap import Services, services
from lookalike.domain.model import Caller
from tests.cli.conftest import run
from tests.contracts.databases import execute
from tests.contracts.test_migrations import ORIGINAL_DETAILS_TABLE, ORIGINAL_IMAGES_TABLE, SQLITE_TYPES
from tests.sample_photos import sample_photo


def test_token_belongs_to_an_administrator(real: Services) -> None:
    assert real.auth.verify_token(run("token").output.strip()).is_admin


def test_doctor_reports_each_part(real: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    healthy = run("doctor")
    assert healthy.exit_code == 0 and "BAD" not in healthy.output and "compact-6" in healthy.output
    monkeypatch.setenv("DATABASE_URL", "mysql+pymysql://root@127.0.0.1:1/nowhere")
    services.cache_clear()
    broken = run("doctor", "--json")
    findings = {one["what"]: one for one in json.loads(broken.output)}
    assert broken.exit_code == 1 and not findings["database"]["well"] and findings["models"]["well"]


@pytest.mark.parametrize("name", [INDEX_PART, ID_MAP_PART, "manifest.json"])
def test_doctor_fails_on_damaged_index_version(real: Services, folder: Path, name: str) -> None:
    run("ingest", folder)
    version = real.reindex.build()
    assert version and run("doctor").exit_code == 0
    path = f"index/{version.embedder}/{version.version}/{name}"
    data = bytearray(real.store.get(path))
    data[len(data) // 2] ^= 1
    real.store.delete(path)
    real.store.put(path, bytes(data), "application/octet-stream")
    damaged = run("doctor", "--json")
    findings = {one["what"]: one for one in json.loads(damaged.output)}
    assert damaged.exit_code == 1 and not findings["index"]["well"] and findings["models"]["well"]
    assert version.version in damaged.output and "lookalike index build" in damaged.output
    services.cache_clear()
    assert run("doctor").exit_code == 1
    run("index", "build")
    services.cache_clear()
    assert run("doctor").exit_code == 0


def test_doctor_names_garments_of_another_model_and_the_command(real: Services, folder: Path) -> None:
    run("ingest", folder)
    execute(real.settings.database, "UPDATE splitted_images SET embedder = 'old-1'")
    services.cache_clear()
    result = run("doctor")
    assert result.exit_code == 1 and "vectors of another model only" in result.output
    assert "Run `lookalike reembed`" in result.output
    run("reembed")
    services.cache_clear()
    assert run("doctor").exit_code == 0


def test_doctor_tells_what_does_not_fit_together_and_mends_it_when_confirmed(real: Services, folder: Path) -> None:
    run("ingest", folder)
    segment = real.catalog.segments_of_photo("dress")[0]
    real.store.delete(segment.path)
    broken = run("doctor")
    assert broken.exit_code == 1 and "BAD  objects    1 garments without an image, whose photo exists" in broken.output
    asked = run("doctor", "--repair")
    assert asked.exit_code == 1 and "cut out again from their photo (dress_segment_0)" in asked.output
    assert "run the command again with --yes" in asked.output.lower() and not real.store.stat(segment.path)
    mended = run("doctor", "--repair", "--yes")
    assert mended.exit_code == 0 and "1 garments cut out again" in mended.output, mended.output
    assert "nothing to repair" in run("doctor", "--repair").output
    assert run("doctor", "--yes").exit_code == 2


def test_db_upgrade_creates_the_database(home: Path) -> None:
    assert run("db", "upgrade").exit_code == 0
    services().catalog.start_job("job", "search", Caller())


def test_invalid_setting_is_reported_without_traceback(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONCURRENCY", "many")
    services.cache_clear()
    result = run("doctor")
    assert result.exit_code == 1 and "CONCURRENCY" in result.output and "Traceback" not in result.output


def test_doctor_says_how_to_install_the_full_models(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELS", "full")
    services.cache_clear()
    result = run("doctor").output
    assert "BAD  models" in result and ("lookalike models fetch" in result or "lookalike[full]" in result)


def test_db_adopt_migrates_the_original_database(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'original.db'}"
    execute(url, ORIGINAL_IMAGES_TABLE.format(**SQLITE_TYPES), ORIGINAL_DETAILS_TABLE.format(**SQLITE_TYPES))
    image = images.png(sample_photo(3)).hex()
    execute(
        url,
        "INSERT INTO splitted_images (splitted_image_id, splitted_image_path, original_image_id, vector, "
        f"splitted_image_data) VALUES ('01_segment_0', '01/segment_0.png', '01', '[3, 4]', X'{image}')",
    )
    monkeypatch.setenv("DATABASE_URL", url)
    services.cache_clear()
    assert run("db", "upgrade").exit_code == 0
    assert "1 rows adopted, 0 left" in run("db", "adopt").output
    assert "0 rows adopted, 0 left" in run("db", "adopt").output
    assert services().store.get("01/segment_0.png").startswith(b"\x89PNG")


def test_users_are_listed_with_role_and_last_sign_in(real: Services) -> None:
    for name in ("ada", "bob"):
        real.accounts.register(f"{name}@example.org", "correct horse")
    real.accounts.sign_in("ada@example.org", "correct horse")
    run("users", "grant", "bob@example.org", "admin")
    first, second = run("users", "list").output.splitlines()
    assert "user " in first and first.endswith("ada@example.org") and "no sign-in known" not in first
    assert "  admin  no sign-in known" in second
    accounts = [json.loads(line) for line in run("users", "list", "--json").output.splitlines()]
    assert [one["role"] for one in accounts] == ["user", "admin"] and accounts[1]["last_sign_in"] is None
