"""The files that bring the project into the cloud, checked without one: build steps, scripts, the image, and Terraform's sums."""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import lookalike
from lookalike.adapters.catalogue import SqlCatalogue
from lookalike.bootstrap import Services
from lookalike.http.routes import ROUTES, Role
from lookalike.settings import Settings, names
from tests.infra.hcl import Body, Terraform, read, strings

ROOT = Path(lookalike.__file__).parents[2]
INFRA = ROOT / "infra"
FUNCTIONS = sorted(path.parent.name for path in ROOT.glob("functions/*/main.py"))

# The deployment is ahead of the settings. What is listed here must be missing there: take it off as it comes.
OF_THE_HOST = {"FUNCTION_TARGET"}

IN_THE_CLOUD = {
    "AUTH_URL": "https://project.supabase.co",
    "CLOUD_SQL_INSTANCE": "project:region:lookalike",
    "CORS_ORIGINS": "https://shop.example",
    "DB_NAME": "lookalike",
    "DB_USER": "lookalike-function",
    "MODELS": "compact",
    "STORE_URL": "gs://project-lookalike",
}
"""What references come to that only the cloud knows."""


@cache
def terraform() -> Terraform:
    return read(INFRA / "terraform")


def service() -> Body:
    return terraform().resources["google_cloud_run_v2_service.function"]


def template() -> Body:
    found: Body = service()["template"][0]
    return found


def container() -> Body:
    found: Body = template()["containers"][0]
    return found


def environment(function: str) -> dict[str, str]:
    """What that function's container finds in its environment."""
    each = {"key": function, "value": terraform().functions[function]}
    own = {one["name"]: terraform().value(one["value"], each) for one in container()["env"]}
    shared = {name: terraform().value(value) for name, value in terraform().locals["environment"].items()}
    secret = dict.fromkeys([*terraform().locals["own_secrets"], *terraform().locals["hs256_secrets"]], "s" * 64)
    found = {**own, **shared, **secret}
    return {name: str(IN_THE_CLOUD[name] if "${" in str(value) else value) for name, value in found.items()}


def seconds(text: str) -> int:
    return int(str(terraform().value(text)).removesuffix("s"))


def test_every_folder_of_a_function_is_a_service() -> None:
    assert sorted(terraform().functions) == FUNCTIONS
    assert service()["for_each"] == "${local.functions}"


def test_a_service_reads_all_its_settings_from_these_lists() -> None:
    lists = [one["env"]["for_each"] for one in container()["dynamic"]]
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
        # a probe beside a request
        assert int(environment(function)["CONCURRENCY"]) == asked["concurrency"] >= 2
    start = (INFRA / "docker" / "start.sh").read_text()
    assert 'export THREADS="$CONCURRENCY" WORKERS=1' in start
    assert f'CONCURRENCY="${{CONCURRENCY:-{Settings.model_fields["concurrency"].default}}}"' in start


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
    catalogue = Services(settings).catalogue
    assert isinstance(catalogue, SqlCatalogue)
    made: Any = catalogue.engine.pool
    return int(made.size() + made._max_overflow)


def settings_of_the_database() -> Body:
    found: Body = terraform().resources["google_sql_database_instance.catalogue"]["settings"][0]
    return found


def test_the_database_is_reached_by_a_connector_and_an_account_alone() -> None:
    settings = settings_of_the_database()
    assert settings["connector_enforcement"] == "REQUIRED"
    assert "authorized_networks" not in settings["ip_configuration"][0]
    flags = {flag["name"]: flag["value"] for flag in settings["database_flags"]}
    assert flags["cloudsql_iam_authentication"] == flags["activate_all_roles_on_login"] == "on"
    for user in terraform().of("google_sql_user").values():
        assert user["type"] == "CLOUD_IAM_SERVICE_ACCOUNT" and "password" not in user


def test_functions_get_the_role_that_the_migration_makes() -> None:
    from infra.docker.grant import ROLE

    users = terraform().of("google_sql_user")
    assert users["function"]["database_roles"] == [ROLE]
    assert "terraform_data.migrated" in " ".join(users["function"]["depends_on"])
    assert "terraform_data.migrated" in " ".join(service()["depends_on"])


def test_no_bucket_is_public() -> None:
    buckets = terraform().of("google_storage_bucket")
    assert set(buckets) == {"closet", "models"}
    for bucket in buckets.values():
        assert bucket["public_access_prevention"] == "enforced"
        assert bucket["uniform_bucket_level_access"] is True
    assert buckets["closet"]["versioning"][0]["enabled"] is False


def test_nothing_in_the_bucket_is_deleted_by_age() -> None:
    """The index in use may be the oldest object of all."""
    bucket = terraform().of("google_storage_bucket")["closet"]
    actions = {rule["action"][0]["type"] for rule in bucket["lifecycle_rule"]}
    assert actions == {"AbortIncompleteMultipartUpload"}


def test_the_platforms_functions_are_open_to_the_platform_alone() -> None:
    private = {name for name, one in terraform().functions.items() if not one["public"]}
    assert private == {route.function for route in ROUTES if route.role is Role.PLATFORM}
    invokers = terraform().of("google_cloud_run_v2_service_iam_member")
    everyone = {name for name, one in invokers.items() if one["member"] == "allUsers"}
    assert everyone == {"public"}
    assert invokers["public"]["for_each"].endswith("name => function if function.public}}")
    for account, function in (("trigger", "ingest"), ("scheduler", "reindex")):
        assert invokers[account]["member"] == f"${{google_service_account.{account}.member}}"
        assert f'function["{function}"]' in invokers[account]["name"]
    assert len(invokers) == 3
    assert service()["ingress"] == '${each.value.public ? "INGRESS_TRAFFIC_ALL" : "INGRESS_TRAFFIC_INTERNAL_ONLY"}'


