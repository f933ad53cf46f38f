"""A photo comes in: its garments are found, cut out, embedded and stored. Objects first, then one transaction."""

import hashlib
import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike import images
from lookalike.domain.cancel import CancelToken
from lookalike.domain.color import Lab
from lookalike.domain.errors import Conflict, InvalidField, LookalikeError, NotFound, Unavailable
from lookalike.domain.model import Box, Detection, NewSegment, Photo, Segment, StoredObject, Vectors
from lookalike.domain.paths import INCOMING_PREFIX, INDEX_PREFIX
from lookalike.domain.ports import Catalog, ObjectStore
from lookalike.usecases.explanation import garment_color
from lookalike.usecases.jobs import RunningJob
from lookalike.usecases.models import Models, whole_photo_detection
from lookalike.usecases.thread_pool import map_concurrently

log = logging.getLogger("lookalike.upload")
PHOTO_NAME_PATTERN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
CLAIM_RETRY_SECONDS = 0.1
"""Seconds between two looks at another upload of the same name."""


@dataclass(frozen=True, slots=True)
class UploadResult:
    """What is stored of a photo now, by this upload or by one of the same bytes before."""

    photo: str
    segments: list[Segment]


@dataclass(frozen=True, slots=True)
class SegmentAttributes:
    """What is known of a garment that was cut out elsewhere; without a box, it is the whole picture."""

    box: Box | None = None
    label: str | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """Stores photos. A claim on a name was left behind if it is older than `stale`, or its `holder` is gone.

    `announce` is called when something was stored.
    """

    models: Models
    store: ObjectStore
    catalog: Catalog
    keep_originals: bool
    claim_timeout: timedelta
    holder: str = ""
    is_holder_gone: Callable[[str], bool] = lambda holder: False
    on_change: Callable[[], object] = lambda: None

    def upload_photo(self, data: bytes, name: str, owner: str | None, force: bool, job: RunningJob) -> UploadResult:
        """Store a photo's garments; with `force`, the whole photo where none is found. No segments: nothing stored.

        Raises `Conflict` if another photo has that name, and what `images.read_image` raises.
        """
        sha256 = sha256_hex(data)
        with self._claim(validate_photo_name(name), job) as ours:
            if not ours:
                return self._stored(name, sha256)
            job.enter_stage("reading")
            picture = images.read_image(data)
            job.enter_stage("detecting")
            found = self.models.detect(picture, job.cancel, thorough=True) or (
                [whole_photo_detection(picture)] if force else []
            )
            if not found:
                return UploadResult(name, [])
            photo = Photo(name, sha256, *picture.size, self._original(name), owner)
            stored = self._keep(photo, picture, found, job)
        self.on_change()
        return UploadResult(name, stored)

    def upload_segment(
        self,
        data: bytes,
        name: str,
        number: int | None,
        owner: str | None,
        job: RunningJob,
        attributes: SegmentAttributes | None = None,
    ) -> Segment:
        """Store a garment that was cut out elsewhere as segment `number` of a photo, or as its next one."""
        with self._claim(validate_photo_name(name), job, shared=True):
            number = self._next(name) if number is None else number
            if there := self.catalog.segment(segment_name(name, number)):
                raise Conflict(f"There is a segment {there.name} already")
            self._clear(f"{name}/segment_{number}.")
            job.enter_stage("reading")
            picture = images.read_image(data)
            photo = Photo(name, sha256_hex(data), *picture.size, None, owner)
            vectors = self._embed([picture], job)
            found = _detection(picture, attributes or SegmentAttributes())
            new = new_segment(name, number, found, vectors[0], garment_color(found, picture))
            with self._objects(self._pictures([new], [picture]), job):
                stored = self.catalog.add_segment(photo, new, self.models.embedder, job.id)
        self.on_change()
        return stored

    def _next(self, name: str) -> int:
        numbers = [one.name.removeprefix(segment_name(name, "")) for one in self.catalog.segments_of_photo(name)]
        return max((int(one) for one in numbers if one.isascii() and one.isdigit()), default=-1) + 1

    def _keep(self, photo: Photo, picture: Image.Image, found: list[Detection], work: RunningJob) -> list[Segment]:
        cut_outs = [one.cut_out(picture) for one in found]
        vectors = self._embed(cut_outs, work)
        work.enter_stage("storing")
        colours = [garment_color(*pair) for pair in zip(found, cut_outs, strict=True)]
        parts = zip(found, vectors, colours, strict=True)
        new = [new_segment(photo.name, number, *part) for number, part in enumerate(parts)]
        objects = self._pictures(new, cut_outs)
        if photo.path:
            objects[photo.path] = images.jpeg(picture)
        with self._objects(objects, work):
            return self.catalog.add_photo(photo, new, self.models.embedder, work.id)

    def _embed(self, cut_outs: Sequence[Image.Image], work: RunningJob) -> Vectors:
        work.enter_stage("embedding")
        return self.models.embed(cut_outs, work.cancel)

    def _original(self, name: str) -> str | None:
        return f"{name}/original.jpg" if self.keep_originals else None

    def _pictures(self, new: Sequence[NewSegment], cut_outs: Sequence[Image.Image]) -> dict[str, bytes]:
        pairs = list(zip(new, cut_outs, strict=True))
        encoded = map_concurrently(lambda pair: (images.png(pair[1]), images.thumbnail(pair[1])), pairs)
        full = {one.path: png for one, (png, _) in zip(new, encoded, strict=True)}
        return full | {one.thumbnail: small for one, (_, small) in zip(new, encoded, strict=True)}

    @contextmanager
    def _objects(self, objects: dict[str, bytes], work: RunningJob) -> Iterator[None]:
        """The objects are there while inside, and stay unless what is inside fails."""
        made: list[StoredObject] = []
        try:
            map_concurrently(lambda path: made.append(self._put(path, objects[path], work.cancel)), list(objects))
            work.cancel.check()
            yield
        except Unavailable:
            # the transaction may have been committed before its answer was lost: the sweep decides
            raise
        except BaseException:
            for one in made:
                self._take_back(one)
            raise

    def _put(self, path: str, data: bytes, cancel: CancelToken) -> StoredObject:
        cancel.check()
        return self.store.put(path, data, "image/png" if path.endswith(".png") else "image/jpeg")

    def _take_back(self, made: StoredObject) -> None:
        try:
            self.store.delete(made.path, made.generation)
        except LookalikeError:
            # another's by now, or the store is away: what is nobody's is swept
            log.warning("%s was not taken back", made.path, exc_info=True)

    def _stored(self, name: str, sha256: str) -> UploadResult:
        photo = self.catalog.photo(name)
        if photo is None or photo.sha256 != sha256:
            raise Conflict(f"Another photo is stored as {name!r}", field="image_name")
        return UploadResult(name, self.catalog.segments_of_photo(name))

    @contextmanager
    def _claim(self, name: str, work: RunningJob, shared: bool = False) -> Iterator[bool]:
        """True while the name is ours alone; false if a photo of that name is stored already.

        With `shared`, it is ours even so. What a process that died left under a free name is removed.
        """
        work.enter_stage("claiming")
        claim = f"{name}/claim"
        while True:
            taken = self._is_taken(name)
            if taken and not shared:
                yield False
                return
            if claimed := self._try_claim(claim, work.id):
                break
            work.cancel.check()
            time.sleep(CLAIM_RETRY_SECONDS)
        try:
            # whoever held the claim before has given it up after its rows: look again
            taken = self._is_taken(name)
            if not taken:
                self._clear(f"{name}/", but=claim)
            yield shared or not taken
        finally:
            self._take_back(claimed)

    def _is_taken(self, name: str) -> bool:
        return self.catalog.photo(name) is not None or bool(self.catalog.segments_of_photo(name))

    def _try_claim(self, claim: str, job: str) -> StoredObject | None:
        there = self.store.stat(claim)
        if there and not self._is_left_behind(there):
            return None
        try:
            unique = f"{self.holder}\n{job} {time.time_ns()}"
            return self.store.put(claim, unique.encode(), "text/plain", there.generation if there else 0)
        except Conflict:
            return None

    def _is_left_behind(self, claim: StoredObject) -> bool:
        if claim.updated < datetime.now(UTC) - self.claim_timeout:
            return True
        try:
            return self.is_holder_gone(self.store.get(claim.path).decode().split("\n")[0])
        except NotFound:
            return False

    def _clear(self, prefix: str, but: str = "") -> None:
        """Remove what no row names, so that nothing half-written is taken for ours, nor swept while we use it."""
        found = [one.path for one in self.store.list(prefix)]
        for path in set(found) - self.catalog.referenced_paths(found) - {but}:
            self.store.delete(path)


def new_segment(
    photo: str, number: int, found: Detection, vector: NDArray[np.float32], colour: Lab | None
) -> NewSegment:
    """Segment `number` of a photo."""
    path = f"{photo}/segment_{number}"
    name, thumbnail = segment_name(photo, number), f"{path}.thumbnail.jpg"
    return NewSegment(name, f"{path}.png", thumbnail, found.box, found.label, found.score, vector, colour)


def _detection(picture: Image.Image, about: SegmentAttributes) -> Detection:
    return Detection(about.box or whole_photo_detection(picture).box, about.label, about.score)


def segment_name(photo: str, number: int | str) -> str:
    return f"{photo}_segment_{number}"


def validate_photo_name(name: str) -> str:
    """Raises `InvalidField`."""
    if not PHOTO_NAME_PATTERN.fullmatch(name):
        message = "must be 1 to 200 letters, digits, '.', '_' or '-', not starting with a dot"
        raise InvalidField(f"image_name {message}", field="image_name")
    if f"{name}/" in (INDEX_PREFIX, INCOMING_PREFIX):
        raise InvalidField(f"image_name must not be {name!r}: the bucket keeps other things there", field="image_name")
    return name


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
