"""`make destroy` against emulated gcloud and Terraform."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.deploy import image
from infra.release.check import Check
from lookalike.bootstrap import Services
from tests.emulators.auth_server import auth_server
from tests.emulators.cloud_commands import cloud_commands
from tests.emulators.cloud_run_services import emulate_services
from tests.infra.cloud_project import CloudProject, make_project

DATA = "shop-lookalike"


@pytest.fixture
def project(real: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudProject]:
    """A project with a deployment and a photo."""
    monkeypatch.setattr(image, "source_digest", lambda root: "1")
    # test_deploy.py has the check of what is deployed
    monkeypatch.setattr(Check, "run", lambda check: "checked")
    monkeypatch.setattr(Check, "search", lambda check: [])
    with cloud_commands(tmp_path) as commands, emulate_services() as emulator, auth_server() as auth:
        project = make_project(commands, emulator, auth, real, monkeypatch)
        assert "EXIT" not in project.deploy()
        commands.buckets[DATA].objects["one/original.jpg"] = b"photo"
        commands.backups = [{"id": 7, "instance": "lookalike"}, {"id": 8, "instance": "another"}]
        yield project


def test_deletes_everything_after_two_questions(project: CloudProject) -> None:
    commands, project.answers = project.commands, ["shop", "delete"]
    text = project.run("destroy")
    assert "EXIT" not in text and "Nothing is left." in text and "at most 7 days" in text
    for line in (
        "database instance lookalike",
        f"bucket {DATA}",
        "image repository lookalike",
        "function lookalike-relay",
    ):
        assert f"    {line}\n" in text
    assert "    database backup lookalike:7\n" in text
    left = commands.buckets, commands.instances, commands.secrets, commands.repositories, commands.accounts
    assert not any(left) and not commands.tracked and not project.emulator.services
    assert not any(commands.bindings.values()) and [one["id"] for one in commands.backups] == [8]
    assert project.run("destroy").endswith("nothing to delete.") and commands.changes() == []


@pytest.mark.parametrize("answers", [[], ["shops"], ["shop"], ["shop", ""], ["shop", "yes"], ["delete", "shop"]])
def test_wrong_answer_deletes_nothing(project: CloudProject, answers: list[str]) -> None:
    project.answers = answers
    text = project.run("destroy")
    assert "EXIT The answer was not " in text and text.endswith("Nothing was deleted.")
    assert project.commands.changes() == []


def test_keeps_the_bucket_and_an_export_and_can_be_deployed_again(project: CloudProject) -> None:
    commands, project.answers = project.commands, ["shop"]
    text = project.run("destroy", "--keep-data")
    assert "EXIT" not in text and "goes on costing about 0.00 USD a month" in text and "Nothing else is left." in text
    objects = commands.buckets[DATA].objects
    (export,) = [name for name in objects if name.startswith("backup/lookalike-") and name.endswith(".sql.gz")]
    assert [*commands.buckets] == [DATA] and objects["one/original.jpg"] == b"photo" and objects[export] == b"dump"
    assert commands.buckets[DATA].keeps_deleted and not commands.instances and not commands.secrets

    text = project.deploy()
    assert f"gs://{DATA} is used again" in text and "Still to do: Import the rows of the bucket" in text
    assert commands.buckets[DATA].objects == objects
    # the sweep would delete the objects, which have no rows yet
    assert commands.applied["schedule_paused"] == "true"
    project.run("deploy")
    assert commands.applied["schedule_paused"] == "true" and commands.changes() == []
    text = project.run("deploy", "--resume-schedule")
    assert text.endswith("Deployed.") and "schedule_paused" not in commands.applied


def test_without_an_export_the_database_is_not_deleted(project: CloudProject) -> None:
    project.commands.export, project.answers = b"", ["shop"]
    text = project.run("destroy", "--keep-data")
    assert "missing or empty. The database was not deleted" in text and "lookalike" in project.commands.instances


def test_continues_where_it_failed(project: CloudProject) -> None:
    project.commands.fails["terraform -chdir"] = "Error acquiring the state lock"
    project.answers = ["shop", "delete", "shop", "delete"]
    text = project.run("destroy")
    assert "What to do: Another run is at work" in text and project.commands.instances
    assert "Nothing is left." in project.run("destroy") and not project.commands.instances


def test_tells_what_is_left_that_is_billed(project: CloudProject) -> None:
    """An instance of a restore, which Terraform does not know."""
    project.commands.instances["lookalike-restored"] = {}
    project.answers = ["shop", "delete"]
    text = project.run("destroy")
    assert "    database instance lookalike-restored\nEXIT 1 resources are left that are billed" in text


def test_refuses_another_region(project: CloudProject) -> None:
    project.answers = ["shop", "delete"]
    assert "Set REGION=europe-west1" in project.run("destroy", region="us-east1")
    assert project.commands.changes() == []
