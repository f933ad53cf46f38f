"""`lookalike.json`: names, checksums, and errors in it."""

import json
from pathlib import Path
from typing import Any

import pytest

from lookalike.adapters.folder_models.manifest import (
    Manifest,
    StoredCalibration,
    fingerprint,
    hash_files,
    model_name,
    parse_manifest,
    read_manifest,
    verify_files,
    write_manifest,
)
from lookalike.domain.errors import Misconfigured
from lookalike.domain.model import Calibration

NAMES = ("config.json", "onnx/vision_model.onnx", "onnx/text_model.onnx", "tokenizer.json")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "onnx").mkdir()
    for name in NAMES:
        (tmp_path / name).write_text(name)
    return tmp_path


def make(folder: Path, **changes: Any) -> Manifest:
    files = hash_files(folder, NAMES)
    return Manifest(**{"kind": "embedder", "name": model_name("clip", files), "files": files, "dim": 8, **changes})


def test_a_written_manifest_is_read_again(folder: Path) -> None:
    calibration = StoredCalibration(slope=2.5, offset=-9, copies=0.98)
    manifest = make(folder, variant="int8", calibration=calibration)
    write_manifest(folder, manifest)
    assert read_manifest(folder, "embedder") == manifest
    assert calibration.to_domain() == Calibration(2.5, -9, 0.98)
    verify_files(folder, manifest, str(folder))
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "lookalike.json", "onnx", "tokenizer.json"]


def test_the_name_depends_on_the_files_of_images_only(folder: Path) -> None:
    files = hash_files(folder, NAMES)
    for name in NAMES:
        changed = fingerprint(files | {name: "ab" * 32}) != fingerprint(files)
        assert changed == (name in ("config.json", "onnx/vision_model.onnx"))
    assert len(model_name("x" * 99, files)) == 64


def test_changed_and_missing_files_are_refused(folder: Path) -> None:
    manifest = make(folder)
    (folder / "tokenizer.json").write_text("other")
    with pytest.raises(Misconfigured, match=r"gs://b/m/tokenizer\.json has the SHA-256 [0-9a-f]{64}, not"):
        verify_files(folder, manifest, "gs://b/m")
    (folder / "config.json").unlink()
    with pytest.raises(Misconfigured, match=r"The file config\.json is missing"):
        verify_files(folder, manifest, "gs://b/m")


def test_a_missing_manifest_names_the_command(folder: Path) -> None:
    with pytest.raises(Misconfigured, match=r"has no lookalike\.json; run `lookalike models add"):
        read_manifest(folder, "embedder")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "version: Input should be 1"),
        ({"kind": "detector"}, "contains a model of the kind detector, not embedder"),
        ({"kind": "clip"}, "kind: Input should be"),
        ({"name": "clip-0123456789ab"}, "the name must end with the fingerprint of the files"),
        ({"name": "two words"}, "name: String should match"),
        ({"files": {}}, "files: Dictionary should have at least 1 item"),
        ({"files": {"../secret": "ab" * 32}}, "files"),
        ({"files": {"/etc/passwd": "ab" * 32}}, "files"),
        ({"files": {"config.json": "short"}}, "files"),
        ({"dim": 0}, "an embedder needs dim"),
        ({"calibration": {"slope": 1, "offset": 0, "copies": 2}}, "calibration.copies"),
        ({"calibration": {"slope": 1}}, "calibration.offset: Field required"),
        ({"labels": {"sleeve": "arm"}}, "labels name 'arm', which is not one of top, outerwear"),
        ({"more": 1}, "more: Extra inputs are not permitted"),
    ],
)
def test_what_is_wrong_in_a_manifest_is_said(folder: Path, changes: dict[str, Any], message: str) -> None:
    content = json.dumps(make(folder).model_dump() | changes).encode()
    with pytest.raises(Misconfigured, match=message) as raised:
        parse_manifest(content, "gs://bucket/model", "embedder")
    assert "gs://bucket/model" in raised.value.message


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_a_manifest_that_is_no_json_object_is_refused(content: bytes) -> None:
    with pytest.raises(Misconfigured, match=r"folder/lookalike\.json is invalid.*run `lookalike models add folder`"):
        parse_manifest(content, "folder", "embedder")
