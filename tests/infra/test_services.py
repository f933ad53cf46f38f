"""Tests of the deployed services: settings, threads, connections, timeouts, probes and GPUs."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lookalike.adapters.catalog import SqlCatalog
from lookalike.bootstrap import Services
from lookalike.settings import Settings, setting_names
from tests.infra.deployment import (
    FUNCTIONS,
    INFRA,
    container,
    database_settings,
    environment,
    service,
    template,
    terraform,
)

NOT_SETTINGS = {"FUNCTION_TARGET"}
"""Environment variables that only start.sh reads."""


def test_each_function_folder_has_a_service() -> None:
    assert sorted(terraform().functions) == FUNCTIONS
    assert service()["for_each"] == "${local.functions}"


def test_environment_comes_from_the_known_lists() -> None:
    lists = [block["env"]["for_each"] for block in container()["dynamic"] if "env" in block]
    assert lists[2] == "${contains(local.linking, each.key) ? local.cdn_environment : {}}"
    assert lists[3] == "${local.environment}" and lists[5] == "${local.function_secrets[each.key]}"
    assert "local.measurement" in lists[4] and "PRICE_GPU_SECOND" in lists[4] and "local.on_gpu" in lists[4]
    assert "PLATFORM_ACCOUNTS" in lists[0]
    assert "local.gpu_environment" in lists[1]
    assert "local.own_secrets" in terraform().locals["secrets"]
    assert "local.hs256_secrets" in terraform().locals["secrets"]


def test_environment_variables_are_settings() -> None:
    job = terraform().resources["google_cloud_run_v2_job.migrate"]["template"][0]["template"][0]["containers"][0]
    used = {variable["name"] for variable in job["env"]}.union(*map(environment, FUNCTIONS))
    assert used - set(setting_names()) <= NOT_SETTINGS


def test_only_private_functions_have_platform_accounts() -> None:
    private = {name for name in FUNCTIONS if not terraform().functions[name]["public"]}
    assert set(terraform().locals["callers"]) == private == {"ingest", "reindex"}
    (dynamic,) = [block["env"] for block in container()["dynamic"] if "callers" in str(block)]
    assert "PLATFORM_ACCOUNTS" in str(dynamic["for_each"]) and "each.value.public ? {}" in str(dynamic["for_each"])
    assert "PLATFORM_ACCOUNTS" in setting_names()


def test_each_function_has_valid_settings_on_cloud_run(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Cloud Run, settings have no local defaults."""
    errors = set[str]()
    for function in FUNCTIONS:
        with monkeypatch.context() as patch:
            for name, value in {**environment(function), "K_SERVICE": function}.items():
                patch.setenv(name, value)
            errors |= invalid_settings()
    assert not errors


def invalid_settings() -> set[str]:
    """Return the names of the settings that are invalid or missing."""
    try:
        Settings()
    except ValidationError as error:
        return {"".join(map(str, detail["loc"])).upper() or detail["msg"] for detail in error.errors()}
    return set()


def test_threads_equal_the_concurrency() -> None:
    assert template()["max_instance_request_concurrency"] == "${each.value.concurrency}"
    for name, function in terraform().functions.items():
        assert int(environment(name)["CONCURRENCY"]) == function["concurrency"]
    start = (INFRA / "docker" / "start.sh").read_text()
    assert 'export THREADS="$CONCURRENCY" WORKERS=1' in start
    assert f'CONCURRENCY="${{CONCURRENCY:-{Settings.model_fields["concurrency"].default}}}"' in start


def test_only_reindex_has_a_single_instance_and_thread() -> None:
    """Two index builds do not fit into the memory. The other functions need a thread for probes beside a request."""
    single = {name for name, function in terraform().functions.items() if function["concurrency"] == 1}
    assert single == {"reindex"} and terraform().functions["reindex"]["max_instances"] == 1


