"""`make deploy` against emulated gcloud, Terraform, Cloud Run and Supabase. The deployed functions are real."""

import os
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.deploy import image
from infra.deploy.foundation import BUILDER_ROLES
from infra.deploy.project import SERVICES
from infra.deploy.teardown import INSTANCE
from infra.deploy.tools import StepFailed
from infra.release.check import Check
from lookalike.bootstrap import Services
from tests.emulators.auth_server import auth_server
from tests.emulators.cloud_commands import cloud_commands
from tests.emulators.cloud_run_services import emulate_services
from tests.infra.cloud_project import ADMIN, CloudProject, completions, known_to_gcloud, make_project
from tests.infra.deployment import ROOT, terraform

GCLOUD = shutil.which("gcloud")


@pytest.fixture
def project(real: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudProject]:
    monkeypatch.setattr(image, "source_digest", lambda root: "1")
    with cloud_commands(tmp_path) as commands, emulate_services() as emulator, auth_server() as auth:
        yield make_project(commands, emulator, auth, real, monkeypatch)


def test_deploys_to_an_empty_project_and_changes_nothing_when_run_again(project: CloudProject) -> None:
    commands = project.commands
    text = project.deploy()
    assert "EXIT" not in text and "Through the public address, a photo was uploaded, found, and deleted" in text
    assert (
        text.endswith("Deployed.") and f"    {commands.relay_url()}\n" in text and "a search found 0 garments" in text
    )
    state = commands.buckets["shop-lookalike-state"]
    assert state.is_versioned and state.is_private and [*state.objects] == ["settings.json"]
    assert {f"{service}.googleapis.com" for service in SERVICES} <= commands.services
    assert {role.removeprefix("roles/") for role in commands.bindings} == set(BUILDER_ROLES)
    assert commands.repositories["lookalike"]["keep-recent"]["mostRecentVersions"] == {"keepCount": 10}
    assert commands.secrets["lookalike-supabase-key"] == [project.auth.PUBLIC]
    assert commands.applied["image"].startswith("europe-west1-docker.pkg.dev/shop/lookalike/cpu@sha256:")
    assert project.auth.accounts[ADMIN].app_metadata["role"] == "admin"
    for secret in (project.auth.PUBLIC, project.auth.SERVICE, *commands.secrets["lookalike-release-key"]):
        assert secret not in text and secret not in str(commands.calls)

    again = project.run("deploy")
    assert commands.changes() == [] and "Nothing has changed" in again.splitlines()[-1] and "a search found" in again

    # another source: a new image, whose revisions are released
    image.source_digest = lambda root: "2"
    third = project.run("deploy")
    assert "Released: lookalike-upload-00002" in third and third.endswith("Deployed.")
    assert sum("builds submit" in call for call in commands.changes()) == 1


def test_continues_where_it_failed(project: CloudProject) -> None:
    project.commands.fails["terraform -chdir"] = "Error: Quota exceeded for CPUs"
    project.commands.fails["builds submit"] = "PERMISSION_DENIED: The caller does not have permission"
    text = project.deploy()
    assert "[11/18] Image failed: gcloud builds submit" in text
    assert "What to do: Your account needs the role Owner" in text and "it continues where it stopped" in text
    assert "[12/18] Terraform failed" in (text := project.deploy())
    assert "What to do: The project has too little quota" in text
    text = project.deploy()
    assert text.endswith("Deployed.") and not [call for call in project.commands.changes() if "builds submit" in call]


PROBLEMS = {
    "account": ("No account is signed in to gcloud", "gcloud auth login"),
    "has_credentials": ("Terraform has no credentials", "gcloud auth application-default login"),
    "has_project": ("There is no project shop", "gcloud projects create shop"),
    "has_billing": ("No billing account is linked", "billing/linkedaccount?project=shop"),
    "version": ("Terraform is 1.5.7", "Install 1.11 or newer"),
}


