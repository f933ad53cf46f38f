"""Reads from the Dockerfile which extras, base and Debian packages each image has."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "infra" / "docker" / "Dockerfile"
INSTALL = "infra/docker/install.sh"


@dataclass(frozen=True)
class Image:
    """A target of the Dockerfile."""

    target: str
    extras: str
    """Extras of the package that are installed, with commas."""
    base: str
    """The base image, such as `python:3.12-slim`."""
    debian_packages: tuple[str, ...]
    """Debian packages that the Dockerfile installs itself. Those of the base image are listed by its publisher."""


def read_images(text: str | None = None) -> dict[str, Image]:
    """Return the images of the Dockerfile by target. The stage `build-X` installs what the target `X` gets."""
    stages = _read_stages(text or DOCKERFILE.read_text())
    images = {}
    for stage, lines in stages.items():
        target = stage.removeprefix("build-")
        if extras := _find_extras(lines):
            debian = tuple(name for line in _lines_of(target, stages) for name in _debian_packages(line))
            images[target] = Image(target, extras, _base(target, stages), debian)
    return images


def _read_stages(text: str) -> dict[str, list[str]]:
    """Return the instructions of each stage. The first is `FROM`."""
    stages: dict[str, list[str]] = {}
    lines = [line.strip() for line in re.sub(r"\\\n", " ", text).splitlines()]
    for line in lines:
        if match := re.fullmatch(r"FROM (\S+) AS (\S+)", line):
            stages[match[2]] = []
        if stages and line and not line.startswith("#"):
            stages[[*stages][-1]].append(line)
    return stages


def _parent(stage: str, stages: dict[str, list[str]]) -> str:
    return stages[stage][0].split()[1]


def _base(stage: str, stages: dict[str, list[str]]) -> str:
    parent = _parent(stage, stages)
    return _base(parent, stages) if parent in stages else parent


def _lines_of(stage: str, stages: dict[str, list[str]]) -> list[str]:
    """Return the instructions of a stage and of the stages below it."""
    parent = _parent(stage, stages)
    return [*(_lines_of(parent, stages) if parent in stages else ()), *stages[stage]]


def _find_extras(lines: list[str]) -> str | None:
    for line in lines:
        if line.startswith("RUN [") and (command := json.loads(line.removeprefix("RUN ")))[0] == INSTALL:
            return str(command[2])
    return None


def _debian_packages(line: str) -> list[str]:
    match = re.search(r"apt(?:-get)? .*?\binstall\b([^&;|]*)", line)
    return [word for word in match[1].split() if not word.startswith("-")] if match else []
