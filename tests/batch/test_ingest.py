"""Ingestion of a list of photos: small queues, files that vanish, and the counts of the summary."""

from pathlib import Path

import pytest

from lookalike.batch.ingest import IngestSummary, ingest_all, plan_ingest
from lookalike.batch.photo_sources import PhotoFile, list_folder
from lookalike.bootstrap import Services, services
from lookalike.cli.common import progress_bar_of_length
from lookalike.domain.errors import NotFound
from lookalike.domain.model import LedgerEntry, LedgerStatus
from lookalike.usecases.ingest import DELETED_REASON, SUPERSEDED_REASON, Source
from tests.conftest import jpeg
from tests.sample_photos import sample_photo


def ingest(real: Services, photos: list[PhotoFile]) -> IngestSummary:
    return ingest_all(real, photos, retry_failed=False, progress_bar=progress_bar_of_length)


@pytest.mark.parametrize("setting", ["CONCURRENCY", "MODELS_QUEUE"])
def test_no_photo_is_rejected_if_few_requests_may_wait(
    setting: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(setting, "1")
    services.cache_clear()
    (tmp_path / "photos").mkdir()
    for number in range(4):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(jpeg(sample_photo(number)))
    assert ingest(services(), list_folder(tmp_path / "photos")).stored == 4


def test_broken_link_is_reported_and_the_other_photos_are_stored(real: Services, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").symlink_to("missing.jpg")
    (tmp_path / "dress.jpg").write_bytes(jpeg(sample_photo(3)))
    summary = ingest(real, list_folder(tmp_path))
    assert summary.stored == 1 and "No such file" in summary.failed["broken.jpg"]
    (tmp_path / "missing.jpg").write_bytes(jpeg(sample_photo(8)))
    assert ingest(real, list_folder(tmp_path)).failed == {}


def test_object_that_was_deleted_after_it_was_listed_is_no_failure(real: Services) -> None:
    def read() -> bytes:
        raise NotFound("The object incoming/a.jpg does not exist")

    source = Source("shop", "incoming/a.jpg", "1")
    summary = ingest(real, [PhotoFile(source, read)])
    assert (summary.stored, summary.superseded, summary.failed) == (0, 1, {})
    (entry,) = real.catalog.ledger_entries("shop", [source.name])
    assert (entry.status, entry.reason) == (LedgerStatus.DONE, DELETED_REASON)


def test_next_run_deletes_the_photo_that_a_killed_run_left(real: Services) -> None:
    """The killed run stored the newer version, and did not delete the photo of the older one."""
    for number in (1, 2):
        source = Source("shop", "incoming/a.jpg", str(number))
        real.ingest.store_photo(f"photo-{number}", jpeg(sample_photo(number)), source=source)
    photo = PhotoFile(source, lambda: jpeg(sample_photo(2)))
    assert plan_ingest(real, [photo], retry_failed=False).replaced == [photo]
    assert (ingest(real, [photo]).known, real.catalog.segments_of_photo("photo-1")) == (1, [])
    assert real.catalog.segments_of_photo("photo-2")


def test_version_that_was_overwritten_meanwhile_is_not_counted_as_stored(real: Services) -> None:
    # its event was processed after the listing
    newer = LedgerEntry("shop", "incoming/a.jpg", "2", LedgerStatus.DONE, "newer")
    real.catalog.record_ledger_entry(newer)
    summary = ingest(real, [PhotoFile(Source("shop", newer.name, "1"), lambda: jpeg(sample_photo(3)))])
    assert (summary.stored, summary.superseded, summary.garments) == (0, 1, 0)
    reasons = [entry.reason for entry in real.catalog.ledger_entries("shop", [newer.name])]
    assert reasons == [SUPERSEDED_REASON, None]
