"""Which photos an ingestion lists: none of lookalike's own images, and as a task of several only its share."""

import hashlib
from collections import Counter
from pathlib import Path

import pytest

from lookalike.batch.photo_sources import PhotoFile, check_own_bucket, check_own_folder, share_of_task
from lookalike.domain.errors import InvalidField
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


@pytest.mark.parametrize(
    ("prefix", "own_prefix"),
    [
        ("incoming/", ""),
        ("incoming/2026", ""),
        ("closet/incoming/", "closet/"),
        ("camera/", "closet/"),
        ("closet-2026/", "closet/"),
    ],
)
def test_photos_of_others_in_our_own_bucket_are_accepted(prefix: str, own_prefix: str) -> None:
    check_own_bucket("shop", prefix, own_prefix)


@pytest.mark.parametrize(
    ("prefix", "own_prefix"),
    [
        ("", ""),
        ("look/", ""),
        ("index/", ""),
        # also the start of `incoming-summer/segment_0.png`
        ("incoming", ""),
        ("", "closet/"),
        ("close", "closet/"),
        ("closet/", "closet/"),
        ("closet/look/", "closet/"),
    ],
)
def test_own_images_in_our_own_bucket_are_rejected(prefix: str, own_prefix: str) -> None:
    with pytest.raises(InvalidField, match=f"under gs://shop/{own_prefix}incoming/"):
        check_own_bucket("shop", prefix, own_prefix)


@pytest.mark.parametrize("folder", ["photos", ".", "photos/2026"])
def test_folders_without_own_images_are_accepted(folder: str, tmp_path: Path) -> None:
    check_own_folder(tmp_path / folder, tmp_path / ".lookalike" / "bucket")


@pytest.mark.parametrize("folder", ["home", "home/store", "home/store/look", "home/store/incoming", "home/photos/.."])
def test_folders_with_own_images_are_rejected(folder: str, tmp_path: Path) -> None:
    (tmp_path / "home" / "photos").mkdir(parents=True)
    with pytest.raises(InvalidField, match=r"while `lookalike serve` runs"):
        check_own_folder(tmp_path / folder, tmp_path / "home" / "store")
