"""Shares of the tasks of one ingestion: each photo belongs to exactly one task."""

import hashlib
from collections import Counter

import pytest

from lookalike.batch.photo_sources import PhotoFile, share_of_task
from lookalike.usecases.ingest import Source

NAMES = [*(f"incoming/{number:05}.jpg" for number in range(2000)), "robe d'été.jpg", "日本.png", "bad\udcff.jpg"]
PHOTOS = [PhotoFile(Source("shop", name, "1"), lambda: b"") for name in NAMES]


@pytest.mark.parametrize("count", [1, 2, 7, 50])
def test_shares_of_all_tasks_have_each_photo_once(count: int) -> None:
    shares = [share_of_task(PHOTOS, index, count) for index in range(count)]
    assert Counter(photo.source.name for share in shares for photo in share) == Counter(NAMES)
    assert max(map(len, shares)) < 2 * len(NAMES) / count


def test_share_depends_on_the_hash_of_the_name_only() -> None:
    for photo in PHOTOS[:50]:
        expected = int(hashlib.sha256(photo.source.name.encode()).hexdigest(), 16) % 7
        assert share_of_task([photo], expected, 7) == [photo]
        assert share_of_task([photo], (expected + 1) % 7, 7) == []
