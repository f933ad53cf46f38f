"""Maps the examples of a request to query vectors."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike import images
from lookalike.domain.errors import BadRequest, InvalidField, InvalidImage, NotFound, TooLarge, UnsupportedFormat
from lookalike.domain.filter import Filter
from lookalike.domain.model import Box, Detection, Segment, Vectors
from lookalike.domain.ports import Catalog
from lookalike.domain.stage_times import Stage, stage
from lookalike.usecases.explanation import QueryGarment, garment_color
from lookalike.usecases.jobs import RunningJob
from lookalike.usecases.models import Models, whole_photo_detection
from lookalike.usecases.photo_reader import PhotoReader
from lookalike.usecases.search.request import (
    Example,
    GarmentExample,
    PastExample,
    PhotoExample,
    SearchRequest,
    TextExample,
)
from lookalike.usecases.thread_pool import start_call
from lookalike.usecases.upload import sha256_hex
from lookalike.usecases.visibility import visible_segments

MIN_DECODED_SIDE = 1500
"""Sides in pixels down to which a larger JPEG may be scaled while decoding. Uploads are always decoded in full."""
MIN_NORM = 1e-3
"""Shortest sum of weighted unit vectors that still has a direction."""
Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """The vectors that a search compares stored garments with.

    `vectors` (n, dim) has a row for each garment of a segmented photo, otherwise one, or none if nothing is compared.
    `garments` and `detections` have an item for each row.
    """

    vectors: Vectors
    garments: list[QueryGarment]
    detections: list[Detection | None]
    """Garments of the query photo, with boxes in pixels of the upright photo. `None` if the query is not one photo."""
    size: tuple[int, int] = (0, 0)
    """Width and height of the upright photo in pixels."""
    own_segments: list[Segment] = field(default_factory=list)
    """Stored garments that the examples are, or whose photo they are."""
    wanted_segments: list[Segment] = field(default_factory=list)
    """Items of `own_segments` whose example has a positive weight."""
    is_calibrated: bool = False
    """Whether similarities are those of two single images, which the calibration is for."""
    photo_vectors: Vectors | None = None
    """Vectors (n, dim) of the garments of a segmented photo, otherwise of each photo; `None` without a photo."""


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedPhoto:
    """Vectors (n, dim) of a photo's garments, or of the part of it that is the query."""

    size: tuple[int, int]
    detections: list[Detection]
    vectors: Vectors
    garments: list[QueryGarment]


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedExample:
    """An example with its unit vector (dim,)."""

    weight: float
    vector: Vector
    garment: QueryGarment = field(default_factory=QueryGarment)
    own_segments: list[Segment] = field(default_factory=list)
    photo: EmbeddedPhoto | None = None
    is_photo: bool = False