def test_tells_what_is_missing_before_anything_is_changed(
    project: CloudProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, (message, advice) in PROBLEMS.items():
        with monkeypatch.context() as patch:
            patch.setattr(project.commands, name, "1.5.7" if name == "version" else "")
            text = project.deploy()
        assert message in text and advice in text and project.commands.changes() == []
    (project.commands.folder / "bin" / "terraform").unlink()
    text = project.deploy()
    assert "[1/18] Tools failed: A program is missing" in text and "developer.hashicorp.com/terraform/install" in text
    assert "cloud.google.com/sdk" not in text


def test_refuses_another_region_and_wrong_sign_in_services(project: CloudProject) -> None:
    text = project.run("deploy", f"--supabase-url={project.emulator.url}")
    assert "does not answer as a Supabase project" in text and "What to do: Copy the address" in text
    project.answers.clear()
    text = project.run("deploy")
    assert "Address of the Supabase project" in text and "set SUPABASE_URL" in text
    text = project.run("deploy", region="us-east1")
    assert "is in europe-west1, not in us-east1" in text and "docs/moving-regions.md" in text


def test_plan_that_would_delete_data_is_not_applied(project: CloudProject) -> None:
    project.deploy()
    project.commands.applied["region"] = "us-east1"
    text = project.run("deploy")
    assert "The plan would delete google_sql_database_instance.catalog with all data" in text
    assert not [call for call in project.commands.changes() if "apply" in call]


def test_domain_without_certificate_is_still_to_do_and_stays_set(
    project: CloudProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = project.run("deploy", f"--supabase-url={project.auth.url}", "--domain=shop.example.com")
    assert "EXIT" not in text and "Still to do: Create these DNS records of shop.example.com: A 192.0.2.1" in text
    project.commands.certificate = "ACTIVE"
    # nothing of this test answers at the domain
    monkeypatch.setattr(Check, "run", lambda check: "checked")
    monkeypatch.setattr(Check, "search", lambda check: [])
    text = project.run("deploy")
    assert "Through the public address, checked" in text and "a search found 0 garments" in text
    assert "Still to do: Make an administrator" in text and "DNS records" not in text
    assert project.commands.applied["domain"] == "shop.example.com" and project.commands.changes() == []
    project.run("deploy", "--domain=none")
    assert "domain" not in project.commands.applied


def test_refused_administrator_and_prepare(project: CloudProject, monkeypatch: pytest.MonkeyPatch) -> None:
    text = project.run("prepare", f"--supabase-url={project.auth.url}")
    assert (
        "Next: gcloud builds submit --project=shop --region=europe-west1 --substitutions=_REGION=europe-west1" in text
    )
    assert "HS256" not in text and not [call for call in project.commands.changes() if call.startswith("terraform")]
    assert sum(call[1:3] == ["projects", "get-iam-policy"] for call in project.commands.calls) == 1
    with monkeypatch.context() as patch:
        patch.setattr("infra.deploy.sign_in._published_keys", lambda url: [])
        patch.setenv("SUPABASE_JWT_SECRET", "secret")
        assert ",_SUPABASE_SIGNS_HS256=true" in project.run("prepare", "--gpu-weights=baked").splitlines()[-1]
    monkeypatch.setenv("SUPABASE_SERVICE_KEY", "wrong")
    text = project.run("deploy", f"--admin={ADMIN}")
    assert "[16/18] First administrator failed: Supabase refused" in text and "What to do: Check the key" in text


@pytest.mark.parametrize(("before", "after"), [({}, {"keep-recent", "delete-old"}), ({"own": {}}, {"own"})])
def test_earlier_repository_gets_cleanup_policies_unless_it_has_some(
    project: CloudProject, before: dict[str, dict[str, str]], after: set[str]
) -> None:
    project.commands.repositories["lookalike"] = before
    project.run("prepare", f"--supabase-url={project.auth.url}")
    assert set(project.commands.repositories["lookalike"]) == after


@pytest.mark.parametrize("target", ["deploy", "destroy", "rollback"])
def test_make_names_missing_variables(target: str) -> None:
    result = subprocess.run(["make", target, "REGION=europe-west1"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode and "--project: it is empty. With make, set PROJECT=… and REGION=…" in result.stderr


def test_digest_of_the_source_changes_with_what_the_image_contains(tmp_path: Path) -> None:
    for name in ("shared/lookalike/a.py", "functions/relay/main.py", "infra/docker/start.sh", "docs/index.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    first = image.source_digest(tmp_path)
    (tmp_path / "docs/index.md").write_text("2")
    assert image.source_digest(tmp_path) == first
    (tmp_path / "infra/docker/start.sh").chmod(0o755)
    second = image.source_digest(tmp_path)
    (tmp_path / "shared/lookalike/a.py").rename(tmp_path / "shared/lookalike/b.py")
    assert len({first, second, image.source_digest(tmp_path)}) == 3


def test_names_in_the_commands_are_those_of_the_configuration() -> None:
    instance = terraform().resources["google_sql_database_instance.catalog"]
    assert instance["name"] == INSTANCE and instance["deletion_protection"] == "${var.deletion_protection}"
    assert {"google_storage_bucket.closet", "google_sql_database.catalog"} <= set(terraform().resources)


def test_digest_is_of_the_files_that_docker_gets() -> None:
    everything, *lines = (ROOT / ".dockerignore").read_text().split()
    added = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert everything == "*" and added == {*image.SOURCES} - {image.CONFIG}
    assert {line.rpartition("/")[2].lstrip("*") for line in lines if line[0] != "!"} == {*image.LEFT_OUT}


def test_advice_about_a_service_that_was_just_enabled() -> None:
    message = "PERMISSION_DENIED: Cloud SQL Admin API has not been used in project 404 before or it is disabled"
    assert StepFailed(message).advice == "The service was just enabled and needs up to five minutes."
    assert StepFailed("PERMISSION_DENIED: no").advice == "Your account needs the role Owner in the project."


@pytest.mark.slow
@pytest.mark.skipif(
    not GCLOUD or not completions(GCLOUD).exists(), reason="the table of commands of gcloud is not here"
)
def test_commands_are_known_to_gcloud(project: CloudProject) -> None:
    """All commands of a deployment and of both kinds of removal, with their options."""
    tree = runpy.run_path(str(completions(str(GCLOUD))))["STATIC_COMPLETION_CLI_TREE"]
    calls = []
    for action, answers in (("deploy", []), ("destroy", ["shop"]), ("deploy", []), ("destroy", ["shop", "delete"])):
        project.answers = [*answers, *project.answers]
        options = [f"--supabase-url={project.auth.url}", f"--admin={ADMIN}"]
        project.run(action, *(options if action == "deploy" else ["--keep-data"] if len(answers) == 1 else []))
        calls += [call for call in project.commands.calls if call[0] == "gcloud"]
    assert len({tuple(call[1:4]) for call in calls}) > 35
    assert not [problem for call in calls if (problem := known_to_gcloud(tree, call))]
    assert known_to_gcloud(tree, ["gcloud", "storage", "buckets", "destroy", "gs://x"])
    assert known_to_gcloud(tree, ["gcloud", "storage", "rm", "--force", "gs://x"]) == "--force"


def test_executables_are_found_on_the_path(project: CloudProject) -> None:
    result = subprocess.run(["gcloud", "auth", "list"], capture_output=True, text=True, env=dict(os.environ))
    assert result.stdout == "owner@example.com" and project.commands.calls == [["gcloud", "auth", "list"]]
