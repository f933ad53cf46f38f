"""Tests of the Dockerfile, without Docker."""

import json
import re
from pathlib import Path

import lookalike

ROOT = Path(lookalike.__file__).parents[2]
INFRA = ROOT / "infra"


def instructions() -> list[tuple[str, str]]:
    """Return each instruction and its arguments."""
    text = (INFRA / "docker" / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def test_commands_are_only_scripts_that_are_tested_without_docker() -> None:
    allowed = {"FROM", "ARG", "COPY", "ENV", "WORKDIR", "USER", "ENTRYPOINT"}
    commands = [(word, json.loads(rest)) for word, rest in instructions() if word not in allowed]
    assert commands == [
        ("RUN", ["infra/docker/install.sh", "/opt/lookalike", "gcp,otel,scale,text"]),
        ("RUN", ["infra/docker/install.sh", "/opt/lookalike", "gcp,full,otel,scale"]),
        ("RUN", ["infra/docker/bake.sh", "/opt/lookalike", "/opt/models"]),
    ]


def stages() -> dict[str, list[tuple[str, str]]]:
    """Return the instructions of each stage, with those of the stages it is based on."""
    stages: dict[str, list[tuple[str, str]]] = {}
    for word, rest in instructions():
        if word == "FROM":
            base, name = rest.split(" AS ")
            stages[name] = [*stages.get(base, [(word, base)])]
        else:
            stages[name].append((word, rest))
    return stages


def test_default_target_is_the_cpu_image() -> None:
    assert [*stages()][-1] == "cpu" and not any("gpu" in rest for _, rest in stages()["cpu"])


def test_gpu_image_uses_the_full_models() -> None:
    variables = {name: rest for name, rest in stages()["gpu"] if name == "ENV"}["ENV"]
    assert "MODELS=full" in variables and "MODELS_DIR=/opt/models" in variables


def test_base_image_is_pinned_and_user_is_not_root() -> None:
    bases = {stage[0][1] for stage in stages().values()}
    assert len(bases) == 1 and re.fullmatch(r"python:3\.12\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", bases.pop())
    for image in ("cpu", "gpu"):
        instruction = dict(stages()[image])
        assert int(instruction["USER"].split(":")[0]) > 0
        assert instruction["ENTRYPOINT"] == '["infra/docker/start.sh"]'
    assert (INFRA / "docker" / "start.sh").exists()


def test_copied_files_are_in_the_build_context() -> None:
    context = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [rest.split()[:-1] for word, rest in instructions() if word == "COPY" and not rest.startswith("--from")]
    for source in (source for sources in copied for source in sources):
        assert any(source == path or source.startswith(f"{path}/") for path in context), source
        assert (ROOT / source).exists(), source