def test_pools_of_all_instances_fit_the_database(home: Path) -> None:
    """Twice all instances and tasks: a release runs old and new instances, and two executions of the job may overlap."""
    scaling = template()["scaling"][0]
    assert scaling["max_instance_count"] == "${each.value.max_instances}"
    functions = terraform().functions.values()
    connections = sum(function["max_instances"] * pool_size(function["concurrency"]) for function in functions)
    connections += terraform().locals["max_ingest_parallelism"] * pool_size(Settings().concurrency)
    flags = database_settings()["database_flags"]
    (limit,) = (terraform().resolve(flag["value"]) for flag in flags if flag["name"] == "max_connections")
    reserve = 20  # for the migration and for administrators
    assert 2 * connections + reserve < limit


def pool_size(concurrency: int) -> int:
    """Return the most connections that the pool of an instance opens."""
    settings = Settings(database_url="mysql+pymysql://user:password@localhost/name", concurrency=concurrency)
    catalog = Services(settings).catalog
    assert isinstance(catalog, SqlCatalog)
    pool: Any = catalog.engine.pool
    return int(pool.size() + pool._max_overflow)


def test_timeouts_are_consistent() -> None:
    local = terraform().locals
    limit = local["request_timeout"]
    rebuild, others = '"${local.rebuild_timeout}s"', '"${local.request_timeout}s"'
    assert template()["timeout"] == f'${{each.key == "reindex" ? {rebuild} : {others}}}'
    assert {int(environment(function)["REQUEST_TIMEOUT"]) for function in FUNCTIONS} == {limit}
    assert local["ack_deadline"] > limit
    # the maximum of Cloud Scheduler
    assert limit < local["rebuild_timeout"] <= 1800
    deadline = terraform().resources["google_cloud_scheduler_job.reindex"]["attempt_deadline"]
    assert seconds(deadline) == local["rebuild_timeout"]


def seconds(text: str) -> int:
    return int(str(terraform().resolve(text)).removesuffix("s"))


def test_startup_probe_waits_for_models_and_index() -> None:
    probe = container()["startup_probe"][0]
    assert probe["http_get"][0]["path"] == "/readyz"
    assert probe["timeout_seconds"] <= probe["period_seconds"]
    # Cloud Run's limit is 240
    assert 120 <= probe["period_seconds"] * probe["failure_threshold"] <= 240


def test_liveness_probe_tolerates_a_busy_instance() -> None:
    """The probe needs a thread, and all may be busy for as long as a request may take. reindex has no probe."""
    (dynamic,) = [block["liveness_probe"] for block in container()["dynamic"] if "liveness_probe" in block]
    assert "liveness_probe" not in container()
    assert dynamic["for_each"] == '${each.value.concurrency > 1 ? ["/healthz"] : []}'
    (probe,) = dynamic["content"]
    assert probe["http_get"][0]["path"] == "${liveness_probe.value}"
    assert probe["timeout_seconds"] <= probe["period_seconds"]
    tolerance = probe["period_seconds"] * (probe["failure_threshold"] - 1)
    assert tolerance > terraform().locals["request_timeout"]


def test_functions_with_models_have_gpus_if_there_is_a_gpu_image() -> None:
    with_models = {name for name, function in terraform().functions.items() if function["uses_models"]}
    assert with_models == {"upload", "relay", "ingest"}
    on_gpu = terraform().locals["on_gpu"]
    assert "if function.uses_models" in on_gpu and 'var.gpu_image == "" ? []' in on_gpu
    limits = terraform().locals["l4_limits"]
    # Cloud Run's minimum with an L4
    assert int(limits["cpu"]) >= 4 and int(limits["memory"].removesuffix("Gi")) >= 16
    assert limits["nvidia.com/gpu"] == "1"
    (selector,) = [block["node_selector"] for block in template()["dynamic"] if "node_selector" in block]
    assert "nvidia-l4" in str(selector["for_each"])
    (resources,) = container()["resources"]
    # Cloud Run requires an always allocated CPU with a GPU
    assert resources["cpu_idle"] == "${!contains(local.on_gpu, each.key)}"
    assert set(terraform().locals) >= {"gpu_environment"} and "MODELS_DIR" in setting_names()
