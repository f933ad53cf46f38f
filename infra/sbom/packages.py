"""The packages of an environment, with license and size, from a CycloneDX document and the files."""

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from infra.sbom.licenses import conclude, normalize_name

Json = dict[str, Any]


@dataclass(frozen=True)
class Package:
    """An installed package."""

    name: str
    version: str
    declared: list[str]
    """The licenses that its metadata names, or free text about them."""
    license: str
    """SPDX expression, or `licenses.UNKNOWN`."""
    size: int
    """Bytes of its files, with bytecode."""
    reference: str
    """Its `bom-ref` in the document."""


def read_environment(tool: Path, python: Path) -> Json:
    """Return the document that cyclonedx-py writes about the environment of an interpreter."""
    command = [str(tool), "environment", "--output-reproducible", "--spec-version", "1.6", str(python)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    document: Json = json.loads(result.stdout)
    return document


def read_packages(document: Json, site_packages: Path) -> list[Package]:
    """Return the packages of a document, with the sizes of their files."""
    sizes = {normalize_name(one.metadata["Name"]): _size(one) for one in distributions(path=[str(site_packages)])}
    return [_read(component, sizes) for component in document["components"]]


def _read(component: Json, sizes: dict[str, int]) -> Package:
    name, declared = component["name"], declared_licenses(component)
    size = sizes.get(normalize_name(name), 0)
    return Package(name, component["version"], declared, conclude(name, declared), size, component["bom-ref"])


def declared_licenses(component: Json) -> list[str]:
    """Return the licenses of a component: names of SPDX, expressions, classifiers or free text."""
    entries: Iterable[Json] = component.get("licenses", [])
    return [
        str(entry.get("expression") or entry["license"].get("id") or entry["license"].get("name")) for entry in entries
    ]


def _size(distribution: Distribution) -> int:
    paths = [Path(str(distribution.locate_file(file))) for file in distribution.files or ()]
    return sum(path.stat().st_size for path in paths if path.is_file())


def folder_size(folder: Path) -> int:
    """Return the bytes of all files below a folder. Symbolic links are not followed."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())
