"""The file `lookalike.json` of a model folder: pins the model's files, names the model and keeps its calibration.

`lookalike models add` writes it. A folder without it is not loaded.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from lookalike.domain.errors import Misconfigured
from lookalike.domain.model import GARMENT_KINDS, Calibration

MANIFEST_FILE = "lookalike.json"
ADD_COMMAND = "lookalike models add"
FINGERPRINT_DIGITS = 12
"""Hexadecimal digits of the fingerprint at the end of a model's name."""
MAX_PREFIX_LENGTH = 64 - FINGERPRINT_DIGITS - 1
"""Longest name in front of the fingerprint: names of embedders have at most 64 characters."""

Kind = Literal["embedder", "detector"]
RelativePath = Annotated[str, StringConstraints(pattern=r"^[\w-][\w.-]*(/[\w-][\w.-]*)*$", max_length=200)]
"""Path of a file inside the folder. It cannot lead out of the folder."""
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class StoredCalibration(BaseModel):
    """The numbers of `Calibration`. `copies` is its `duplicate_threshold`, as in the built-in `calibration.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    slope: float
    offset: float
    copies: float = Field(gt=0, le=1)

    def to_domain(self) -> Calibration:
        """Return the calibration that searches use."""
        return Calibration(self.slope, self.offset, self.copies)


class Manifest(BaseModel):
    """The content of `lookalike.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    kind: Kind
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    """Ends with the fingerprint of the files, so that different models never have the same name."""
    files: dict[RelativePath, Sha256] = Field(min_length=1)
    """SHA-256 of each file that the model consists of, by its path inside the folder."""
    variant: str = Field("", pattern=r"^[a-z0-9_]{0,20}$")
    """Suffix of the ONNX files' names: `quantized`, `int8`, `fp16`, `q4`… Empty: the files without a suffix."""
    dim: int = Field(0, ge=0, le=65_536)
    """Length of an embedder's vectors."""
    calibration: StoredCalibration | None = None
    """Calibration of an embedder, written by `lookalike models calibrate`."""
    labels: dict[str, str | None] = {}
    """For a detector: the garment kind of each label of `id2label`, or `None` for labels that are not garments."""

    @model_validator(mode="after")
    def _check_parts(self) -> Self:
        if self.name.rpartition("-")[2] != (expected := fingerprint(self.files)):
            raise ValueError(f"the name must end with the fingerprint of the files, -{expected}")
        if self.kind == "embedder" and not self.dim:
            raise ValueError("an embedder needs dim, the length of its vectors")
        if unknown := {kind for kind in self.labels.values() if kind} - set(GARMENT_KINDS):
            raise ValueError(f"labels name {sorted(unknown)[0]!r}, which is not one of {', '.join(GARMENT_KINDS)}")
        return self


def parse_manifest(content: bytes, location: str, kind: Kind) -> Manifest:
    """Parse the content of `lookalike.json`. `location` names the folder in messages.

    Raises `Misconfigured` if it is invalid, or describes a model of another kind.
    """
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"]) or "content"
        message = problem["msg"].removeprefix("Value error, ")
        raise Misconfigured(
            f"{location}/{MANIFEST_FILE} is invalid ({where}: {message}); {_remedy(location)}"
        ) from None
    if manifest.kind != kind:
        raise Misconfigured(f"{location} contains a model of the kind {manifest.kind}, not {kind}")
    return manifest


def read_manifest(folder: Path, kind: Kind) -> Manifest:
    """Read the manifest of a local folder. Raises `Misconfigured` if it is missing, or as `parse_manifest` does."""
    path = folder / MANIFEST_FILE
    if not path.is_file():
        raise missing_manifest(str(folder))
    return parse_manifest(path.read_bytes(), str(folder), kind)


def missing_manifest(location: str) -> Misconfigured:
    """Return the error for a folder without a manifest."""
    return Misconfigured(f"{location} has no {MANIFEST_FILE}; {_remedy(location)}")


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a local folder in one step. Defaults are left out."""
    content = manifest.model_dump(exclude_defaults=True) | {"version": manifest.version}
    temporary = folder / f"{MANIFEST_FILE}.part"
    temporary.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    temporary.replace(folder / MANIFEST_FILE)


def hash_files(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of files by their paths inside the folder. Raises `Misconfigured` if one is missing."""
    paths = sorted(names)
    with ThreadPoolExecutor() as pool:
        return dict(zip(paths, pool.map(lambda name: _sha256(folder, name), paths), strict=True))


def verify_files(folder: Path, manifest: Manifest, location: str) -> None:
    """Check that every file of the manifest is in `folder` and has its SHA-256.

    `location` names the folder in messages; `folder` may be a temporary copy. Raises `Misconfigured`.
    """
    for name, actual in hash_files(folder, manifest.files).items():
        if actual != (expected := manifest.files[name]):
            raise Misconfigured(
                f"{location}/{name} has the SHA-256 {actual}, not {expected} as in {MANIFEST_FILE}: "
                f"restore the file, or run `{ADD_COMMAND}` to accept it under a new name"
            )


def fingerprint(files: Mapping[str, str]) -> str:
    """Return 12 hexadecimal digits that change with every file that vectors of images or detections depend on.

    Text models and tokenizers do not count, since their vectors are not stored.
    """
    lines = [f"{name} {digest}\n" for name, digest in sorted(files.items()) if not _is_for_texts(name)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:FINGERPRINT_DIGITS]


def model_name(prefix: str, files: Mapping[str, str]) -> str:
    """Return the name of a model: a readable prefix, shortened if necessary, and the fingerprint of its files."""
    return f"{prefix[:MAX_PREFIX_LENGTH]}-{fingerprint(files)}"


def _is_for_texts(name: str) -> bool:
    return name.rpartition("/")[2].startswith(("text_model", "tokenizer"))


def _sha256(folder: Path, name: str) -> str:
    try:
        with (folder / name).open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise Misconfigured(f"The file {name} is missing in {folder}: {error.strerror}") from error


def _remedy(location: str) -> str:
    if location.startswith("gs:"):
        return f"run `{ADD_COMMAND}` on a local copy of the folder and upload {MANIFEST_FILE}"
    return f"run `{ADD_COMMAND} {location}`"
