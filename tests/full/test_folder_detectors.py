"""Detectors of folders against transformers: the same pixels, scores, boxes and masks for photos of many sizes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers.models.detr.image_processing_detr import get_size_with_aspect_ratio as detr_size
from transformers.models.yolos.image_processing_yolos import get_size_with_aspect_ratio as yolos_size

from lookalike.adapters.folder_models.boxes import box_in_photo, is_duplicate, score_candidates
from lookalike.adapters.folder_models.detector import THOROUGH_THRESHOLD, THRESHOLD, FolderDetector
from lookalike.adapters.folder_models.detector_input import fit_edges, read_detector_input
from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import Box
from tests.contracts.models import DETECTOR_CONTRACT
from tests.full.exported_detectors import KINDS, LABELS, RECIPES, ExportedDetector, export_detector, set_variant
from tests.sample_photos import sample_photo

SIZES = {"portrait": (600, 900), "landscape": (900, 500), "tiny": (20, 31), "large": (2000, 1500), "odd": (333, 517)}
"""Width and height."""
MAX_SCORE_ERROR, MAX_BOX_ERROR = 1e-3, 1.0


@pytest.fixture(scope="module", params=RECIPES)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ExportedDetector:
    return export_detector(RECIPES[request.param], tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="module")
def detector(exported: ExportedDetector) -> FolderDetector:
    return FolderDetector(exported.folder, KINDS)


@pytest.fixture(params=SIZES)
def photo(request: pytest.FixtureRequest) -> Image.Image:
    return sample_photo(len(request.param), outfit=True).resize(SIZES[request.param])


def predict(exported: ExportedDetector, photo: Image.Image) -> Any:
    """Return the model's outputs for a photo."""
    with torch.inference_mode():
        return exported.model(**exported.processor(photo, return_tensors="pt"))


def library_detections(
    exported: ExportedDetector, photo: Image.Image, threshold: float
) -> list[tuple[int, float, Box]]:
    """Return class number, score and clipped box of the library's detections, best first."""
    result = exported.processor.post_process_object_detection(
        predict(exported, photo), threshold=threshold, target_sizes=[(photo.height, photo.width)]
    )[0]
    rows = zip(result["labels"].tolist(), result["scores"].tolist(), result["boxes"].tolist(), strict=True)
    return sorted(((label, score, clip(box, photo)) for label, score, box in rows), key=lambda row: -row[1])


def clip(box: list[float], photo: Image.Image) -> Box:
    left, top, right, bottom = np.clip(box, 0, [photo.width, photo.height] * 2).tolist()
    return Box(left, top, max(left, right), max(top, bottom))


def is_same(first: Box, second: Box) -> bool:
    return bool(np.abs(np.subtract(first.as_list(), second.as_list())).max() <= MAX_BOX_ERROR)


def test_networks_see_the_photo(exported: ExportedDetector) -> None:
    first, second = (predict(exported, sample_photo(seed, outfit=True)) for seed in (1, 2))
    assert (first.pred_boxes - second.pred_boxes).abs().max() > 0.01


def test_pixels_and_masks_are_those_of_the_library(exported: ExportedDetector, photo: Image.Image) -> None:
    expected = exported.processor(photo, return_tensors="np")
    content = json.loads((exported.folder / "preprocessor_config.json").read_text())
    found = read_detector_input(content, exported.model.config.model_type, "folder").convert(photo)
    assert found.pixels == pytest.approx(expected["pixel_values"], abs=1e-6)
    if "pixel_mask" in expected:
        assert (found.pixel_mask(None) == expected["pixel_mask"]).all()


def test_scores_and_boxes_are_those_of_the_library(
    exported: ExportedDetector, detector: FolderDetector, photo: Image.Image
) -> None:
    expected = library_detections(exported, photo, threshold=-1)
    output = detector.run(photo, CancelToken())
    candidates = score_candidates(output.logits, detector.family)
    assert len(candidates) == len(expected) >= 12
    for candidate, (_, score, _) in zip(candidates, expected, strict=True):
        assert candidate.score == pytest.approx(score, abs=MAX_SCORE_ERROR)
    unmatched = [(c.class_number, c.score, box_in_photo(output.boxes[c.query], photo.size)) for c in candidates]
    for label, score, box in expected:
        # scores of neighbors may be exchanged
        match = next(
            found
            for found in unmatched
            if found[0] == label and abs(found[1] - score) <= MAX_SCORE_ERROR and is_same(found[2], box)
        )
        unmatched.remove(match)


