"""Search, detect and embed photographs in files."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike import images
from lookalike.batch.photo_sources import read_file
from lookalike.batch.result_image import GarmentRow, Match, draw_result_image
from lookalike.bootstrap import Services
from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import Caller, Detection, Segment
from lookalike.usecases import segment_images
from lookalike.usecases.jobs import validate_or_create_job_id
from lookalike.usecases.models import whole_photo_detection
from lookalike.usecases.search import Include, MatchGroup, PhotoExample, SearchRequest, SearchResult


def search_file(services: Services, path: Path, num: int, segment: bool) -> SearchResult:
    """Search with a photo; with `segment`, for each garment in it. Returns `num` matches per group."""
    return run_search(services, SearchRequest([PhotoExample(read_file(path))], num, segment, Include.NONE))


def run_search(services: Services, request: SearchRequest) -> SearchResult:
    """Search as a job of an anonymous caller."""
    with services.jobs.run_read_only_job("search", Caller(), validate_or_create_job_id(None)) as job:
        return services.search.search(request, job)


def write_result_image(services: Services, path: Path, result: SearchResult, out: Path) -> None:
    """Write an image of the photo with its garments marked, and their matches next to it."""
    query = images.read_image(read_file(path))
    draw_result_image(query, [_garment_row(services, group) for group in result.groups]).save(out, quality=90)


def _garment_row(services: Services, group: MatchGroup) -> GarmentRow:
    garment = group.garment
    assert garment is not None
    box = garment.box if garment.label else None
    matches = [
        Match(_thumbnail(services, one.segment), one.segment.name, one.similarity or 0.0) for one in group.matches
    ]
    return GarmentRow(box, garment.label or "whole photo", garment.score, matches)


def _thumbnail(services: Services, segment: Segment) -> Image.Image:
    return images.read_image(segment_images.load_thumbnail(services.store, services.catalog, segment))


OPAQUE = 128
"""Opacity from which a pixel of a mask belongs to the garment."""


def detect_file(services: Services, path: Path, masks_folder: Path | None = None) -> dict[str, Any]:
    """Detect the garments of a photo: path, width, height, and `detections` with box, label, score and mask area.

    The mask area is a number of pixels of the upright photo. With `masks_folder`, the mask of each garment is written
    there as `<photo name>_<n>.png`: 8 bits, of the photo's size, n from 0 in the order of the detections.
    """
    photo = images.read_image(read_file(path))
    garments = services.models.detect(photo, CancelToken())
    masks = [garment.full_mask(photo.size) for garment in garments]
    if masks_folder is not None:
        for number, mask in enumerate(masks):
            mask.save(masks_folder / f"{path.stem}_{number}.png")
    detections = [
        {
            "box": garment.box.as_list(),
            "label": garment.label,
            "score": round(garment.score or 0, 4),
            "mask_area": sum(mask.histogram()[OPAQUE:]),
        }
        for garment, mask in zip(garments, masks, strict=True)
    ]
    return {"path": str(path), "width": photo.width, "height": photo.height, "detections": detections}


def embed_file(services: Services, path: Path, garment: bool) -> NDArray[np.float32]:
    """Embed the photo or, with `garment`, its largest garment: a unit vector of shape (dim,)."""
    photo = images.read_image(read_file(path))
    detections: list[Detection] = services.models.detect(photo, CancelToken()) if garment else []
    largest = max(detections, key=lambda detection: detection.box.area, default=whole_photo_detection(photo))
    vector: NDArray[np.float32] = services.models.embed([largest.cut_out(photo)], CancelToken())[0]
    return vector
