"""Upload: detects the garments of a photo, cuts them out, embeds and stores them.

All objects are written first, then one database transaction adds their rows. No row ever refers to a missing object. An
interrupted upload leaves at most objects without a row, which the next upload of that name or the sweep deletes.
"""

import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike import images
from lookalike.domain.color import Lab
from lookalike.domain.errors import Conflict, InvalidField
from lookalike.domain.model import Box, Detection, LedgerEntry, NewSegment, Photo, Segment, Vectors
from lookalike.domain.paths import INCOMING_PREFIX, INDEX_PREFIX, THUMBNAIL_SUFFIX
from lookalike.domain.ports import Catalog, ObjectStore
from lookalike.domain.stage_times import Stage, stage
from lookalike.usecases.claims import Claims
from lookalike.usecases.explanation import garment_color
from lookalike.usecases.jobs import RunningJob
from lookalike.usecases.models import Models, whole_photo_detection
from lookalike.usecases.name_claims import NameClaims, delete_orphans
from lookalike.usecases.photo_reader import PhotoReader
from lookalike.usecases.thread_pool import start_call
from lookalike.usecases.written_objects import written_objects

log = logging.getLogger("lookalike.upload")
PHOTO_NAME_PATTERN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True, slots=True)
class UploadResult:
    """The stored segments of a photo, of this upload or of an earlier one of the same file."""

    photo: str
    segments: list[Segment]


@dataclass(frozen=True, slots=True)
class SegmentAttributes:
    """Attributes of an uploaded cut-out. Without a box, it covers the whole image."""

    box: Box | None = None
    label: str | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """Stores photos and cut-outs.

    Concurrent uploads of one name exclude each other with a claim, an object `<name>/claim` in the store. It contains
    the `holder`, an identifier of the process. A claim is abandoned if it is older than `claim_timeout`, or if
    `is_holder_gone` returns true for its holder.
    """

    models: Models
    store: ObjectStore
    catalog: Catalog
    keep_originals: bool
    claim_timeout: timedelta
    holder: str = ""
    is_holder_gone: Callable[[str], bool] = lambda holder: False
    on_change: Callable[[], object] = lambda: None
    """Called after something was stored."""
    photos: PhotoReader = field(default_factory=PhotoReader)

    def upload_photo(
        self,
        data: bytes,
        name: str,
        owner: str | None,
        force: bool,
        job: RunningJob,
        entry: LedgerEntry | None = None,
    ) -> UploadResult:
        """Detect and store the garments of an encoded photo, and complete the job.

        If there are none, stores the whole photo with `force`, and nothing without. Uploading the same file under the
        same name again changes nothing. The ledger entry is recorded in the transaction that stores the photo.

        Raises `Conflict` if another file was uploaded under that name, `InvalidField` for an invalid name, and the same
        as `images.read_image` and `Models.detect`.
        """
        sha256 = sha256_hex(data)
        with self._claim(validate_photo_name(name), job) as is_free:
            if not is_free:
                return self._stored_result(name, sha256)
            job.enter_stage("reading")
            with self.photos.open_photo(data, job.cancel_token) as image:
                job.enter_stage("detecting")
                detections = self.models.detect(image, job.cancel_token, thorough=True)
                if not detections and force:
                    detections = [whole_photo_detection(image)]
                if not detections:
                    return UploadResult(name, [])
                original_path = f"{name}/original.jpg" if self.keep_originals else None
                photo = Photo(name, sha256, *image.size, original_path, owner)
                segments = self._store_photo(photo, image, detections, job, entry)
        self.on_change()
        return UploadResult(name, segments)

    def upload_segment(
        self,
        data: bytes,
        name: str,
        number: int | None,
        owner: str | None,
        job: RunningJob,
        attributes: SegmentAttributes | None = None,
    ) -> Segment:
        """Store an encoded cut-out as segment `number` of a photo, and complete the job.

        Without a number, it becomes the next one. Raises `Conflict` if the segment exists, and otherwise as
        `upload_photo`.
        """
        with self._claim(validate_photo_name(name), job, may_exist=True):
            number = self._next_number(name) if number is None else number
            if existing := self.catalog.segment(segment_name(name, number)):
                raise Conflict(f"Segment {existing.name} exists already: choose another number")
            delete_orphans(self.store, self.catalog, f"{name}/segment_{number}.")
            job.enter_stage("reading")
            with self.photos.open_photo(data, job.cancel_token) as image:
                photo = Photo(name, sha256_hex(data), *image.size, None, owner)
                vectors = self._embed([image], job)
                given = attributes or SegmentAttributes()
                box = given.box or whole_photo_detection(image).box
                detection = Detection(box, given.label, given.score)
                job.enter_stage("storing")
                segment = new_segment(name, number, detection, vectors[0], garment_color(detection, image))
                with stage(Stage.ENCODE):
                    files = image_files(segment, encode_images(image))
                with written_objects(self.store, files, job.cancel_token):
                    stored = self.catalog.add_segment(photo, segment, self.models.embedder, job.id)
        self.on_change()
        return stored

    def _next_number(self, name: str) -> int:
        segments = self.catalog.segments_of_photo(name)
        suffixes = [segment.name.removeprefix(segment_name(name, "")) for segment in segments]
        # segments of the original system can have other names
        return max((int(suffix) for suffix in suffixes if suffix.isascii() and suffix.isdigit()), default=-1) + 1

    def _store_photo(
        self,
        photo: Photo,
        image: Image.Image,
        detections: list[Detection],
        job: RunningJob,
        entry: LedgerEntry | None,
    ) -> list[Segment]:
        cut_outs = [detection.cut_out(image) for detection in detections]
        # encoded while the models compute the vectors
        encoding = [start_call(encode_images, cut_out) for cut_out in cut_outs]
        original = start_call(images.jpeg, image)
        vectors = self._embed(cut_outs, job)
        job.enter_stage("storing")
        colors = [garment_color(*pair) for pair in zip(detections, cut_outs, strict=True)]
        parts = zip(detections, vectors, colors, strict=True)
        segments = [new_segment(photo.name, number, *part) for number, part in enumerate(parts)]
        with stage(Stage.ENCODE):
            objects = {photo.path: original.result()} if photo.path else {}
            for segment, encoded in zip(segments, encoding, strict=True):
                objects |= image_files(segment, encoded.result())
        with written_objects(self.store, objects, job.cancel_token):
            return self.catalog.add_photo(photo, segments, self.models.embedder, job.id, entry)

    def _embed(self, cut_outs: Sequence[Image.Image], job: RunningJob) -> Vectors:
        job.enter_stage("embedding")
        return self.models.embed(cut_outs, job.cancel_token)

    def _stored_result(self, name: str, sha256: str) -> UploadResult:
        photo = self.catalog.photo(name)
        if photo is None or photo.sha256 != sha256:
            message = f"A different photo is stored as {name!r}: choose another image_name"
            raise Conflict(message, field="image_name")
        return UploadResult(name, self.catalog.segments_of_photo(name))

    @contextmanager
    def _claim(self, name: str, job: RunningJob, may_exist: bool = False) -> Iterator[bool]:
        """Hold the claim on a name inside the context, as `NameClaims.hold`."""
        job.enter_stage("claiming")
        claims = Claims(self.store, self.claim_timeout, self.holder, self.is_holder_gone)
        with NameClaims(claims, self.store, self.catalog).hold(name, job.cancel_token, may_exist) as is_free:
            yield is_free


