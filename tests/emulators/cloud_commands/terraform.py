"""Commands of Terraform, on a configuration of a few resources."""

import json
from pathlib import Path
from typing import Any

from tests.emulators.cloud_commands.state import PROJECT, CloudState, Failed

FIXED = (
    "google_sql_database_instance.catalog",
    "google_sql_database.catalog",
    "google_sql_user.migrate",
    "google_storage_bucket.closet",
    "google_storage_bucket.models",
    "google_secret_manager_secret.release_key",
    "google_cloud_scheduler_job.reindex",
    "google_cloud_run_v2_service.function",
)
"""Resources of the emulated configuration."""


class TerraformCommands(CloudState):
    """Answers of Terraform: text, what it prints as JSON, or status, output and errors."""

    def terraform_version(self, *_: Any) -> Any:
        return {"terraform_version": self.version}

    def terraform_init(self, words: list[str], *_: Any) -> Any:
        self._bucket(f"gs://{PROJECT}-lookalike-state")
        return "Terraform has been successfully initialized!"

    def terraform_plan(self, words: list[str], options: dict[str, str], stdin: str) -> Any:
        values = self._variables()
        Path(options["out"]).write_text(json.dumps(values))
        return (0, "No changes.", "") if values == self.applied and set(FIXED) <= {*self.tracked} else (2, "Plan", "")

    def terraform_show(self, words: list[str], *_: Any) -> Any:
        values = json.loads(Path(words[0]).read_text())
        moves = self.applied and values["region"] != self.applied["region"]
        action = ["delete", "create"] if moves else ["update"]
        return {"resource_changes": [{"address": FIXED[0], "change": {"actions": action}}]}

    def terraform_apply(self, words: list[str], options: dict[str, str], stdin: str) -> Any:
        if "target" in options:
            self.instances["lookalike"]["is_protected"] = self._variables()["deletion_protection"] != "false"
            return
        values = json.loads(Path(words[0]).read_text())
        new = [address for address in FIXED if address not in self.tracked]
        self.tracked += new
        if new:
            self._create(values)
        if values["image"] != self.applied.get("image") or not self.functions():
            self.deploy(values["image"])
        self.addresses = {"lookalike-ipv4"} if values.get("domain") else set()
        self.applied = values

    def _create(self, values: dict[str, str]) -> None:
        self.instances.setdefault("lookalike", {"is_protected": True})
        for ending in ("", "-models"):
            name = f"{PROJECT}-lookalike{ending}"
            assert ending or name not in self.buckets or "closet" in str(self.tracked), "409: the bucket exists"
            self._add_bucket(name, values["region"])
        self.schedules.add("lookalike-reindex")
        for name in ("lookalike-index-signing-key", "lookalike-release-key"):
            self.secrets.setdefault(name, ["secret"])

    def terraform_import(self, words: list[str], *_: Any) -> Any:
        self._bucket(f"gs://{words[1]}")
        self.tracked.append(words[0])

    def terraform_state_list(self, *_: Any) -> Any:
        if not self.tracked:
            return 1, "", "No state file was found!"
        return "\n".join([*self.tracked, "data.google_project.this"])

    def terraform_state_rm(self, words: list[str], *_: Any) -> Any:
        self.tracked = [address for address in self.tracked if address not in words]

    def terraform_output(self, *_: Any) -> Any:
        domain = self.applied.get("domain", "")
        values = {
            "address": f"https://{domain}" if domain else self.relay_url(),
            "domain": domain,
            "dns_records": {"A": "192.0.2.1", "AAAA": "2001:db8::1"} if domain else {},
        }
        return {name: {"value": value} for name, value in values.items()}

    def terraform_destroy(self, *_: Any) -> Any:
        assert "google_sql_user.migrate" not in self.tracked, "Error, failed to delete user: it owns objects"
        if self.instances.get("lookalike", {}).get("is_protected"):
            raise Failed("Error, failed to delete instance because deletion_protection is set to true")
        full = [name for name, one in self.buckets.items() if "state" not in name and one.objects]
        if "google_storage_bucket.closet" in self.tracked and full:
            raise Failed(f"Error trying to delete bucket {full[0]} containing objects without `force_destroy`")
        self.instances.pop("lookalike", None)
        self.tracked, self.applied = [], {}
        self.schedules, self.addresses = set(), set()
        for name in ("lookalike-index-signing-key", "lookalike-release-key"):
            self.secrets.pop(name, None)
        for name in self.functions():
            self.undeploy(name)

    def _variables(self) -> dict[str, str]:
        """Return the variables of the last call."""
        pairs = [part.removeprefix("-var=").split("=", 1) for part in self.calls[-1] if part.startswith("-var=")]
        return dict(pairs)
