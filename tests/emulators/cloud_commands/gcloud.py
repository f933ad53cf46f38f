"""Commands of gcloud. Methods are named by the words of the command."""

import json
from pathlib import Path
from typing import Any

from tests.emulators.cloud_commands.state import PROJECT, REGION, CloudState, Failed


class GcloudCommands(CloudState):
    """Answers of gcloud: text, or what it prints as JSON."""

    # gcloud: account, project and services

    def gcloud_auth_list(self, words: list[str], options: dict[str, str], stdin: str) -> Any:
        return self.account

    def gcloud_auth_application_default_print_access_token(self, *_: Any) -> Any:
        if not self.has_credentials:
            raise Failed("Your default credentials were not found")
        return "token"

    def gcloud_projects_describe(self, words: list[str], *_: Any) -> Any:
        if not self.has_project:
            raise Failed(f"[{self.account}] does not have permission to access projects instance [{words[0]}]")
        return {"projectId": PROJECT, "projectNumber": "404", "lifecycleState": "ACTIVE"}

    def gcloud_billing_projects_describe(self, *_: Any) -> Any:
        return {"billingEnabled": self.has_billing, "billingAccountName": "billingAccounts/0"}

    def gcloud_services_list(self, *_: Any) -> Any:
        return "\n".join(sorted(self.services))

    def gcloud_services_enable(self, words: list[str], *_: Any) -> Any:
        self.services |= set(words)

    def gcloud_projects_get_iam_policy(self, *_: Any) -> Any:
        return {"bindings": [{"role": role, "members": sorted(members)} for role, members in self.bindings.items()]}

    def gcloud_projects_add_iam_policy_binding(self, words: list[str], options: dict[str, str], stdin: str) -> Any:
        assert options["condition"] == "None" and options["member"].partition(":")[2] in self.accounts
        self.bindings.setdefault(options["role"], set()).add(options["member"])

    def gcloud_projects_remove_iam_policy_binding(self, words: list[str], options: dict[str, str], stdin: str) -> Any:
        self.bindings[options["role"]].remove(options["member"])

    def gcloud_iam_service_accounts_describe(self, words: list[str], *_: Any) -> Any:
        if words[0] not in self.accounts:
            raise Failed(f"NOT_FOUND: Unknown service account {words[0]}")
        return {"email": words[0]}

    def gcloud_iam_service_accounts_create(self, words: list[str], *_: Any) -> Any:
        self.accounts.add(f"{words[0]}@{PROJECT}.iam.gserviceaccount.com")

    def gcloud_iam_service_accounts_delete(self, words: list[str], *_: Any) -> Any:
        self.accounts.remove(words[0])

    def gcloud_iam_service_accounts_list(self, *_: Any) -> Any:
        return [{"email": account, "displayName": ""} for account in sorted(self.accounts)]

    # gcloud: buckets

    def gcloud_storage_buckets_describe(self, words: list[str], *_: Any) -> Any:
        bucket = self._bucket(words[0])
        access = "enforced" if bucket.is_private else "inherited"
        return {
            "name": bucket.name,
            "versioning": {"enabled": bucket.is_versioned},
            "iamConfiguration": {"publicAccessPrevention": access},
        }

    def gcloud_storage_buckets_list(self, *_: Any) -> Any:
        return [{"name": name} for name in sorted(self.buckets)]

    def gcloud_storage_buckets_create(self, words: list[str], options: dict[str, str], stdin: str) -> Any:
        self._add_bucket(words[0].removeprefix("gs://"), options["location"], "public-access-prevention" in options)

    def gcloud_storage_buckets_update(self, words: list[str], options: dict[str, str], stdin: str) -> Any:
        bucket = self._bucket(words[0])
        bucket.is_versioned |= "versioning" in options
        bucket.is_private |= "public-access-prevention" in options
        bucket.keeps_deleted &= "clear-soft-delete" not in options

    def gcloud_storage_buckets_add_iam_policy_binding(self, words: list[str], *_: Any) -> Any:
        self._bucket(words[0])

    def gcloud_storage_cat(self, words: list[str], *_: Any) -> Any:
        return self._object(words[0]).decode()

    def gcloud_storage_cp(self, words: list[str], *_: Any) -> Any:
        self._bucket(words[1]).objects[words[1].split("/", 3)[3]] = Path(words[0]).read_bytes()

    def gcloud_storage_objects_describe(self, words: list[str], *_: Any) -> Any:
        return {"size": str(len(self._object(words[0])))}

    def gcloud_storage_du(self, words: list[str], *_: Any) -> Any:
        return f"{sum(map(len, self._bucket(words[0]).objects.values()))}  {words[0]}"

    def gcloud_storage_rm(self, words: list[str], options: dict[str, str], stdin: str) -> Any:
        bucket = self._bucket(words[0])
        if words[0].endswith("/**"):
            prefix = words[0].split("/", 3)[3].removesuffix("**")
            bucket.objects = {name: data for name, data in bucket.objects.items() if not name.startswith(prefix)}
            return
        assert not bucket.keeps_deleted and "recursive" in options
        del self.buckets[bucket.name]

    # gcloud: images, secrets and the database

    def gcloud_artifacts_repositories_describe(self, words: list[str], *_: Any) -> Any:
        if words[0] not in self.repositories:
            raise Failed("NOT_FOUND: Requested entity was not found.")
        return {"name": words[0], "cleanupPolicies": self.repositories[words[0]]}

    def gcloud_artifacts_repositories_create(self, words: list[str], *_: Any) -> Any:
        self.repositories[words[0]] = {}

    def gcloud_artifacts_repositories_set_cleanup_policies(
        self, words: list[str], options: dict[str, str], *_: Any
    ) -> Any:
        assert "no-dry-run" in options
        policies = json.loads(Path(options["policy"]).read_text())
        self.repositories[words[0]] = {policy["name"]: policy for policy in policies}

    def gcloud_artifacts_repositories_delete(self, words: list[str], *_: Any) -> Any:
        del self.repositories[words[0]]
        self.images.clear()

    def gcloud_artifacts_repositories_list(self, *_: Any) -> Any:
        return [{"name": f"projects/{PROJECT}/locations/{REGION}/repositories/{name}"} for name in self.repositories]

    def gcloud_artifacts_docker_images_describe(self, words: list[str], *_: Any) -> Any:
        if words[0] not in self.images:
            raise Failed("Image not found.")
        return {"image_summary": {"digest": self.images[words[0]]}}

    def gcloud_builds_submit(self, words: list[str], options: dict[str, str], stdin: str) -> Any:
        values = dict(one.split("=", 1) for one in options["substitutions"].split(","))
        assert Path(words[0], "cloudbuild.yaml").exists() and Path(options["config"]).exists() and self.repositories
        self._bucket(options["gcs-source-staging-dir"]).objects["builds/source.tgz"] = b"source"
        images = {f"cpu:{values['_TAG']}", *([f"gpu:{values['_GPU_TAG']}"] if values["_GPU_WEIGHTS"] else [])}
        for name in images:
            self.images[f"{values['_REPOSITORY']}/{name}"] = f"sha256:{len(self.images):064}"
        return "Waiting for build to complete.\nSUCCESS"

    def gcloud_secrets_describe(self, words: list[str], *_: Any) -> Any:
        if words[0] not in self.secrets:
            raise Failed(f"NOT_FOUND: Secret [projects/404/secrets/{words[0]}] not found.")
        return {"name": words[0]}

    def gcloud_secrets_list(self, *_: Any) -> Any:
        return [{"name": f"projects/404/secrets/{name}"} for name in sorted(self.secrets)]

    def gcloud_secrets_create(self, words: list[str], *_: Any) -> Any:
        self.secrets[words[0]] = []

    def gcloud_secrets_delete(self, words: list[str], *_: Any) -> Any:
        del self.secrets[words[0]]

    def gcloud_secrets_versions_list(self, words: list[str], *_: Any) -> Any:
        return [{"name": str(number)} for number, _ in enumerate(self.secrets[words[0]])]

    def gcloud_secrets_versions_add(self, words: list[str], options: dict[str, str], stdin: str) -> Any:
        self.secrets[words[0]].append(stdin)

    def gcloud_secrets_versions_access(self, words: list[str], options: dict[str, str], stdin: str) -> Any:
        values = self.secrets.get(options["secret"])
        if not values:
            raise Failed("NOT_FOUND: Secret Version [latest] not found.")
        return values[-1]

    def gcloud_sql_instances_describe(self, words: list[str], *_: Any) -> Any:
        if words[0] not in self.instances:
            raise Failed("HTTPError 404: The Cloud SQL instance does not exist.")
        return {"name": words[0], "serviceAccountEmailAddress": "sql@example.com"}

    def gcloud_sql_instances_list(self, *_: Any) -> Any:
        return [{"name": name} for name in sorted(self.instances)]

    def gcloud_sql_backups_list(self, *_: Any) -> Any:
        return self.backups

    def gcloud_sql_backups_delete(self, words: list[str], options: dict[str, str], stdin: str) -> Any:
        self.backups = [one for one in self.backups if str(one["id"]) != words[0]]

    def gcloud_sql_export_sql(self, words: list[str], options: dict[str, str], stdin: str) -> Any:
        assert "async" in options and not self.functions(), "functions still write"
        self._bucket(words[1]).objects[words[1].split("/", 3)[3]] = self.export
        return "projects/shop/operations/one"

    def gcloud_sql_operations_wait(self, words: list[str], *_: Any) -> Any:
        assert words == ["one"]

    # gcloud: functions and the rest

    def gcloud_run_services_list(self, *_: Any) -> Any:
        return [{"metadata": {"name": name}} for name in self.functions()]

    def gcloud_run_services_delete(self, words: list[str], *_: Any) -> Any:
        self.undeploy(words[0])

    def gcloud_scheduler_jobs_list(self, *_: Any) -> Any:
        return [{"name": f"projects/shop/locations/{REGION}/jobs/{name}"} for name in self.schedules]

    def gcloud_compute_addresses_list(self, *_: Any) -> Any:
        return [{"name": name} for name in self.addresses]

    def gcloud_compute_ssl_certificates_list(self, *_: Any) -> Any:
        domain = self.applied.get("domain")
        return [{"managed": {"domains": [domain], "status": self.certificate}}] if domain else []

    def _nothing(self, *_: Any) -> Any:
        return []

    gcloud_run_jobs_list = gcloud_compute_forwarding_rules_list = gcloud_compute_security_policies_list = _nothing
    gcloud_monitoring_uptime_list_configs = gcloud_pubsub_subscriptions_list = gcloud_pubsub_topics_list = _nothing

    def gcloud_eventarc_triggers_list(self, *_: Any) -> Any:
        raise Failed("SERVICE_DISABLED: Eventarc API has not been used in project 404 before or it is disabled")
