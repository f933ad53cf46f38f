"""Garment detector of a model folder: DETR-style networks such as DETR, YOLOS, RT-DETR, D-FINE and RF-DETR."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from lookalike.adapters.folder_models.boxes import RawOutput, find_garments
from lookalike.adapters.folder_models.detector_input import NetworkInput, read_detector_input
from lookalike.adapters.folder_models.families import Family, name_graph, read_family
from lookalike.adapters.folder_models.files import (
    CONFIG_FILE,
    PREPROCESSOR_FILE,
    read_json,
    require_network,
    with_external_data,
)
from lookalike.adapters.folder_models.labels import read_id2label
from lookalike.adapters.folder_models.manifest import ADD_COMMAND, MANIFEST_FILE, Manifest
from lookalike.adapters.folder_models.session import FolderSession
from lookalike.adapters.onnx import RunCounter
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Misconfigured
from lookalike.domain.model import Detection

THRESHOLD, THOROUGH_THRESHOLD = 0.5, 0.3
"""Minimum scores of a detection: by default, and with `thorough`. 0.5 is the default of transformers."""
NETWORK_STEM = "model"
"""Name of the network's file without its suffix, as the exporters write it."""
PROBE_SIZE = (320, 480)
"""Width and height of the blank image that the network is tested with when it is opened."""


def list_detector_files(folder: Path, variant: str) -> list[str]:
    """Return the paths of all files that detections depend on. Raises `Misconfigured` if one is missing."""
    names = [CONFIG_FILE, PREPROCESSOR_FILE]
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise Misconfigured(f"{folder} has no {missing[0]}")
    return [*names, *with_external_data(folder, require_network(folder, NETWORK_STEM, variant))]


def open_detector(folder: Path, manifest: Manifest, location: str, runs: RunCounter | None = None) -> "FolderDetector":
    """Open the detector of a folder whose files have been verified. `location` names the folder in messages.

    Raises `Misconfigured` if it would read a file that the manifest does not pin, or as `FolderDetector` does.
    """
    if unpinned := sorted(set(list_detector_files(folder, manifest.variant)) - set(manifest.files)):
        raise Misconfigured(
            f"{location}/{unpinned[0]} is not in {MANIFEST_FILE}: run `{ADD_COMMAND}` on the folder again"
        )
    return FolderDetector(folder, manifest.labels, manifest.variant, location, runs)


