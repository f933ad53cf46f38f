"""Stored segments: deletion."""

import pytest

from lookalike.domain.errors import NotFound
from tests.usecases.upload_harness import UploadHarness


def test_delete_segment_deletes_its_objects_and_finally_the_photo() -> None:
    harness = UploadHarness()
    harness.upload_photo()
    harness.segments.delete_segment("look_segment_0")
    assert harness.paths() == ["look/original.jpg", "look/segment_1.png", "look/segment_1.thumbnail.jpg"]
    harness.segments.delete_segment("look_segment_1")
    assert harness.paths() == [] and harness.catalog.photo("look") is None
    with pytest.raises(NotFound):
        harness.segments.delete_segment("look_segment_1")
