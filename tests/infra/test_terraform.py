"""Tests of the other Terraform resources: database, buckets, permissions, events, schedule and secrets."""

import re
import shutil
import subprocess

import pytest

from lookalike.http.routes import ROUTES, Role
from tests.infra.deployment import INFRA, ROOT, container, database_settings, service, terraform
from tests.infra.hcl import all_strings


def test_database_accepts_only_connectors_and_service_accounts() -> None:
    settings = database_settings()
    assert settings["connector_enforcement"] == "REQUIRED"
    assert "authorized_networks" not in settings["ip_configuration"][0]
    flags = {flag["name"]: flag["value"] for flag in settings["database_flags"]}
    assert flags["cloudsql_iam_authentication"] == flags["activate_all_roles_on_login"] == "on"
    for user in terraform().resources_of_type("google_sql_user").values():
        assert user["type"] == "CLOUD_IAM_SERVICE_ACCOUNT" and "password" not in user


def test_functions_have_the_role_that_the_migration_creates() -> None:
    from infra.docker.grant import ROLE

    users = terraform().resources_of_type("google_sql_user")
    assert users["function"]["database_roles"] == users["release_key"]["database_roles"] == [ROLE]
    assert "terraform_data.migrated" in " ".join(users["function"]["depends_on"])
    assert "terraform_data.migrated" in " ".join(service()["depends_on"])


def test_buckets_are_not_public() -> None:
    buckets = terraform().resources_of_type("google_storage_bucket")
    assert set(buckets) == {"closet", "models", "page"}
    for bucket in buckets.values():
        assert bucket["public_access_prevention"] == "enforced"
        assert bucket["uniform_bucket_level_access"] is True


def test_bucket_deletes_old_versions_only() -> None:
    """The index in use may be the oldest object."""
    bucket = terraform().resources_of_type("google_storage_bucket")["closet"]
    rules = {rule["action"][0]["type"]: rule["condition"][0] for rule in bucket["lifecycle_rule"]}
    assert set(rules) == {"AbortIncompleteMultipartUpload", "Delete"}
    assert bucket["versioning"][0]["enabled"] is True
    assert rules["Delete"]["with_state"] == "ARCHIVED"
    assert rules["Delete"]["days_since_noncurrent_time"] == "${local.old_version_days}"


def test_bucket_can_be_restored_to_each_moment_of_the_database() -> None:
    """A row without its object is lost; an object without a row is only deleted by the sweep."""
    assert terraform().locals["old_version_days"] == "${local.restore_days}"
    backup = database_settings()["backup_configuration"][0]
    assert backup["enabled"] is True and backup["binary_log_enabled"] is True
    assert backup["transaction_log_retention_days"] == "${local.restore_days}"
    # Cloud SQL's maximum in the edition Enterprise
    assert 1 <= terraform().locals["restore_days"] <= 7
    assert backup["backup_retention_settings"][0]["retained_backups"] > terraform().locals["restore_days"]


def test_database_is_protected_and_maintained_at_a_known_time() -> None:
    instance = terraform().resources["google_sql_database_instance.catalog"]
    protection = instance["deletion_protection"], database_settings()["deletion_protection_enabled"]
    assert protection == ("${var.deletion_protection}",) * 2
    (variable,) = [
        block["deletion_protection"] for block in terraform().blocks["variable"] if "deletion_protection" in block
    ]
    assert variable["default"] is True
    window = database_settings()["maintenance_window"][0]
    assert (window["day"], window["update_track"]) == (7, "week5")
    assert int(database_settings()["backup_configuration"][0]["start_time"][:2]) < window["hour"]
    assert database_settings()["availability_type"] == '${var.high_availability ? "REGIONAL" : "ZONAL"}'


def test_private_functions_accept_only_platform_accounts() -> None:
    private = {name for name, function in terraform().functions.items() if not function["public"]}
    assert private == {route.function for route in ROUTES if route.role is Role.PLATFORM}
    invokers = terraform().resources_of_type("google_cloud_run_v2_service_iam_member")
    for_all_users = {name for name, invoker in invokers.items() if invoker["member"] == "allUsers"}
    assert for_all_users == {"public"}
    assert invokers["public"]["for_each"].endswith("name => function if function.public}}")
    for account, function in (("trigger", "ingest"), ("scheduler", "reindex")):
        assert invokers[account]["member"] == f"${{google_service_account.{account}.member}}"
        assert f'function["{function}"]' in invokers[account]["name"]
    assert len(invokers) == 3
    assert service()["ingress"] == '${each.value.public ? local.public_ingress : "INGRESS_TRAFFIC_INTERNAL_ONLY"}'
    public = 'local.trusted_proxies > 0 ? "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" : "INGRESS_TRAFFIC_ALL"'
    assert terraform().locals["public_ingress"] == f"${{{public}}}"


