"""Tests of the Cloud Run jobs that ingest many photos and embed many garments."""

from typing import Any

import pytest

from lookalike.bootstrap.cloud import INGEST_JOB, REEMBED_JOB
from lookalike.cli import main
from lookalike.settings import read_settings, setting_names
from tests.infra.deployment import CLOUD_VALUES, service, terraform
from tests.test_settings import JOB_VARIABLES


def job() -> Any:
    return terraform().resources["google_cloud_run_v2_job.bulk"]


def tasks() -> Any:
    return job()["template"][0]


def task() -> Any:
    return tasks()["template"][0]


def container() -> Any:
    return task()["containers"][0]


def variable(name: str) -> Any:
    return next(block[name] for block in terraform().blocks["variable"] if name in block)


def test_job_runs_the_command_of_the_image_of_the_functions() -> None:
    assert container()["image"] == '${contains(local.on_gpu, "ingest") ? var.gpu_image : var.image}'
    assert container()["command"] == ["lookalike"] and container()["args"] == "${each.value}"
    jobs = terraform().locals["bulk_jobs"]
    assert jobs["ingest"] == ["ingest", "gs://${google_storage_bucket.closet.name}/incoming/"]
    assert all(arguments[0] == name and name in main.commands for name, arguments in jobs.items())


def test_jobs_have_the_names_that_the_commands_start() -> None:
    assert job()["name"] == "lookalike-${each.key}" and job()["for_each"] == "${local.bulk_jobs}"
    assert {f"lookalike-{name}" for name in terraform().locals["bulk_jobs"]} == {INGEST_JOB, REEMBED_JOB}


def test_job_has_the_account_and_the_size_of_the_function_ingest() -> None:
    assert task()["service_account"] == '${google_service_account.function["ingest"].email}'
    assert terraform().functions["ingest"]["bucket_role"] == "roles/storage.objectUser"
    limits = str(container()["resources"][0]["limits"])
    assert "local.functions.ingest.cpu" in limits and "local.functions.ingest.memory" in limits
    assert "local.l4_limits" in limits
    photos = terraform().resources["google_storage_bucket_iam_member.photos"]
    assert photos["role"] == "roles/storage.objectViewer" and photos["for_each"] == "${var.photo_buckets}"
    assert variable("photo_buckets")["default"] == []


def test_job_has_the_settings_of_the_functions() -> None:
    lists = [block["env"]["for_each"] for block in container()["dynamic"]]
    assert lists[1:] == ["${local.environment}", "${local.secrets}"] and "local.gpu_environment" in lists[0]
    assert [one["name"] for one in container()["env"]] == ["DB_USER"]
    # jobs link no thumbnails, so they do not need the key of the CDN
    of_functions = set(service()["depends_on"]) - {"${google_secret_manager_secret_version.cdn_key}"}
    assert set(job()["depends_on"]) == of_functions


def test_settings_of_the_job_are_valid_on_cloud_run(home: object, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = {name: str(terraform().resolve(value)) for name, value in terraform().locals["environment"].items()}
    secrets = dict.fromkeys(terraform().locals["own_secrets"], "s" * 64)
    variables = {**shared, **secrets, "DB_USER": "${account}", **JOB_VARIABLES}
    assert set(variables) - set(setting_names()) == {"CLOUD_RUN_EXECUTION", "CLOUD_RUN_TASK_ATTEMPT"}
    for name, value in variables.items():
        monkeypatch.setenv(name, CLOUD_VALUES[name] if "${" in value else value)
    settings = read_settings()
    assert settings.cloud_run_task_index == int(JOB_VARIABLES["CLOUD_RUN_TASK_INDEX"])
    # claims of the job and of the functions must end after the same time
    assert settings.request_timeout == terraform().locals["request_timeout"]


def test_killed_tasks_are_started_again() -> None:
    # Cloud Run's maximum
    assert task()["max_retries"] == 10
    assert task()["timeout"] == "${local.ingest_timeout}s"
    # a task with a GPU may take an hour, others seven days
    assert terraform().locals["ingest_timeout"] == '${var.gpu_image == "" ? 21600 : 3600}'


def test_tasks_and_parallelism_are_variables_within_the_limit_of_the_database() -> None:
    assert tasks()["task_count"] == "${var.ingest_tasks}"
    assert tasks()["parallelism"] == "${min(var.ingest_parallelism, var.ingest_tasks)}"
    (validation,) = variable("ingest_parallelism")["validation"]
    assert "var.ingest_parallelism <= local.max_ingest_parallelism" in validation["condition"]
    assert variable("ingest_parallelism")["default"] <= terraform().locals["max_ingest_parallelism"]
    assert variable("ingest_tasks")["default"] >= variable("ingest_parallelism")["default"]
