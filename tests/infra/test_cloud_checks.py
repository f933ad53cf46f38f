"""Linters of the deployment, and Google's own message types. They are in an environment that `make check-cloud` creates."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.infra.deployment import INFRA, ROOT
from tests.infra.plans import Plan, make_plans

pytestmark = pytest.mark.slow
PROGRAMS = ROOT / ".venv-cloud" / "bin"
SKIP = re.compile(r"checkov:skip=(\w+):(.*)")
PARSE = """
import json, sys
from google.cloud.monitoring_dashboard_v1 import Dashboard
from google.cloud.monitoring_v3 import AlertPolicy
messages = json.load(sys.stdin)
Dashboard.from_json(messages["dashboard"])
for policy in messages["policies"]:
    AlertPolicy.from_json(json.dumps(policy))
print(len(messages["policies"]))
"""


def program(name: str) -> str:
    """Return the path of a program of .venv-cloud. Skips the test if it is not installed."""
    path = PROGRAMS / name
    if not path.exists():
        pytest.skip(f"{name} is not installed: run `make check-cloud`")
    return str(path)


@pytest.mark.parametrize(("path", "framework"), [("infra/terraform", "terraform"), ("infra/docker", "dockerfile")])
def test_checkov_finds_nothing_that_is_not_explained(path: str, framework: str) -> None:
    command = [program("checkov"), "-d", path, "--framework", framework, "--skip-download", "--output", "json"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    report = json.loads(result.stdout)
    failed = [f"{one['check_id']} {one['resource']}: {one['check_name']}" for one in report["results"]["failed_checks"]]
    assert not failed and result.returncode == 0
    assert report["summary"]["passed"] > 50 and report["summary"]["parsing_errors"] == 0
    skipped = {(one["check_id"], Path(one["file_path"]).name) for one in report["results"]["skipped_checks"]}
    assert skipped == {(check, file.name) for file in (ROOT / path).iterdir() for check, _ in skips(file)}


def skips(file: Path) -> list[Any]:
    """Return the checks that a file leaves out, with their reasons."""
    return SKIP.findall(file.read_text())


def test_each_skip_has_a_reason() -> None:
    reasons = [
        reason for folder in ("terraform", "docker") for file in (INFRA / folder).iterdir() for _, reason in skips(file)
    ]
    assert reasons and all(len(reason.split()) >= 5 for reason in reasons)


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    result = subprocess.run([program("hadolint"), "infra/docker/Dockerfile"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_dashboard_and_alerts_are_messages_that_google_knows(tmp_path: Path) -> None:
    """Google's types reject unknown fields and values."""
    python = program("python")
    plan = make_plans(tmp_path)["complete"]
    policies = [alert_policy(policy) for policy in plan.of_type("google_monitoring_alert_policy").values()]
    messages = {"dashboard": dashboard(plan), "policies": policies}
    result = subprocess.run([python, "-c", PARSE], input=json.dumps(messages), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) == len(policies) > 5


def dashboard(plan: Plan) -> str:
    """Return the dashboard in JSON."""
    return str(plan.resources["google_monitoring_dashboard.lookalike"]["dashboard_json"])


def alert_policy(planned: Any) -> dict[str, Any]:
    """Return a planned alert as JSON of the API, whose fields have the same names in another case."""
    conditions = [camel_case(one) for one in planned["conditions"]]
    documentation = {"content": planned["documentation"][0]["content"], "mimeType": "text/markdown"}
    return {
        **camel_case({"display_name": planned["display_name"]}),
        "conditions": conditions,
        "documentation": documentation,
    }


def camel_case(value: Any) -> Any:
    """Return nested values with the names of the API: blocks of one become objects, what is not set is left out."""
    if isinstance(value, dict):
        names = {name: re.sub(r"_(\w)", lambda match: match[1].upper(), name) for name in value}
        return {names[name]: camel_case(one) for name, one in value.items() if one not in (None, [], "")}
    if (
        isinstance(value, list)
        and len(value) == 1
        and isinstance(value[0], dict)
        and "per_series_aligner" not in value[0]
    ):
        return camel_case(value[0])
    return [camel_case(one) for one in value] if isinstance(value, list) else value