@dataclass(frozen=True, slots=True)
class QueryReader:
    """Reads the examples of requests. `load_models` is called only if an example has to be embedded."""

    load_models: Callable[[], Models]
    embedder: str
    catalog: Catalog
    photos: PhotoReader
    scope: Filter = field(default_factory=dict)
    """Conditions that stored garments must satisfy to be visible."""

    def read(self, request: SearchRequest, examples: Sequence[Example], job: RunningJob) -> Query:
        """Return the query vectors of the examples.

        Raises the same as `images.read_image` and `Models.embed`, `NotFound` for unknown garments, and `InvalidField`
        for a box outside its photo and for examples whose weighted sum has no direction.
        """
        if request.segment:
            return self._read_segmented_photo(request, examples, job)
        embedded = [self._embed_example(example, job) for example in examples]
        if not embedded:
            return Query(np.empty((0, 0), np.float32), [QueryGarment()], [None])
        main = max(embedded, key=lambda one: one.weight)
        only = main.photo if len(embedded) == 1 else None
        photos = [one.vector for one in embedded if one.is_photo]
        is_single_image = len(examples) == 1 and not isinstance(examples[0], TextExample) and examples[0].weight > 0
        return Query(
            weighted_sum(embedded)[None],
            [main.garment],
            [only.detections[0] if only else None],
            only.size if only else (0, 0),
            distinct_segments(embedded),
            distinct_segments([one for one in embedded if one.weight > 0]),
            is_single_image,
            np.stack(photos) if photos else None,
        )

    def _read_segmented_photo(self, request: SearchRequest, examples: Sequence[Example], job: RunningJob) -> Query:
        if len(examples) != 1 or not isinstance(examples[0], PhotoExample) or examples[0].box is not None:
            raise InvalidField("segment: needs exactly one example, a picture without a bounding_box", field="segment")
        own_rows = self._start_reading_own_rows(examples[0])
        photo = self._embed_photo(examples[0], True, job)
        own = own_rows.result()
        is_calibrated = examples[0].weight > 0
        detections: list[Detection | None] = [*photo.detections]
        return Query(
            photo.vectors, photo.garments, detections, photo.size, own, own, is_calibrated, photo_vectors=photo.vectors
        )

    def _embed_example(self, example: Example, job: RunningJob) -> EmbeddedExample:
        match example:
            case GarmentExample():
                return self._read_garment(example)
            case PhotoExample():
                own_rows = self._start_reading_own_rows(example)
                photo = self._embed_photo(example, False, job)
                with stage(Stage.ROWS):
                    own = own_rows.result()
                return EmbeddedExample(example.weight, photo.vectors[0], photo.garments[0], own, photo, is_photo=True)
            case PastExample():
                return reuse_vector(example)
            case TextExample():
                job.enter_stage("embedding")
                return EmbeddedExample(
                    example.weight, self.load_models().embed_texts([example.text], job.cancel_token)[0]
                )

    def _read_garment(self, example: GarmentExample) -> EmbeddedExample:
        with stage(Stage.ROWS):
            segment = self.catalog.segment(example.key)
            if segment and not visible_segments(self.catalog, [segment], self.scope):
                segment = None
            vectors = self.catalog.vectors(self.embedder, [segment.row_id]) if segment else {}
        name = f"{example.field_prefix}id"
        if segment is None:
            raise NotFound(f"{name}: there is no stored garment {example.key!r}", field=name)
        if segment.row_id not in vectors:
            message = f"{name}: the garment {example.key!r} has no vector of the model in use; run `lookalike reembed`"
            raise NotFound(message, field=name)
        garment = QueryGarment(segment.label, segment.color)
        return EmbeddedExample(example.weight, vectors[segment.row_id], garment, [segment])

    def _start_reading_own_rows(self, example: PhotoExample) -> Future[list[Segment]]:
        """Start to read the rows of the query photo, if the same file was uploaded. Runs while the models compute."""
        return start_call(self._read_own_rows, example.data)

    def _read_own_rows(self, data: bytes) -> list[Segment]:
        row_ids = self.catalog.row_ids_of_photo_hash(sha256_hex(data))
        segments = list(self.catalog.segments(sorted(row_ids)).values()) if row_ids else []
        return visible_segments(self.catalog, segments, self.scope)

    def _embed_photo(self, example: PhotoExample, segment: bool, job: RunningJob) -> EmbeddedPhoto:
        """Detect and embed the garments of a photo, or embed the whole photo or its box."""
        try:
            return self._embed_readable_photo(example, segment, job)
        except (BadRequest, InvalidImage, UnsupportedFormat, TooLarge) as error:
            if example.field_prefix:
                error.details.setdefault("field", f"{example.field_prefix}image")
            raise

    def _embed_readable_photo(self, example: PhotoExample, segment: bool, job: RunningJob) -> EmbeddedPhoto:
        job.enter_stage("reading")
        size = images.upright_size(example.data)
        box = clip_box(example, size)
        # a box may be a small part of the photo, of which every pixel is needed
        min_side = None if box else MIN_DECODED_SIDE
        with self.photos.open_photo(example.data, job.cancel_token, min_side) as image:
            detections = [Detection(box, None, None)] if box else self._detect(image, segment, job)
            job.enter_stage("embedding")
            cut_outs = [detection.cut_out(image) for detection in detections]
            vectors = self.load_models().embed(cut_outs, job.cancel_token)
            garments = [
                QueryGarment(one.label, garment_color(one, cut_out))
                for one, cut_out in zip(detections, cut_outs, strict=True)
            ]
            return EmbeddedPhoto(size, [_scale_box(one, image.size, size) for one in detections], vectors, garments)

    def _detect(self, image: Image.Image, segment: bool, job: RunningJob) -> list[Detection]:
        if not segment:
            return [whole_photo_detection(image)]
        job.enter_stage("detecting")
        return self.load_models().detect(image, job.cancel_token) or [whole_photo_detection(image)]


def reuse_vector(example: PastExample) -> EmbeddedExample:
    """Return the example with its stored vector."""
    found = example.garment
    garment = QueryGarment(found.label if found else None)
    photo = EmbeddedPhoto((0, 0), [found], example.vector[None], [garment]) if found else None
    return EmbeddedExample(example.weight, example.vector, garment, photo=photo, is_photo=True)


def distinct_segments(examples: Sequence[EmbeddedExample]) -> list[Segment]:
    """Return the stored garments of all examples, each once."""
    return list({row.row_id: row for one in examples for row in one.own_segments}.values())


def weighted_sum(examples: Sequence[EmbeddedExample]) -> Vector:
    """Return the sum of weight · vector, scaled to length 1. Raises `InvalidField` if it is almost zero."""
    total = np.sum([np.float64(one.weight) * one.vector.astype(np.float64) for one in examples], axis=0)
    length = float(np.linalg.norm(total))
    if length < MIN_NORM:
        raise InvalidField("query: the weighted examples cancel each other out; change a weight", field="query")
    return np.asarray(total / length, np.float32)


def clip_box(example: PhotoExample, size: tuple[int, int]) -> Box | None:
    """Return the box of the example, clipped to a photo of that width and height; `None` without a box.

    Raises `InvalidField` if nothing is left of it.
    """
    if example.box is None:
        return None
    box, (width, height) = example.box, size
    clipped = Box(max(box.x1, 0.0), max(box.y1, 0.0), min(box.x2, float(width)), min(box.y2, float(height)))
    if clipped.x2 - clipped.x1 <= 0 or clipped.y2 - clipped.y1 <= 0:
        name = f"{example.field_prefix}bounding_box"
        message = f"{name}: nothing of {box.as_list()} lies in the photo of {width} x {height} pixels"
        raise InvalidField(f"{message}; send x1, y1, x2, y2", field=name)
    return clipped


def _scale_box(detection: Detection, from_size: tuple[int, int], to_size: tuple[int, int]) -> Detection:
    """Convert a box from the image as it was decoded to pixels of the photo in full size."""
    x_scale, y_scale, box = to_size[0] / from_size[0], to_size[1] / from_size[1], detection.box
    return replace(detection, box=Box(box.x1 * x_scale, box.y1 * y_scale, box.x2 * x_scale, box.y2 * y_scale))
