"""`lookalike models add`: check a model folder, test and measure its model, and write `lookalike.json`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lookalike.adapters.folder_models import embedder_files
from lookalike.adapters.folder_models.detector import FolderDetector, list_detector_files
from lookalike.adapters.folder_models.embedder import FolderEmbedder, FolderTextEmbedder, open_embedder
from lookalike.adapters.folder_models.files import CONFIG_FILE, read_json
from lookalike.adapters.folder_models.labels import map_labels, read_id2label
from lookalike.adapters.folder_models.manifest import (
    MANIFEST_FILE,
    MAX_PREFIX_LENGTH,
    Manifest,
    StoredCalibration,
    hash_files,
    model_name,
    write_manifest,
)
from lookalike.batch import model_self_test
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Misconfigured

OTHER_MODELS = "MODELS=compact"
"""Setting of the models that the folder does not replace. MODELS=full works as well."""


@dataclass(frozen=True, slots=True)
class AddedModel:
    """A model whose manifest was written.

    `settings` are the lines that choose it. `milliseconds`: duration of one call, by what it computes.
    """

    manifest: Manifest
    settings: tuple[str, str]
    milliseconds: Mapping[str, float]


def add_folder(folder: Path, name: str, variant: str, labels: Mapping[str, str]) -> AddedModel:
    """Check the files of a model folder, run a self-test, measure speed and write the manifest.

    `name` is the readable part of the model's name, or empty for one of `config.json`. `labels` overrides the garment
    kinds of a detector's labels. Raises `Misconfigured` if anything is missing, wrong or not supported.
    """
    if not re.fullmatch(rf"|[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_PREFIX_LENGTH - 1}}}", name):
        raise Misconfigured(
            f"The name {name!r} must have at most {MAX_PREFIX_LENGTH} letters, digits, dots, hyphens and underscores"
        )
    config = read_json(folder, CONFIG_FILE)
    # detectors name their classes; of the embedders' families, none detects
    if config.get("model_type") not in embedder_files.FAMILIES and "id2label" in config:
        added = _add_detector(folder, name, variant, labels)
    elif labels:
        raise Misconfigured("--label applies to detectors only")
    else:
        added = _add_embedder(folder, name, variant)
    write_manifest(folder, added.manifest)
    return added


def _add_embedder(folder: Path, name: str, variant: str) -> AddedModel:
    found = embedder_files.find_embedder_files(folder, variant)
    files = hash_files(folder, found.list_names())
    full_name = model_name(name or default_prefix(folder, variant), files)
    embedder = open_embedder(folder, variant, full_name)
    model_self_test.check_embedder(embedder)
    image = model_self_test.make_images()[0]
    milliseconds = {
        "image": model_self_test.measure_milliseconds(lambda: embedder.embed([image], CancelToken())),
        **_test_texts(embedder),
    }
    manifest = Manifest(kind="embedder", name=full_name, files=files, variant=variant, dim=embedder.dim)
    calibrated = manifest.model_copy(update={"calibration": _earlier_calibration(folder, full_name)})
    return AddedModel(calibrated, (OTHER_MODELS, f"EMBEDDER=folder:{folder}"), milliseconds)


def _test_texts(embedder: FolderEmbedder) -> dict[str, float]:
    if not isinstance(embedder, FolderTextEmbedder):
        return {}
    model_self_test.check_texts(embedder)
    texts = model_self_test.TEXTS[:1]
    return {"text": model_self_test.measure_milliseconds(lambda: embedder.embed_texts(texts, CancelToken()))}


def _add_detector(folder: Path, name: str, variant: str, chosen: Mapping[str, str]) -> AddedModel:
    files = hash_files(folder, list_detector_files(folder, variant))
    labels = map_labels(read_id2label(read_json(folder, CONFIG_FILE), str(folder)).values(), chosen)
    detector = FolderDetector(folder, labels, variant)
    model_self_test.check_detector(detector)
    image = model_self_test.make_images()[0]
    milliseconds = {"photo": model_self_test.measure_milliseconds(lambda: detector.detect(image, CancelToken()))}
    full_name = model_name(name or default_prefix(folder, variant), files)
    manifest = Manifest(kind="detector", name=full_name, files=files, variant=variant, labels=labels)
    return AddedModel(manifest, (OTHER_MODELS, f"DETECTOR=folder:{folder}"), milliseconds)


def default_prefix(folder: Path, variant: str) -> str:
    """Return the readable part of a model's name: that of the checkpoint in `config.json`, or the model's type."""
    config = read_json(folder, CONFIG_FILE)
    checkpoint = str(config.get("_name_or_path") or "").rstrip("/").rpartition("/")[2]
    readable = "-".join(part for part in (checkpoint or str(config.get("model_type")), variant) if part)
    return re.sub(r"[^A-Za-z0-9._-]+|^[^A-Za-z0-9]+", "-", readable).strip("-._").lower() or "model"


def _earlier_calibration(folder: Path, name: str) -> StoredCalibration | None:
    """Return the calibration of the folder's current manifest if that describes the same files."""
    path = folder / MANIFEST_FILE
    try:
        earlier = Manifest.model_validate_json(path.read_bytes()) if path.is_file() else None
    except ValueError:
        # it will be replaced
        return None
    same_files = earlier and earlier.name.rpartition("-")[2] == name.rpartition("-")[2]
    return earlier.calibration if earlier and same_files else None
