"""What else Terraform makes: the database, the buckets, who may do what, events, the schedule, and no secret in any file."""

import re
import shutil
import subprocess

import pytest

from lookalike.http.routes import ROUTES, Role
from tests.infra.deployed import INFRA, ROOT, container, service, settings_of_the_database, terraform
from tests.infra.hcl import strings


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
    assert service()["ingress"] == '${each.value.public ? local.public_ingress : "INGRESS_TRAFFIC_INTERNAL_ONLY"}'
    public = 'var.trusted_proxies > 0 ? "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" : "INGRESS_TRAFFIC_ALL"'
    assert terraform().locals["public_ingress"] == f"${{{public}}}"


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