def test_no_other_resource_is_open_to_all_users() -> None:
    texts = [
        text
        for name, body in terraform().resources.items()
        if not name.endswith(".public")
        for text in all_strings(body)
    ]
    assert not [text for text in texts if "allUsers" in text or "allAuthenticatedUsers" in text]


def test_roles_are_minimal() -> None:
    functions = terraform().functions
    assert functions["relay"]["bucket_role"] == "roles/storage.objectViewer"
    assert functions["cancel"]["bucket_role"] is None
    granted = {text for body in terraform().resources.values() for text in all_strings(body.get("role", ""))}
    assert not [
        role for role in granted if role in ("roles/owner", "roles/editor") or role.endswith((".admin", "Admin"))
    ]
    signs = terraform().resources["google_service_account_iam_member.signs"]
    assert signs["role"] == "roles/iam.serviceAccountTokenCreator"
    assert signs["for_each"] == "${toset(local.linking)}"
    assert all("function[each.key]" in signs[name] for name in ("service_account_id", "member"))


def test_undelivered_events_go_to_the_dead_letters() -> None:
    config = terraform()
    trigger = config.resources["google_eventarc_trigger.ingest"]
    criteria = {block["attribute"]: block["value"] for block in trigger["matching_criteria"]}
    assert criteria["type"] == "google.cloud.storage.object.v1.finalized"
    assert criteria["bucket"] == "${google_storage_bucket.closet.name}"
    command = config.resources["terraform_data.dead_letters"]["provisioner"][0]["local-exec"]["command"]
    assert "subscriptions update" in command and "google_eventarc_trigger.ingest.transport" in command
    assert '--dead-letter-topic="${google_pubsub_topic.dead_letters.id}"' in command
    assert "--max-delivery-attempts" in command
    subscription = config.resources["google_pubsub_subscription.dead_letters"]
    assert subscription["topic"] == "${google_pubsub_topic.dead_letters.id}"
    assert subscription["expiration_policy"][0]["ttl"] == ""


def test_pubsub_may_move_dead_letters() -> None:
    subscriber = terraform().resources["google_pubsub_subscription_iam_member.dead_letters"]
    publisher = terraform().resources["google_pubsub_topic_iam_member.dead_letters"]
    assert (subscriber["role"], publisher["role"]) == ("roles/pubsub.subscriber", "roles/pubsub.publisher")
    assert "gcp-sa-pubsub" in subscriber["member"] and subscriber["member"] == publisher["member"]
    assert "google_eventarc_trigger.ingest.transport" in subscriber["subscription"]


def test_events_reach_the_dead_letters_before_they_expire() -> None:
    attempts, backoff = terraform().locals["max_delivery_attempts"], terraform().locals["longest_backoff"]
    assert 5 <= attempts <= 100 and backoff <= 600
    assert attempts * (backoff + terraform().locals["request_timeout"]) < 24 * 3600


def test_reindex_is_scheduled_with_its_own_account() -> None:
    job = terraform().resources["google_cloud_scheduler_job.reindex"]
    target, token = job["http_target"][0], job["http_target"][0]["oidc_token"][0]
    assert target["http_method"] == "POST" and target["uri"].endswith('function["reindex"].uri}/reindex')
    assert "google_service_account.scheduler" in token["service_account_email"]
    assert token["audience"] == '${google_cloud_run_v2_service.function["reindex"].uri}'


def test_files_contain_no_secrets() -> None:
    """Secrets come from Secret Manager. Terraform generates some, as ephemeral values that are not in its state.

    The exception is the key of Cloud CDN: the provider has no write-only attribute for it.
    """
    versions = terraform().resources_of_type("google_secret_manager_secret_version")
    assert "random_bytes.cdn_key" in str(
        terraform().resources["google_compute_backend_bucket_signed_url_key.thumbnails"]
    )
    del versions["cdn_key"]
    assert all("secret_data" not in body and "ephemeral." in body["secret_data_wo"] for body in versions.values())
    plain = set(terraform().locals["environment"]) | {variable["name"] for variable in container()["env"]}
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
    assert all(provider["version"].startswith("~> ") for provider in providers.values())


def test_terraform_files_are_formatted() -> None:
    binary = shutil.which("terraform")
    if not binary:
        pytest.skip("terraform is not installed")
    subprocess.run([binary, "fmt", "-check", "-diff", str(INFRA / "terraform")], check=True)
