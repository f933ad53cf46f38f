"""`lookalike ingest --cloud` and `lookalike reembed --cloud`, with an emulator of Cloud Run."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike.bootstrap import services
from lookalike.usecases import cloud_jobs
from tests.cli.conftest import run
from tests.emulators.cloud_run import CloudRun, emulate_cloud_run

JOBS = "projects/shop/locations/europe-west4/jobs"


@pytest.fixture
def emulator(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudRun]:
    jobs = {f"{JOBS}/lookalike-ingest": 3, f"{JOBS}/lookalike-reembed": 2}
    with emulate_cloud_run(jobs) as running:
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "shop")
        monkeypatch.setenv("GOOGLE_CLOUD_REGION", "europe-west4")
        monkeypatch.setenv("CLOUD_RUN_EMULATOR_HOST", running.url)
        monkeypatch.setattr(cloud_jobs, "POLL_SECONDS", 0.0)
        services.cache_clear()
        yield running
    services.cache_clear()


def test_ingest_runs_as_tasks_and_follows_them(emulator: CloudRun) -> None:
    result = run("ingest", "gs://photos/2026/", "--cloud", "--tasks", "2", "--retry-failed")
    assert result.exit_code == 0, result.output
    assert "Started lookalike-ingest-00001 with 2 tasks" in result.stderr
    assert result.stdout == "2 tasks have stored their photos. Log: https://console.example/log\n"
    (overrides,) = emulator.started
    assert overrides["containerOverrides"] == [{"args": ["ingest", "gs://photos/2026/", "--retry-failed"]}]
    assert overrides["taskCount"] == 2
    state = json.loads(run("ingest", "gs://photos/", "--cloud", "--json").stdout)
    assert (state["tasks"], state["succeeded"], state["has_succeeded"]) == (3, 3, True)


def test_failed_tasks_fail_the_command(emulator: CloudRun) -> None:
    emulator.failing = {1}
    result = run("ingest", "gs://photos/", "--cloud")
    assert result.exit_code == 1
    assert "2 of 3 tasks succeeded, 1 failed" in result.stderr and "exit status 1" in result.stderr


def test_reembed_builds_the_index_in_a_task_of_its_own(emulator: CloudRun) -> None:
    result = run("reembed", "--cloud", "--models", "full", "--retry-failed", "--settle")
    assert result.exit_code == 0, result.output
    assert [one["containerOverrides"][0]["args"] for one in emulator.started] == [
        ["reembed", "--models", "full", "--retry-failed"],
        ["reembed", "--models", "full", "--settle"],
    ]
    assert [one.get("taskCount") for one in emulator.started] == [None, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ingest", "photos", "--cloud"], "upload the folder first"),
        (["ingest", "gs://photos/", "--cloud", "--dry-run"], "leave --cloud out"),
    ],
)
def test_what_the_cloud_cannot_do_is_a_usage_error(emulator: CloudRun, arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2 and message in result.stderr and not emulator.started


def test_missing_project_and_job_are_clear_errors(emulator: CloudRun, monkeypatch: pytest.MonkeyPatch) -> None:
    emulator.jobs.clear()
    assert (
        "has no projects/shop/locations/europe-west4/jobs/lookalike-ingest"
        in run("ingest", "gs://x/", "--cloud").stderr
    )
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT")
    services.cache_clear()
    assert "Set GOOGLE_CLOUD_PROJECT" in run("ingest", "gs://x/", "--cloud").stderr
