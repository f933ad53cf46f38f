"""Applies the Terraform configuration, releases the new revisions, and ends with a search."""

import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from infra.deploy.deployment import CONFIGURATION, Deployment
from infra.deploy.tools import CommandFailed, StepFailed
from infra.release.check import Check, CheckFailed
from infra.release.http import RequestFailed
from infra.release.key import read_release_key
from infra.release.rollout import ReleaseFailed, Rollout

CHANGES = 2
"""Exit status of a plan with changes."""
DATABASE, CLOSET = "google_sql_database_instance.catalog", "google_storage_bucket.closet"
PRECIOUS = (DATABASE, CLOSET, "google_sql_database.catalog")
"""Resources with data, which no deployment deletes or replaces."""


def terraform(command: str, *arguments: str) -> tuple[str, ...]:
    """Return the arguments of a command in the folder of the configuration."""
    return (f"-chdir={CONFIGURATION}", command, *arguments)


def variables(deployment: Deployment, **others: str) -> Iterator[str]:
    """Yield the options that set the variables of the configuration. Others have defaults, or are in *.auto.tfvars."""
    settings = deployment.settings
    values = {
        "project": deployment.project,
        "region": deployment.region,
        "image": settings.image,
        "supabase_url": settings.supabase_url,
        "supabase_signs_hs256": json.dumps(settings.supabase_signs_hs256),
        "gpu_image": settings.gpu_image if settings.gpu_weights else "",
        "weights_baked": json.dumps(settings.gpu_weights == "baked"),
        "domain": settings.domain,
        "schedule_paused": "true" if settings.is_schedule_paused else "",
        **others,
    }
    # an empty one would override own.auto.tfvars
    yield from (f"-var={name}={value}" for name, value in values.items() if value)


def prepare_terraform(deployment: Deployment) -> bool:
    """Download the provider and connect to the state in the bucket."""
    bucket = deployment.state_bucket.removeprefix("gs://")
    deployment.terraform.run(*terraform("init", "-reconfigure", f"-backend-config=bucket={bucket}"))
    return False


def adopt_bucket(deployment: Deployment) -> bool:
    """Let Terraform know the bucket with data that `make destroy --keep-data` or a copy has left."""
    name = deployment.closet_bucket
    if CLOSET in tracked(deployment) or not deployment.gcloud.find("storage", "buckets", "describe", name, "--raw"):
        return False
    options = (*variables(deployment), CLOSET, name.removeprefix("gs://"))
    # before the import: a run that stops in between must not start the sweep, which deletes objects without a row
    deployment.save_settings(is_schedule_paused=True)
    deployment.terraform.run(*terraform("import", *options))
    deployment.say(f"    {name} is used again, with its objects")
    return True


def resume_schedule(deployment: Deployment) -> bool:
    """Let the schedule run again if that was asked for; otherwise remind of it."""
    if deployment.resumes_schedule:
        return deployment.save_settings(is_schedule_paused=False)
    if deployment.settings.is_schedule_paused:
        deployment.pending.append(
            "Import the rows of the bucket (docs/moving-regions.md, step 4), and run again with ARGS=--resume-schedule. "
            "Until then, no index is built and no object without a row is deleted"
        )
    return False


def tracked(deployment: Deployment) -> list[str]:
    """Return the addresses of the resources that Terraform knows."""
    try:
        addresses = deployment.terraform.run(*terraform("state", "list")).splitlines()
    except CommandFailed as error:
        if "No state file was found" in error.output:
            return []
        raise
    return [address for address in addresses if not address.startswith("data.")]


def apply_configuration(deployment: Deployment) -> bool:
    """Create or change all resources. New revisions of functions that exist get no traffic yet."""
    changed = rollout(deployment).pin()
    with tempfile.TemporaryDirectory() as folder:
        plan = str(Path(folder) / "plan")
        options = ("-detailed-exitcode", f"-out={plan}", *variables(deployment))
        status = deployment.terraform.show(*terraform("plan", *options), expected=(0, CHANGES))
        if status != CHANGES:
            return changed
        _protect_data(json.loads(deployment.terraform.run(*terraform("show", "-json", plan))))
        deployment.terraform.show(*terraform("apply", plan))
    return True


def _protect_data(plan: Any) -> None:
    """Raise `StepFailed` if the plan would delete data."""
    lost = [
        change["address"]
        for change in plan.get("resource_changes", [])
        if change["address"] in PRECIOUS and "delete" in change["change"]["actions"]
    ]
    if lost:
        raise StepFailed(
            f"The plan would delete {', '.join(lost)} with all data. Nothing was changed",
            "Compare your variables (own.auto.tfvars) with those of before. To delete everything: make destroy.",
        )


def outputs(deployment: Deployment) -> dict[str, Any]:
    """Return the outputs of Terraform."""
    found = json.loads(deployment.terraform.run(*terraform("output", "-json")))
    return {name: output["value"] for name, output in found.items()}


def rollout(deployment: Deployment, key: str = "", domain: str = "") -> Rollout:
    """Return the steps of a release of this deployment."""
    cloud = deployment.make_cloud(deployment.project, deployment.region)
    return Rollout(
        cloud,
        key,
        domain,
        deployment.watch_seconds,
        say=lambda line: deployment.say(f"    {line}"),
        sleep=deployment.sleep,
    )


def release(deployment: Deployment) -> bool:
    """Check new revisions and move the traffic to them. Waits for the certificate of a new domain in a later run."""
    found = outputs(deployment)
    domain = found.get("domain", "")
    if waits := _domain_problem(deployment, found):
        deployment.pending.append(waits)
        deployment.say(f"    not released yet: {domain} has no certificate")
        return False
    try:
        steps = rollout(deployment, read_release_key(deployment.project), domain)
        released = steps.release()
        # after the first release, the traffic still follows the newest revision
        return steps.pin() or released
    except (ReleaseFailed, CheckFailed, RequestFailed) as error:
        raise StepFailed(
            f"{error}",
            "Read the log of the function: gcloud run services logs read lookalike-upload "
            f"--region={deployment.region} --project={deployment.project}",
        ) from error


def _domain_problem(deployment: Deployment, found: Mapping[str, Any]) -> str:
    """Return what is missing until the domain of the outputs can be reached. Empty if nothing is, or without a domain."""
    domain = found.get("domain", "")
    if not domain:
        return ""
    certificates = deployment.gcloud.json("compute", "ssl-certificates", "list", "--global") or []
    states = [one["managed"]["status"] for one in certificates if domain in one.get("managed", {}).get("domains", ())]
    if "ACTIVE" in states:
        return ""
    records = ", ".join(f"{kind} {address}" for kind, address in found["dns_records"].items())
    state = states[0] if states else "not created"
    return (
        f"Create these DNS records of {domain}: {records}. The certificate ({state}) becomes valid up to an hour after they "
        "are visible. Then run the same command again: it checks the deployment and releases it"
    )


def search(deployment: Deployment) -> bool:
    """Search through the public address with a photo drawn on the spot, and print the address."""
    found = outputs(deployment)
    if _domain_problem(deployment, found):
        deployment.say(f"    {found['address']}, not reachable yet")
        return False
    key = read_release_key(deployment.project)
    addresses = rollout(deployment, key, found.get("domain", "")).public_addresses()
    started = time.monotonic()
    try:
        results = Check(addresses, key).search()
    except (CheckFailed, RequestFailed) as error:
        raise StepFailed(f"The search failed: {error}") from error
    deployment.say(f"    a search found {len(results)} garments in {time.monotonic() - started:.1f} s")
    deployment.say(f"    {found['address']}")
    return False
