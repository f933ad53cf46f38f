"""Detectors of model folders: post-processing, masks, and errors before the first photo."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto
from PIL import Image

from lookalike.adapters.folder_models.boxes import RawOutput, find_garments, score_candidates
from lookalike.adapters.folder_models.detector import FolderDetector
from lookalike.adapters.folder_models.families import FAMILIES, SIGMOID, SOFTMAX
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Misconfigured
from lookalike.domain.model import Detection
from tests.tiny_detector import BOXES, KINDS, LOGITS, SQUARE, TinyDetector

PHOTO = Image.new("RGB", (200, 100), "white")
EDGES = {"image_processor_type": "YolosImageProcessor", "size": {"shortest_edge": 64, "longest_edge": 128}}


def open_detector(tiny: TinyDetector, folder: Path, **options: Any) -> FolderDetector:
    return FolderDetector(tiny.write(folder), options.pop("labels", KINDS), **options)


def detect(tiny: TinyDetector, folder: Path, photo: Image.Image = PHOTO, thorough: bool = False) -> list[Detection]:
    return open_detector(tiny, folder).detect(photo, CancelToken(), thorough)


def summarize(detections: list[Detection]) -> list[tuple[str | None, list[float], float]]:
    return [(found.label, found.box.as_list(), round(found.score or 0, 4)) for found in detections]


def test_softmax_scores_exclude_no_object_and_unmapped_labels(tmp_path: Path) -> None:
    top = np.exp(3) / (np.exp(3) + 2 * np.exp(-4) + 1)
    trousers = np.exp(2) / (np.exp(2) + 2 * np.exp(-4) + 1)
    assert summarize(detect(TinyDetector(), tmp_path)) == [
        ("top", [60, 10, 140, 40], round(top, 4)),
        ("trousers", [50, 45, 150, 95], round(trousers, 4)),
    ]


@pytest.mark.parametrize("model_type", ["rt_detr", "d_fine", "rf_detr", "rf-detr", "deformable_detr"])
def test_sigmoid_scores_count_each_class_by_itself(tmp_path: Path, model_type: str) -> None:
    tiny = TinyDetector(model_type, logits=[row[:3] for row in LOGITS])
    found = summarize(detect(tiny, tmp_path))
    assert [(label, score) for label, _, score in found] == [
        ("top", round(1 / (1 + np.exp(-3)), 4)),
        ("trousers", round(1 / (1 + np.exp(-2)), 4)),
    ]


def test_sigmoid_takes_the_best_pairs_of_query_and_class() -> None:
    logits = np.array([[2, 1.5, -1], [0, -1, -2], [1, -3, -3]], np.float32)
    found = [(candidate.query, candidate.class_number) for candidate in score_candidates(logits, SIGMOID)]
    assert found == [(0, 0), (0, 1), (2, 0)]
    assert len(score_candidates(np.zeros((300, 5), np.float32), FAMILIES["deformable_detr"])) == 100


def test_scores_of_large_logits_do_not_overflow() -> None:
    logits = np.array([[500, -500, -80]], np.float32)
    for family in (SIGMOID, SOFTMAX):
        assert score_candidates(logits, family)[0].score == 1


def test_thorough_lowers_the_threshold(tmp_path: Path) -> None:
    # the sigmoid of 0 is 0.5 and not above the threshold
    tiny = TinyDetector("rt_detr", logits=[[0.0, -5, -5], [-5, -0.8, -5], [-5, -0.9, -5]])
    default, thorough = (detect(tiny, tmp_path, thorough=thorough) for thorough in (False, True))
    assert not default
    assert [(found.label, round(found.score or 0, 2)) for found in thorough] == [("top", 0.5), ("trousers", 0.31)]


def test_boxes_of_one_kind_that_overlap_are_one_garment() -> None:
    kinds = {0: "top", 1: "top", 2: "dress"}
    logits = np.array([[3, -9, -9], [-9, 2.5, -9], [-9, -9, 2], [1, -9, -9]], np.float32)
    boxes = np.array([[0.5, 0.5, 0.4, 0.4], [0.5, 0.52, 0.4, 0.4], [0.5, 0.5, 0.4, 0.4], [0.8, 0.5, 0.4, 0.4]])
    found = find_garments(RawOutput(logits, boxes.astype(np.float32)), SIGMOID, kinds, (100, 100), 0.5)
    assert [(detection.label, detection.box.as_list()) for detection in found] == [
        ("top", [30, 30, 70, 70]),
        ("dress", [30, 30, 70, 70]),
        ("top", [60, 30, 100, 70]),
    ]


def test_boxes_are_clipped_and_those_outside_or_thinner_than_a_pixel_dropped() -> None:
    boxes = np.array([[0, 0, 1, 1], [1.5, 0.5, 0.2, 0.2], [0.5, 0.5, 1e-4, 0.5], [0.5, 0.5, -0.2, 0.2]], np.float32)
    output = RawOutput(np.full((4, 1), 3, np.float32), boxes)
    found = find_garments(output, SIGMOID, {0: "top"}, (100, 60), 0.5)
    assert [detection.box.as_list() for detection in found] == [[0, 0, 50, 30]]


def test_masks_are_enlarged_and_cut_to_the_box(tmp_path: Path) -> None:
    masks = np.full((3, 20, 20), -9.0)
    # the upper left quarter of the photo, and a region outside of the box of the trousers
    masks[0, :10, :10] = 9
    masks[1, :2, :2] = 9
    top, trousers = detect(TinyDetector(masks=masks), tmp_path)
    assert trousers.mask is None
    assert top.mask is not None and top.mask.shape == (30, 80) and top.mask.dtype == np.uint8
    inside = np.zeros((30, 80), bool)
    # the box starts at (60, 10), and the object ends at (100, 50)
    inside[:, :40] = True
    assert ((top.mask >= 128) == inside).mean() > 0.98
    assert top.mask[:, :35].min() == 255 and top.mask[:, 45:].max() == 0
    assert top.cut_out(PHOTO).size == (80, 30)


def test_masks_of_large_boxes_are_limited(tmp_path: Path) -> None:
    tiny = TinyDetector(boxes=[[0.5, 0.5, 1, 1], *BOXES[1:]], masks=np.full((3, 8, 8), 5.0))
    photo = Image.new("RGB", (3000, 1500), "white")
    top = detect(tiny, tmp_path, photo)[0]
    assert top.mask is not None and top.mask.shape == (512, 1024) and top.mask.min() >= 128
    assert top.cut_out(photo).size == photo.size


def test_masks_ignore_padding(tmp_path: Path) -> None:
    masks = np.full((3, 20, 20), -9.0)
    masks[:, :, :10] = 9
    # the photo fills the left half of the padded input, so the mask covers all of it
    padded = {**SQUARE, "do_pad": True, "pad_size": {"height": 64, "width": 96}}
    tiny = TinyDetector(boxes=[[0.5, 0.5, 0.6, 0.6], *BOXES[1:]], masks=masks, preprocessor=padded)
    top = detect(tiny, tmp_path)[0]
    assert top.mask is not None and top.mask.min() == 255


@pytest.mark.parametrize("mask_shape", [["batch", "height", "width"], ["batch", 64, 64]])
def test_networks_with_a_pixel_mask_get_one(tmp_path: Path, mask_shape: list[int | str]) -> None:
    assert len(detect(TinyDetector(mask_shape=mask_shape, preprocessor=EDGES), tmp_path)) == 2


def test_pixels_depend_on_the_preprocessor(tmp_path: Path) -> None:
    # white pixels are 1 after rescaling, so the logit of the top grows by 2
    tiny = TinyDetector(
        "rt_detr",
        logits=[[-1.0, -9, -9, -9]],
        boxes=BOXES[:1],
        brightness=2,
        labels={**{3: "tie"}, 0: "top", 1: "a", 2: "b"},
    )
    detector = open_detector(tiny, tmp_path, labels={"top": "top"})
    white, black = (detector.detect(Image.new("RGB", (50, 50), name), CancelToken()) for name in ("white", "black"))
    assert not black and white[0].score == pytest.approx(1 / (1 + np.exp(-1)), abs=1e-5)


def test_half_precision_networks_and_names_of_rf_detr(tmp_path: Path) -> None:
    names = {"pixel_values": "input", "logits": "labels", "pred_boxes": "dets", "pred_masks": "masks"}
    tiny = TinyDetector("rf_detr", names=names, element_type=TensorProto.FLOAT16, masks=np.full((3, 8, 8), 5.0))
    detector = open_detector(tiny, tmp_path)
    # the fourth class is the one that RF-DETR adds
    assert detector.has_masks and detector.device == "cpu" and detector.kinds == {0: "top", 1: "trousers"}
    assert [found.label for found in detector.detect(PHOTO, CancelToken())] == ["top", "trousers"]


def test_variants_are_files_of_their_own(tmp_path: Path) -> None:
    TinyDetector().write(tmp_path, "model_int8.onnx")
    assert FolderDetector(tmp_path, KINDS, "int8").detect(PHOTO, CancelToken())
    with pytest.raises(Misconfigured, match=r"has no onnx/model\.onnx.*int8"):
        FolderDetector(tmp_path, KINDS)


BROKEN = [
    (TinyDetector("clip"), "the model_type 'clip' is not a supported detector"),
    (TinyDetector(""), "there is no model_type"),
    (TinyDetector(labels={}), "has no id2label"),
    (TinyDetector(labels={-1: "top"}), "negative class number"),
    (TinyDetector("rt_detr"), r"class logits have the shape \(3, 4\), not \(queries, 3\)"),
    (TinyDetector(labels={0: "shirt, blouse"}), r"not \(queries, 2\).*one for no object"),
    (TinyDetector(boxes=[[0.5] * 5] * 3), r"boxes have the shape \(3, 5\), not \(3, 4\)"),
    (TinyDetector(masks=np.zeros((2, 8, 8))), r"masks have the shape \(2, 8, 8\), not \(3, height, width\)"),
    (TinyDetector(logits=[[float("nan")] * 4] * 3), "not finite"),
    (TinyDetector(names={"logits": "scores"}), "contains its post-processing"),
    (TinyDetector(names={"pred_boxes": "keypoints"}), "no output for boxes.*it has: keypoints, logits"),
    (TinyDetector(names={"pixel_values": "audio"}), "no input for pixels"),
    (TinyDetector(extra_input="orig_target_sizes"), "has the input 'orig_target_sizes', which is unknown"),
    (TinyDetector(pixel_shape=[1, 1, 64, 48]), r"has the shape \(1, 1, 64, 48\)"),
    (
        TinyDetector(pixel_shape=[1, 3, 640, 640]),
        "accepts only 640 × 640 pixels, but preprocessor_config.json gives 64 × 48",
    ),
    (TinyDetector(pixel_shape=[1, 3, 64, 64], preprocessor=EDGES), "gives different sizes for different photos"),
    (
        TinyDetector(preprocessor={"image_processor_type": "CLIPImageProcessor"}),
        "'clip', which is not one of a detector",
    ),
    (TinyDetector(preprocessor={**SQUARE, "do_resize": False}), "do_resize must be true"),
    (TinyDetector(preprocessor={**SQUARE, "size": {"shortest_edge": 64}}), "size must have height and width"),
    (TinyDetector(preprocessor={**SQUARE, "size": 9000}), "size exceeds 4096 pixels|size must have"),
    (TinyDetector(preprocessor={**SQUARE, "resample": 9}), "resample"),
]


@pytest.mark.parametrize(("tiny", "message"), BROKEN, ids=[message[:30] for _, message in BROKEN])
def test_what_does_not_fit_is_refused_when_the_folder_is_opened(
    tmp_path: Path, tiny: TinyDetector, message: str
) -> None:
    with pytest.raises(Misconfigured, match=message):
        open_detector(tiny, tmp_path)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "onnx/model.onnx"])
def test_missing_and_corrupt_files_are_refused(tmp_path: Path, name: str) -> None:
    TinyDetector().write(tmp_path)
    (tmp_path / name).write_bytes(b"{")
    with pytest.raises(Misconfigured, match=r"not valid JSON|cannot be loaded"):
        FolderDetector(tmp_path, KINDS)
    (tmp_path / name).unlink()
    with pytest.raises(Misconfigured, match=rf"has no {re.escape(name)}"):
        FolderDetector(tmp_path, KINDS)


def test_labels_of_which_none_is_a_garment_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"none of the labels is a garment kind.*--label NAME=KIND"):
        open_detector(TinyDetector(), tmp_path, labels={"sleeve": None})


def test_graph_that_fails_on_a_photo_is_refused(tmp_path: Path) -> None:
    TinyDetector(mask_shape=[1, 3]).write(tmp_path)
    with pytest.raises(Misconfigured, match="the network fails on a photo"):
        FolderDetector(tmp_path, KINDS)


def test_key_of_id2label_that_is_not_a_number_is_refused(tmp_path: Path) -> None:
    TinyDetector().write(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "detr", "id2label": {"first": "top"}}))
    with pytest.raises(Misconfigured, match="not a number"):
        FolderDetector(tmp_path, KINDS)
