"""Terraform's sums: each function's settings, threads, connections, time-outs and probes."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lookalike.adapters.catalog import SqlCatalog
from lookalike.bootstrap import Services
from lookalike.settings import Settings, names
from tests.infra.deployed import (
    FUNCTIONS,
    INFRA,
    container,
    environment,
    service,
    settings_of_the_database,
    template,
    terraform,
)

# The deployment is ahead of the settings. What is listed here must be missing there: take it off as it comes.
OF_THE_HOST = {"FUNCTION_TARGET"}


def test_every_folder_of_a_function_is_a_service() -> None:
    assert sorted(terraform().functions) == FUNCTIONS
    assert service()["for_each"] == "${local.functions}"


def test_a_service_reads_all_its_settings_from_these_lists() -> None:
    lists = [one["env"]["for_each"] for one in container()["dynamic"] if "env" in one]
    assert lists[2:] == ["${local.environment}", "${local.secrets}"] and "PLATFORM_ACCOUNTS" in lists[0]
    assert "local.gpu_environment" in lists[1]
    assert "local.own_secrets" in terraform().locals["secrets"]
    assert "local.hs256_secrets" in terraform().locals["secrets"]


def test_every_name_in_the_environment_is_a_setting() -> None:
    job = terraform().resources["google_cloud_run_v2_job.migrate"]["template"][0]["template"][0]["containers"][0]
    used = {one["name"] for one in job["env"]}.union(*map(environment, FUNCTIONS))
    assert used - set(names()) <= OF_THE_HOST


def test_private_functions_know_their_callers_and_public_ones_trust_nobody() -> None:
    private = {name for name in FUNCTIONS if not terraform().functions[name]["public"]}
    assert set(terraform().locals["callers"]) == private == {"ingest", "reindex"}
    (dynamic,) = [one["env"] for one in container()["dynamic"] if "callers" in str(one)]
    assert "PLATFORM_ACCOUNTS" in str(dynamic["for_each"]) and "each.value.public ? {}" in str(dynamic["for_each"])
    assert "PLATFORM_ACCOUNTS" in names()


def test_every_function_starts_with_its_settings(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Cloud Run, where local defaults are refused."""
    refused = set[str]()
    for function in FUNCTIONS:
        with monkeypatch.context() as patch:
            for name, value in {**environment(function), "K_SERVICE": function}.items():
                patch.setenv(name, value)
            refused |= faults()
    assert not refused


def faults() -> set[str]:
    try:
        Settings()
    except ValidationError as error:
        return {"".join(map(str, one["loc"])).upper() or one["msg"] for one in error.errors()}
    return set()


def test_threads_are_the_requests_that_are_let_in_at_once() -> None:
    assert template()["max_instance_request_concurrency"] == "${each.value.concurrency}"
    for function, asked in terraform().functions.items():
        assert int(environment(function)["CONCURRENCY"]) == asked["concurrency"]
    start = (INFRA / "docker" / "start.sh").read_text()
    assert 'export THREADS="$CONCURRENCY" WORKERS=1' in start
    assert f'CONCURRENCY="${{CONCURRENCY:-{Settings.model_fields["concurrency"].default}}}"' in start


def test_one_index_is_built_at_a_time() -> None:
    """Two would not fit into the memory. The others have a thread for a probe beside a request."""
    alone = {name for name, one in terraform().functions.items() if one["concurrency"] == 1}
    assert alone == {"reindex"} and terraform().functions["reindex"]["max_instances"] == 1


def test_all_connections_at_once_are_fewer_than_the_database_takes(home: Path) -> None:
    """With the pool as it is built, and twice the instances while a release replaces the last one."""
    scaling = template()["scaling"][0]
    assert scaling["max_instance_count"] == "${each.value.max_instances}"
    most = sum(one["max_instances"] * pool(one["concurrency"]) for one in terraform().functions.values())
    flags = settings_of_the_database()["database_flags"]
    (limit,) = (terraform().value(flag["value"]) for flag in flags if flag["name"] == "max_connections")
    for_people_and_the_migration = 20
    assert 2 * most + for_people_and_the_migration < limit


def pool(concurrency: int) -> int:
    settings = Settings(database_url="mysql+pymysql://user:password@localhost/name", concurrency=concurrency)
    catalogue = Services(settings).catalog
    assert isinstance(catalogue, SqlCatalog)
    made: Any = catalogue.engine.pool
    return int(made.size() + made._max_overflow)


def test_time_outs_agree() -> None:
    local = terraform().locals
    limit = local["request_timeout"]
    rebuild, others = '"${local.rebuild_timeout}s"', '"${local.request_timeout}s"'
    assert template()["timeout"] == f'${{each.key == "reindex" ? {rebuild} : {others}}}'
    assert {int(environment(function)["REQUEST_TIMEOUT"]) for function in FUNCTIONS} == {limit}
    assert local["ack_deadline"] > limit
    # what Cloud Scheduler waits at most
    assert limit < local["rebuild_timeout"] <= 1800
    deadline = terraform().resources["google_cloud_scheduler_job.reindex"]["attempt_deadline"]
    assert seconds(deadline) == local["rebuild_timeout"]


def seconds(text: str) -> int:
    return int(str(terraform().value(text)).removesuffix("s"))


def test_no_traffic_comes_before_the_models_and_the_index() -> None:
    probe = container()["startup_probe"][0]
    assert probe["http_get"][0]["path"] == "/readyz"
    assert probe["timeout_seconds"] <= probe["period_seconds"]
    # Cloud Run's own limit is 240
    assert 120 <= probe["period_seconds"] * probe["failure_threshold"] <= 240


def test_a_busy_instance_is_not_taken_for_a_dead_one() -> None:
    """The probe waits for a thread, and each may be with a request for as long as that may last; the only one even longer."""
    (dynamic,) = [one["liveness_probe"] for one in container()["dynamic"] if "liveness_probe" in one]
    assert "liveness_probe" not in container()
    assert dynamic["for_each"] == '${each.value.concurrency > 1 ? ["/healthz"] : []}'
    (probe,) = dynamic["content"]
    assert probe["http_get"][0]["path"] == "${liveness_probe.value}"
    assert probe["timeout_seconds"] <= probe["period_seconds"]
    patience = probe["period_seconds"] * (probe["failure_threshold"] - 1)
    assert patience > terraform().locals["request_timeout"]


def test_with_an_image_for_gpus_those_that_look_at_photos_have_one() -> None:
    looks = {name for name, one in terraform().functions.items() if one["looks"]}
    assert looks == {"upload", "relay", "ingest"}
    assert "if one.looks" in terraform().locals["on_gpu"] and 'var.gpu_image == "" ? []' in terraform().locals["on_gpu"]
    limits = terraform().locals["l4_limits"]
    # Cloud Run's least beside an L4
    assert int(limits["cpu"]) >= 4 and int(limits["memory"].removesuffix("Gi")) >= 16
    assert limits["nvidia.com/gpu"] == "1"
    (selector,) = [one["node_selector"] for one in template()["dynamic"] if "node_selector" in one]
    assert "nvidia-l4" in str(selector["for_each"])
    (resources,) = container()["resources"]
    # without its processor between requests, an instance has no GPU either
    assert resources["cpu_idle"] == "${!contains(local.on_gpu, each.key)}"
    assert set(terraform().locals) >= {"gpu_environment"} and "MODELS_DIR" in names()