def new_segment(
    photo: str, number: int, detection: Detection, vector: NDArray[np.float32], color: Lab | None
) -> NewSegment:
    """Return segment `number` of a photo, with the name and paths that follow from the number."""
    path = f"{photo}/segment_{number}"
    return NewSegment(
        segment_name(photo, number),
        f"{path}.png",
        f"{path}{THUMBNAIL_SUFFIX}",
        detection.box,
        detection.label,
        detection.score,
        vector,
        color,
    )


def encode_images(cut_out: Image.Image) -> tuple[bytes, bytes]:
    """Return the PNG of a cut-out and its thumbnail."""
    return images.png(cut_out), images.thumbnail(cut_out)


def image_files(segment: NewSegment, encoded: tuple[bytes, bytes]) -> dict[str, bytes]:
    """Return the files of a segment's image and thumbnail by path."""
    return dict(zip((segment.path, segment.thumbnail), encoded, strict=True))


def segment_name(photo: str, number: int | str) -> str:
    """Return the name of a photo's segment. With an empty number, the common prefix of the names."""
    return f"{photo}_segment_{number}"


def validate_photo_name(name: str) -> str:
    """Return the name if it is valid for a photo. Raises `InvalidField`."""
    if not PHOTO_NAME_PATTERN.fullmatch(name):
        message = "must be 1 to 200 letters, digits, '.', '_' or '-', not starting with a dot"
        raise InvalidField(f"image_name {message}", field="image_name")
    if f"{name}/" in (INDEX_PREFIX, INCOMING_PREFIX):
        raise InvalidField(f"image_name must not be {name!r}, which is a reserved folder", field="image_name")
    return name


def sha256_hex(data: bytes) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    return hashlib.sha256(data).hexdigest()