class FolderDetector:
    """The port `Detector`. Safe to use from several threads.

    `labels` maps names of `id2label` to garment kinds; detections of other labels, or of labels that map to `None`, are
    dropped. `variant` selects a quantized network. `location` names the folder in messages. `runs` counts the runs of
    all networks that share the processor.

    Opening it runs the network once. Raises `Misconfigured` if a file is missing or invalid, no label is a garment, or
    the network does not fit the JSON files.
    """

    def __init__(
        self,
        folder: Path,
        labels: Mapping[str, str | None],
        variant: str = "",
        location: str | None = None,
        runs: RunCounter | None = None,
    ) -> None:
        location = location or str(folder)
        config = read_json(folder, CONFIG_FILE)
        self._family = read_family(config, location)
        names = read_id2label(config, location)
        self._classes = max(names) + 1
        self._kinds = {number: kind for number, name in names.items() if (kind := labels.get(name))}
        if not self._kinds:
            raise Misconfigured(
                f"{location}: none of the labels is a garment kind ({', '.join(sorted(names.values())[:10])}…); "
                f"name them with `{ADD_COMMAND} --label NAME=KIND`"
            )
        self._input = read_detector_input(read_json(folder, PREPROCESSOR_FILE), str(config["model_type"]), location)
        network = require_network(folder, NETWORK_STEM, variant)
        self._network = f"{location}/{network}"
        self._session = FolderSession(folder / network, os.cpu_count() or 1, runs or RunCounter())
        self._graph = name_graph(self._session.inputs, self._session.outputs, self._network)
        self._check_input_size()
        self._probe()

    @property
    def family(self) -> Family:
        """How the scores are computed."""
        return self._family

    @property
    def kinds(self) -> dict[int, str]:
        """Garment kind by class number, for the classes that are garments."""
        return dict(self._kinds)

    @property
    def has_masks(self) -> bool:
        """Whether detections have masks."""
        return self._graph.masks is not None

    @property
    def device(self) -> str:
        """`cuda` or `cpu`."""
        return self._session.device

    def detect(self, image: Image.Image, cancel: CancelToken, thorough: bool = False) -> list[Detection]:
        """Return the garments of an RGB photo, best score first. `thorough` lowers the threshold."""
        output = self.run(image, cancel)
        threshold = THOROUGH_THRESHOLD if thorough else THRESHOLD
        return find_garments(output, self._family, self._kinds, image.size, threshold)

    def run(self, image: Image.Image, cancel: CancelToken) -> RawOutput:
        """Return the network's output for an RGB photo. Raises the token's error as soon as it is cancelled."""
        cancel.check()
        network_input = self._input.convert(image)
        names = [self._graph.logits, self._graph.boxes, *([self._graph.masks] if self._graph.masks else [])]
        outputs = self._session.run(self._feed(network_input), names, cancel)
        # one photo: the batch dimension is dropped
        logits, boxes, *masks = (np.asarray(output[0], np.float32) for output in outputs)
        bottom, right = network_input.pixels.shape[2:]
        return RawOutput(
            logits, boxes, masks[0] if masks else None, network_input.height / bottom, network_input.width / right
        )

    def _feed(self, network_input: NetworkInput) -> dict[str, np.ndarray]:
        feed: dict[str, np.ndarray] = {self._graph.pixels: network_input.pixels}
        if self._graph.mask_input:
            shape = self._session.inputs[self._graph.mask_input].shape[-2:]
            # some exports fix the size of the mask, 64 × 64; the network then resizes it by itself
            fixed = (shape[0], shape[1]) if len(shape) == 2 and shape[0] and shape[1] else None
            feed[self._graph.mask_input] = network_input.pixel_mask(fixed)
        return feed

    def _check_input_size(self) -> None:
        shape = self._session.inputs[self._graph.pixels].shape
        if len(shape) != 4 or shape[0] not in (None, 1) or shape[1] not in (None, 3):
            raise self._error(f"the input {self._graph.pixels} has the shape {shape}, not (1, 3, height, width)")
        wanted, actual = shape[2:], self._input.config.fixed_size
        if any(wanted) and (actual is None or any(w not in (None, a) for w, a in zip(wanted, actual, strict=True))):
            given = " × ".join(map(str, actual)) if actual else "different sizes for different photos"
            raise self._error(
                f"the network accepts only {wanted[0]} × {wanted[1]} pixels, but {PREPROCESSOR_FILE} gives {given}; "
                "set size to that height and width there, or export the network with dynamic axes"
            )

    def _probe(self) -> None:
        """Run the network once, and check the shapes of its outputs."""
        try:
            output = self.run(Image.new("RGB", PROBE_SIZE, "gray"), CancelToken())
        except Exception as error:
            # whatever onnxruntime raises here, it would raise for every photo
            raise self._error(f"the network fails on a photo: {error}") from error
        self._check_classes(output.logits.shape)
        queries = len(output.logits)
        if output.boxes.shape != (queries, 4):
            raise self._error(f"the boxes have the shape {output.boxes.shape}, not ({queries}, 4)")
        masks = output.mask_logits
        if masks is not None and (masks.ndim != 3 or len(masks) != queries):
            raise self._error(f"the masks have the shape {masks.shape}, not ({queries}, height, width)")
        if not (np.isfinite(output.logits).all() and np.isfinite(output.boxes).all()):
            raise self._error("the network returns values that are not finite; use another variant")

    def _check_classes(self, shape: tuple[int, ...]) -> None:
        expected = self._classes + self._family.has_no_object
        if len(shape) == 2 and expected <= shape[1] <= expected + self._family.max_extra_classes:
            return
        extra = " and one for no object" if self._family.has_no_object else ""
        raise self._error(
            f"the class logits have the shape {shape}, not (queries, {expected}): {CONFIG_FILE} names "
            f"{self._classes} classes{extra}; check model_type and id2label"
        )

    def _error(self, problem: str) -> Misconfigured:
        return Misconfigured(f"{self._network}: {problem}")
