"""Cuts a stored garment out of its photo again, with another box.

The new images are written first, under new names. Then one transaction replaces paths, box, vector and color, so that
searches find either the old garment or the new one. The old images are deleted last. An interruption leaves at most
objects without a row, which the sweep deletes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import numpy as np

from lookalike import images
from lookalike.domain.color import mean_color
from lookalike.domain.errors import Conflict, InvalidField, NotFound
from lookalike.domain.model import Box, Detection, NewSegment, Photo, Segment, StoredObject
from lookalike.domain.paths import THUMBNAIL_SUFFIX
from lookalike.domain.ports import Catalog, ObjectStore
from lookalike.domain.stage_times import Stage, stage
from lookalike.usecases.claims import delete_written
from lookalike.usecases.jobs import RunningJob
from lookalike.usecases.models import Models
from lookalike.usecases.name_claims import NameClaims
from lookalike.usecases.photo_reader import PhotoReader
from lookalike.usecases.segments import find_segment
from lookalike.usecases.written_objects import written_objects

MIN_OVERLAP = 0.7
"""Intersection over union with the new box from which a detection is about the same garment, so that its mask is used."""


@dataclass(frozen=True, slots=True)
class Recut:
    """Cuts garments out of stored photos again."""

    models: Models
    store: ObjectStore
    catalog: Catalog
    claims: NameClaims
    """Exclude uploads and other changes of the same photo."""
    on_change: Callable[[], object] = lambda: None
    """Called after a garment was changed."""
    photos: PhotoReader = field(default_factory=PhotoReader)

    def recut(self, key: str, box: Box, job: RunningJob, label: str | None = None) -> Segment:
        """Cut a garment, given by name or row id, out of its photo with another box, and complete the job.

        The box is clipped to the photo. If the detector finds a garment in about that box, the cut-out has its mask.
        Without a label, the old one is kept.

        Raises `NotFound`; `InvalidField` for a box outside of the photo; `Conflict` if the photo was stored without its
        original; and the same as `Models.detect`.
        """
        photo = self._kept_photo(self._find(key))
        clipped = clip_box(box, photo.width, photo.height)
        job.enter_stage("claiming")
        with self.claims.hold(photo.name, job.cancel_token, may_exist=True):
            segment = self._find(key)
            replaced = self._stat_objects(segment)
            stored = self._replace(segment, self._read_original(photo), clipped, label or segment.label, job)
        for old in replaced:
            delete_written(self.store, old)
        self.on_change()
        return stored

    def _find(self, key: str) -> Segment:
        segment = find_segment(self.catalog, key)
        if segment is None:
            raise NotFound(f"There is no garment {key!r}")
        return segment

    def _kept_photo(self, segment: Segment) -> Photo:
        photo = self.catalog.photo(segment.photo)
        if photo is None or photo.path is None:
            raise Conflict(
                f"The photo {segment.photo!r} was stored without its original, so its garments cannot be cut out again. "
                "Erase it and upload the photo again with KEEP_ORIGINALS=true"
            )
        return photo

    def _read_original(self, photo: Photo) -> bytes:
        assert photo.path is not None
        try:
            return self.store.get(photo.path)
        except NotFound as error:
            message = f"The original of the photo {photo.name!r} is missing in the bucket: upload the photo again"
            raise Conflict(message) from error

    def _stat_objects(self, segment: Segment) -> list[StoredObject]:
        paths = (segment.path, segment.thumbnail)
        return [stored for path in paths if path and (stored := self.store.stat(path))]

    def _replace(self, segment: Segment, data: bytes, box: Box, label: str | None, job: RunningJob) -> Segment:
        job.enter_stage("reading")
        with self.photos.open_photo(data, job.cancel_token) as image:
            job.enter_stage("detecting")
            found = self.models.detect(image, job.cancel_token, thorough=True)
            detection = detection_of_box(box, found, image.size)
            cut_out = detection.cut_out(image)
            job.enter_stage("embedding")
            vectors = self.models.embed([cut_out], job.cancel_token)
            job.enter_stage("storing")
            # not a number: an object of an earlier change may still exist
            path = f"{segment.photo}/segment_{segment.row_id}.{uuid4().hex[:12]}"
            paths = (f"{path}.png", f"{path}{THUMBNAIL_SUFFIX}")
            color = mean_color(cut_out)
            new = NewSegment(segment.name, *paths, box, label, detection.score, vectors[0], color)
            with stage(Stage.ENCODE):
                files = dict(zip(paths, (images.png(cut_out), images.thumbnail(cut_out)), strict=True))
        with written_objects(self.store, files, job.cancel_token):
            stored = self.catalog.replace_segment(segment.row_id, new, self.models.embedder, job.id)
            if stored is None:
                raise NotFound(f"There is no garment {segment.name!r}: it was deleted meanwhile")
        return stored


def clip_box(box: Box, width: int, height: int) -> Box:
    """Return the part of a box inside a photo of this size. Raises `InvalidField` if it is less than a pixel wide or high."""
    clipped = Box(max(box.x1, 0), max(box.y1, 0), min(box.x2, width), min(box.y2, height))
    if clipped.x2 - clipped.x1 < 1 or clipped.y2 - clipped.y1 < 1:
        message = f"bounding_box must enclose a part of the photo, which has {width} x {height} pixels"
        raise InvalidField(message, field="bounding_box")
    return clipped


def detection_of_box(box: Box, found: Sequence[Detection], size: tuple[int, int]) -> Detection:
    """Return a detection of exactly this box. It has score and mask of the detection that covers about the same part.

    `size` is width and height of the photo.
    """
    best = max(found, key=lambda detection: overlap(detection.box, box), default=None)
    if best is None or overlap(best.box, box) < MIN_OVERLAP:
        return Detection(box, None, None)
    mask = best.mask
    if mask is not None:
        mask = np.asarray(best.full_mask(size).crop(box.pixel_bounds(*size)))
    return Detection(box, best.label, best.score, mask)


def overlap(one: Box, other: Box) -> float:
    """Return the intersection over union of two boxes, 0 to 1."""
    common = Box(max(one.x1, other.x1), max(one.y1, other.y1), min(one.x2, other.x2), min(one.y2, other.y2)).area
    union = one.area + other.area - common
    return common / union if union else 0.0
