"""The images as their Dockerfile says, checked without Docker."""

import json
import re
from pathlib import Path

import lookalike

ROOT = Path(lookalike.__file__).parents[2]
INFRA = ROOT / "infra"


def instructions() -> list[tuple[str, str]]:
    text = (INFRA / "docker" / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def test_the_image_does_nothing_that_cannot_be_tested_without_docker() -> None:
    allowed = {"FROM", "ARG", "COPY", "ENV", "WORKDIR", "USER", "ENTRYPOINT"}
    others = [(word, json.loads(rest)) for word, rest in instructions() if word not in allowed]
    assert others == [
        ("RUN", ["infra/docker/install.sh", "/opt/lookalike", "gcp,scale"]),
        ("RUN", ["infra/docker/install.sh", "/opt/lookalike", "gcp,full,scale"]),
        ("RUN", ["infra/docker/bake.sh", "/opt/lookalike", "/opt/models"]),
    ]


def stages() -> dict[str, list[tuple[str, str]]]:
    """What each stage does, after what it stands on."""
    found: dict[str, list[tuple[str, str]]] = {}
    for word, rest in instructions():
        if word == "FROM":
            base, name = rest.split(" AS ")
            found[name] = [*found.get(base, [(word, base)])]
        else:
            found[name].append((word, rest))
    return found


def test_the_image_without_a_target_is_the_light_one() -> None:
    assert [*stages()][-1] == "cpu" and not any("gpu" in rest for _, rest in stages()["cpu"])


def test_the_image_for_gpus_has_the_full_models() -> None:
    said = {name: rest for name, rest in stages()["gpu"] if name == "ENV"}
    assert "MODELS=full" in said["ENV"] and "MODELS_DIR=/opt/models" in said["ENV"]


def test_the_image_is_pinned_and_not_run_by_root() -> None:
    bases = {stage[0][1] for stage in stages().values()}
    assert len(bases) == 1 and re.fullmatch(r"python:3\.12\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", bases.pop())
    for image in ("cpu", "gpu"):
        last = dict(stages()[image])
        assert int(last["USER"].split(":")[0]) > 0
        assert last["ENTRYPOINT"] == '["infra/docker/start.sh"]'
    assert (INFRA / "docker" / "start.sh").exists()


def test_the_image_takes_only_what_docker_is_sent() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [rest.split()[:-1] for word, rest in instructions() if word == "COPY" and not rest.startswith("--from")]
    for source in (one for sources in copied for one in sources):
        assert any(source == one or source.startswith(f"{one}/") for one in sent), source
        assert (ROOT / source).exists(), source
