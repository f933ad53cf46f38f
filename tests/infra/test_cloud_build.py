"""The build, checked without Google: its steps, the images they use, and every script."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.infra.deployed import INFRA, ROOT
from tests.infra.hcl import Body

SCRIPTS = sorted(INFRA.glob("*/*.sh"))


@cache
def build() -> Body:
    found: Body = YAML(typ="safe").load((ROOT / "cloudbuild.yaml").read_text())
    return found


def test_cloud_build_knows_every_field() -> None:
    """By its JSON schema, which leaves the top level open. Google's own package would say the same, with gRPC along."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.cloudbuild", "cloudbuild.yaml"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout
    package = importlib.util.find_spec("check_jsonschema")
    assert package and package.origin
    schema = Path(package.origin).parent / "builtin_schemas" / "vendor" / "cloudbuild.json"
    assert set(build()) <= set(json.loads(schema.read_text())["properties"])


def test_the_build_goes_through_its_steps_in_order() -> None:
    steps = {step["id"]: step for step in build()["steps"]}
    order = ["check", "test", "build", "push", "migrate", "deploy", "smoke-test"]
    assert [name for name in steps if name in order] == order
    before = {name: set(step["waitFor"]) for name, step in steps.items() if name != "check"}
    assert (
        before["push"] == {"test", "build"} and before["smoke-test"] == {"deploy"} and before["deploy"] == {"migrate"}
    )
    assert {name for waits in before.values() for name in waits} <= {*steps, "-"}


def test_the_build_says_who_it_is_where_it_logs_and_how_long_it_may_take() -> None:
    assert build()["serviceAccount"].startswith("projects/$PROJECT_ID/serviceAccounts/")
    assert build()["options"]["logging"] == "CLOUD_LOGGING_ONLY"
    assert 0 < int(build()["timeout"].removesuffix("s")) <= 24 * 3600
    used = {name for step in build()["steps"] for name in re.findall(r"\$\{?(_[A-Z0-9_]+)", step["script"])}
    assert used == set(build()["substitutions"])


def test_every_image_names_its_tag() -> None:
    for step in build()["steps"]:
        tag = step["name"].rpartition(":")[2]
        # Google keeps its docker step in step with the daemon of its machines, and names no versions
        assert re.match(r"\d+\.\d+", tag) or step["name"] == "gcr.io/cloud-builders/docker:latest", step["name"]


def test_what_is_tested_runs_on_the_same_python() -> None:
    base = re.findall(r"FROM (python:\S+)-slim-(\S+)", (INFRA / "docker" / "Dockerfile").read_text())
    tested = {step["name"] for step in build()["steps"] if step["name"].startswith("python:")}
    assert {f"{version}-{debian}" for version, debian in base} == tested


@pytest.mark.parametrize("step", build()["steps"], ids=lambda step: step["id"])
def test_a_steps_script_is_well_formed(step: Body, tmp_path: Path) -> None:
    assert step["script"].splitlines()[1] in ("set -euo pipefail", "set -eu")
    script = tmp_path / "step.sh"
    script.write_text(step["script"])
    well_formed(script)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_well_formed(script: Path) -> None:
    text = script.read_text()
    assert text.startswith("#!/bin/sh\n") and "\nset -eu\n" in text
    assert script.stat().st_mode & 0o111
    well_formed(script)


def well_formed(script: Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True)
    if shellcheck := shutil.which("shellcheck", path=str(Path(sys.executable).parent)) or shutil.which("shellcheck"):
        said = subprocess.run([shellcheck, str(script)], capture_output=True, text=True)
        assert said.returncode == 0, said.stdout