@pytest.mark.parametrize("thorough", [False, True])
def test_detections_are_the_best_of_the_library_for_each_garment(
    exported: ExportedDetector, detector: FolderDetector, photo: Image.Image, thorough: bool
) -> None:
    threshold = THOROUGH_THRESHOLD if thorough else THRESHOLD
    found = detector.detect(photo, CancelToken(), thorough)
    expected = [
        (kind, score, box)
        for label, score, box in library_detections(exported, photo, threshold - MAX_SCORE_ERROR)
        if (kind := KINDS[LABELS[label]]) and box.area >= 1
    ]
    for detection in found:
        assert detection.score is not None and detection.score > threshold
        assert any(
            kind == detection.label and abs(score - detection.score) <= MAX_SCORE_ERROR and is_same(box, detection.box)
            for kind, score, box in expected
        )
    for kind, score, box in expected:
        # the error of a pixel can move an intersection over the limit
        grown = Box(box.x1 - 1, box.y1 - 1, box.x2 + 1, box.y2 + 1)
        is_found = any(is_duplicate(each, kind, better) for each in (box, grown) for better in found)
        assert is_found or score <= threshold + MAX_SCORE_ERROR or box.area < 2


def test_masks_are_those_of_the_library(
    exported: ExportedDetector, detector: FolderDetector, photo: Image.Image
) -> None:
    if not exported.has_masks:
        assert not detector.has_masks and not any(
            found.mask is not None for found in detector.detect(photo, CancelToken(), True)
        )
        return
    output = predict(exported, photo)
    size = (photo.height, photo.width)
    masks = torch.nn.functional.interpolate(output.pred_masks, size=size, mode="bilinear", align_corners=False)[0]
    boxes = [box_in_photo(box.numpy(), photo.size) for box in output.pred_boxes[0]]
    detections = [found for found in detector.detect(photo, CancelToken(), True) if found.mask is not None]
    assert detections
    # a mask that is reduced is smoothed here, and sampled by the library
    min_equal = 0.99 if min(photo.size) > max(output.pred_masks.shape[-2:]) else 0.95
    for detection in detections:
        query = next(number for number, box in enumerate(boxes) if is_same(box, detection.box))
        left, top, right, bottom = detection.box.pixel_bounds(*photo.size)
        expected = masks[query, top:bottom, left:right].numpy() > 0
        found = np.asarray(detection.full_mask(photo.size))[top:bottom, left:right] >= 128
        assert expected.any() and (found == expected).mean() > min_equal


@pytest.mark.parametrize("check", DETECTOR_CONTRACT, ids=lambda check: check.__name__)
def test_contract(detector: FolderDetector, check: Any) -> None:
    check(detector)


def test_fast_processors_differ_by_rounding(tmp_path: Path) -> None:
    for name in ("DetrImageProcessor", "YolosImageProcessor", "RTDetrImageProcessor"):
        fast = getattr(transformers, f"{name}Fast")()
        fast.save_pretrained(tmp_path)
        content = json.loads((tmp_path / "preprocessor_config.json").read_text())
        for width, height in SIZES.values():
            photo = sample_photo(3, outfit=True).resize((width, height))
            expected = fast(photo, return_tensors="pt")["pixel_values"].numpy()
            found = read_detector_input(content, "detr", "folder").convert(photo).pixels
            # a level of 255, divided by the smallest standard deviation
            assert np.abs(found - expected).max() <= 1.01 / 255 / 0.224


def test_normalization_of_the_file_matters(tmp_path: Path) -> None:
    exported = export_detector(RECIPES["rt-detr"], tmp_path)
    photo = sample_photo(1, outfit=True)
    before = FolderDetector(exported.folder, KINDS).run(photo, CancelToken())
    set_variant(exported.folder, do_normalize=True)
    after = FolderDetector(exported.folder, KINDS).run(photo, CancelToken())
    assert np.abs(before.boxes - after.boxes).max() > 1e-3


@settings(max_examples=500, deadline=None)
@given(st.integers(1, 6000), st.integers(1, 6000), st.integers(32, 900), st.integers(0, 900))
def test_sizes_are_those_of_the_library(height: int, width: int, shortest: int, extra: int) -> None:
    longest = shortest + extra
    expected = detr_size((height, width), shortest, longest)
    assert fit_edges(height, width, shortest, longest) == tuple(max(1, side) for side in expected)
    expected = yolos_size((height, width), shortest, longest)
    assert fit_edges(height, width, shortest, longest, 16) == tuple(max(16, int(side)) for side in expected)
