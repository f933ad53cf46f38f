"""Tests of cloudbuild.yaml and of all shell scripts, without Google Cloud."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.infra.deployment import INFRA, ROOT
from tests.infra.hcl import Body

CONFIGS = ("cloudbuild.yaml", "infra/deploy/image.yaml")
SCRIPTS = sorted(INFRA.glob("*/*.sh"))


@cache
def build(config_file: str = "cloudbuild.yaml") -> Body:
    config: Body = YAML(typ="safe").load((ROOT / config_file).read_text())
    return config


@pytest.mark.parametrize("config_file", CONFIGS)
def test_build_config_matches_the_json_schema(config_file: str) -> None:
    # the schema allows unknown fields at the top level, so these are compared by name
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.cloudbuild", config_file]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    package = importlib.util.find_spec("check_jsonschema")
    assert package and package.origin
    schema = Path(package.origin).parent / "builtin_schemas" / "vendor" / "cloudbuild.json"
    assert set(build(config_file)) <= set(json.loads(schema.read_text())["properties"])


def test_build_steps_run_in_order() -> None:
    steps = {step["id"]: step for step in build()["steps"]}
    order = ["check", "test", "build", "push", "migrate", "pin", "deploy", "release", "smoke-test"]
    assert [name for name in steps if name in order] == order
    waits_for = {name: set(step["waitFor"]) for name, step in steps.items() if name != "check"}
    assert waits_for["push"] == {"test", "build"}
    last = order[order.index("migrate") :]
    assert all(waits_for[name] == {before} for before, name in pairwise(last))
    assert {name for names in waits_for.values() for name in names} <= {*steps, "-"}


@pytest.mark.parametrize("config_file", CONFIGS)
def test_build_sets_account_logging_timeout_and_substitutions(config_file: str) -> None:
    config = build(config_file)
    assert config["serviceAccount"].startswith("projects/$PROJECT_ID/serviceAccounts/")
    assert config["options"]["logging"] == "CLOUD_LOGGING_ONLY"
    assert 0 < int(config["timeout"].removesuffix("s")) <= 24 * 3600
    used = {name for step in config["steps"] for name in re.findall(r"\$\{?(_[A-Z0-9_]+)", step["script"])}
    assert used == set(config["substitutions"])


def test_build_images_have_a_version_tag() -> None:
    for step in build()["steps"]:
        tag = step["name"].rpartition(":")[2]
        # Google publishes its docker image without versions; it matches the daemon of the build machines
        assert re.match(r"\d+\.\d+", tag) or step["name"] == "gcr.io/cloud-builders/docker:latest", step["name"]


def test_tests_run_on_the_python_of_the_image() -> None:
    base = re.findall(r"FROM (python:\S+)-slim-(\S+)", (INFRA / "docker" / "Dockerfile").read_text())
    test_versions = {step["name"] for step in build()["steps"] if step["name"].startswith("python:")}
    assert {f"{version}-{debian}" for version, debian in base} == test_versions


@pytest.mark.parametrize(
    "step", [step for file in CONFIGS for step in build(file)["steps"]], ids=lambda step: step["id"]
)
def test_build_script_is_valid(step: Body, tmp_path: Path) -> None:
    assert step["script"].splitlines()[1] in ("set -euo pipefail", "set -eu")
    script = tmp_path / "step.sh"
    script.write_text(step["script"])
    check_script(script)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shell_script_is_valid(script: Path) -> None:
    text = script.read_text()
    assert text.startswith("#!/bin/sh\n") and "\nset -eu\n" in text
    assert script.stat().st_mode & 0o111
    check_script(script)


def check_script(script: Path) -> None:
    """Check the syntax, and with shellcheck if it is installed."""
    subprocess.run(["bash", "-n", str(script)], check=True)
    if shellcheck := shutil.which("shellcheck", path=str(Path(sys.executable).parent)) or shutil.which("shellcheck"):
        result = subprocess.run([shellcheck, str(script)], capture_output=True, text=True)
        assert result.returncode == 0, result.stdout