def test_nobody_else_is_everybody() -> None:
    texts = [
        text for name, body in terraform().resources.items() if not name.endswith(".public") for text in strings(body)
    ]
    assert not [text for text in texts if "allUsers" in text or "allAuthenticatedUsers" in text]


def test_rights_are_few() -> None:
    functions = terraform().functions
    assert functions["relay"]["bucket_role"] == "roles/storage.objectViewer"
    assert functions["cancel"]["bucket_role"] is functions["auth"]["bucket_role"] is None
    granted = {text for body in terraform().resources.values() for text in strings(body.get("role", ""))}
    assert not [
        role for role in granted if role in ("roles/owner", "roles/editor") or role.endswith((".admin", "Admin"))
    ]
    signs = terraform().resources["google_service_account_iam_member.relay_signs"]
    assert signs["role"] == "roles/iam.serviceAccountTokenCreator"
    assert 'function["relay"]' in signs["service_account_id"] and 'function["relay"]' in signs["member"]


def test_undelivered_events_end_in_the_dead_letters() -> None:
    found = terraform()
    trigger = found.resources["google_eventarc_trigger.ingest"]
    criteria = {one["attribute"]: one["value"] for one in trigger["matching_criteria"]}
    assert criteria["type"] == "google.cloud.storage.object.v1.finalized"
    assert criteria["bucket"] == "${google_storage_bucket.closet.name}"
    command = found.resources["terraform_data.dead_letters"]["provisioner"][0]["local-exec"]["command"]
    assert "subscriptions update" in command and "google_eventarc_trigger.ingest.transport" in command
    assert '--dead-letter-topic="${google_pubsub_topic.dead_letters.id}"' in command
    assert "--max-delivery-attempts" in command
    kept = found.resources["google_pubsub_subscription.dead_letters"]
    assert kept["topic"] == "${google_pubsub_topic.dead_letters.id}"
    assert kept["expiration_policy"][0]["ttl"] == ""


def test_pubsub_may_move_dead_letters() -> None:
    takes = terraform().resources["google_pubsub_subscription_iam_member.dead_letters"]
    puts = terraform().resources["google_pubsub_topic_iam_member.dead_letters"]
    assert (takes["role"], puts["role"]) == ("roles/pubsub.subscriber", "roles/pubsub.publisher")
    assert "gcp-sa-pubsub" in takes["member"] and takes["member"] == puts["member"]
    assert "google_eventarc_trigger.ingest.transport" in takes["subscription"]


def test_events_reach_the_dead_letters_before_they_expire() -> None:
    attempts, wait = terraform().locals["max_delivery_attempts"], terraform().locals["longest_backoff"]
    assert 5 <= attempts <= 100 and wait <= 600
    assert attempts * (wait + terraform().locals["request_timeout"]) < 24 * 3600


def test_the_index_is_built_on_a_schedule_by_an_account_of_its_own() -> None:
    job = terraform().resources["google_cloud_scheduler_job.reindex"]
    target, token = job["http_target"][0], job["http_target"][0]["oidc_token"][0]
    assert target["http_method"] == "POST" and target["uri"].endswith('function["reindex"].uri}/reindex')
    assert "google_service_account.scheduler" in token["service_account_email"]
    assert token["audience"] == '${google_cloud_run_v2_service.function["reindex"].uri}'


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


def test_no_traffic_comes_before_the_models_and_the_index() -> None:
    probe = container()["startup_probe"][0]
    assert probe["http_get"][0]["path"] == "/readyz"
    assert probe["timeout_seconds"] <= probe["period_seconds"]
    # Cloud Run's own limit is 240
    assert 120 <= probe["period_seconds"] * probe["failure_threshold"] <= 240


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


def test_a_busy_instance_is_not_taken_for_a_dead_one() -> None:
    """The probe waits for a thread, and each may be with a request for as long as that may last."""
    probe = container()["liveness_probe"][0]
    assert probe["http_get"][0]["path"] == "/healthz"
    assert probe["timeout_seconds"] <= probe["period_seconds"]
    patience = probe["period_seconds"] * (probe["failure_threshold"] - 1)
    assert patience > terraform().locals["request_timeout"]


def test_no_secret_stands_in_the_files() -> None:
    """Secrets come from Secret Manager, where Terraform writes only what it makes and keeps in no state."""
    versions = terraform().of("google_secret_manager_secret_version")
    assert all("secret_data" not in one and "ephemeral." in one["secret_data_wo"] for one in versions.values())
    plain = set(terraform().locals["environment"]) | {one["name"] for one in container()["env"]}
    assert not [name for name in plain if re.search("KEY|SECRET|PASSWORD|TOKEN", name)]
    for path in (*INFRA.glob("terraform/*"), *INFRA.glob("docker/*"), ROOT / "cloudbuild.yaml"):
        if path.is_file():
            assert not re.search(
                r"eyJ[\w-]{20}|AIza[\w-]{30}|-----BEGIN|(?<!sha256:)\b[0-9a-f]{40}", path.read_text()
            ), path


def test_providers_are_pinned() -> None:
    (block,) = terraform().blocks["terraform"]
    providers = block["required_providers"][0]
    assert set(providers) == {"google", "random"}
    assert all(one["version"].startswith("~> ") for one in providers.values())


def test_terraform_finds_its_files_well_formed() -> None:
    binary = shutil.which("terraform")
    if not binary:
        pytest.skip("terraform is not on this machine")
    subprocess.run([binary, "fmt", "-check", "-diff", str(INFRA / "terraform")], check=True)
