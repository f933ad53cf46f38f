"""Removes a deployment: with all data, or with a bucket and an export of the database that remain."""

from collections.abc import Sequence
from datetime import UTC, datetime

from infra.costs.prices import read_prices
from infra.deploy import foundation, resources
from infra.deploy.deployment import Deployment
from infra.deploy.leftovers import Found, describe, find_all
from infra.deploy.steps import Step, run_steps
from infra.deploy.tools import StepFailed

DELETE_WORD = "delete"
INSTANCE = "lookalike"
UNTRACKED = ("google_sql_user.", "google_sql_database.", "google_storage_bucket_object.")
"""Starts of addresses that vanish with their instance or bucket. Cloud SQL refuses to drop users that own something."""
NO_IMAGE = "none@sha256:none"


class Refused(Exception):
    """The answer to a question was another one. Nothing was deleted."""


def destroy(deployment: Deployment, checks: Sequence[Step], keep_data: bool) -> None:
    """Ask, delete everything, and list what is left. Raises `Refused` and `StepFailed`."""
    run_steps(deployment, checks)
    deployment.read_settings()
    found = find_all(deployment)
    if not found:
        deployment.say(f"Nothing of lookalike is in {deployment.project}: nothing to delete.")
        return
    _confirm(deployment, found, keep_data)
    run_steps(deployment, KEEP_DATA if keep_data else DELETE_ALL)
    report(deployment, keep_data)


def report(deployment: Deployment, keep_data: bool) -> None:
    """List what is left. Raises `StepFailed` if something is left that is billed and was not to be kept."""
    found = find_all(deployment)
    kept = {deployment.closet_bucket.removeprefix("gs://")} if keep_data else set()
    billed = [one for one in found if one.is_billed and one.name not in kept]
    for line in describe(found):
        deployment.say(line)
    if billed:
        raise StepFailed(f"{len(billed)} resources are left that are billed", "Delete them in the console.")
    deployment.say("Nothing else is left." if found else "Nothing is left.")
    if keep_data:
        _say_price(deployment)
    else:
        deployment.say(
            "Objects that were deleted before are billed until their soft deletion ends, at most 7 days. To see them: "
            f"gcloud storage buckets list --soft-deleted --project={deployment.project}"
        )


def _confirm(deployment: Deployment, found: Sequence[Found], keep_data: bool) -> None:
    deployment.say(f"This is deleted from {deployment.project}:")
    for line in describe(found):
        deployment.say(line)
    if keep_data:
        deployment.say(f"The bucket {deployment.closet_bucket} remains, with an export of the database.")
    _require(deployment, "Type the name of the project to go on", deployment.project)
    if not keep_data:
        deployment.say(
            "All photos, garments, accounts of administrators, and all backups are lost. Nobody can restore them."
        )
        _require(deployment, f"Type {DELETE_WORD} to delete the data", DELETE_WORD)


def _require(deployment: Deployment, question: str, word: str) -> None:
    try:
        answer = deployment.ask_text(f"{question}: ").strip()
    except EOFError:
        answer = ""
    if answer != word:
        raise Refused(f"The answer was not {word}. Nothing was deleted.")


def stop_functions(deployment: Deployment) -> bool:
    """Delete the functions, so that nothing is written during the export. The database and the bucket remain."""
    region = f"--region={deployment.region}"
    services = deployment.gcloud.json("run", "services", "list", region) or []
    names = [name for one in services if (name := one["metadata"]["name"]).startswith("lookalike-")]
    for name in names:
        deployment.gcloud.run("run", "services", "delete", name, region)
    return bool(names)


def export_database(deployment: Deployment) -> bool:
    """Export the database into the bucket, and require that the export exists."""
    gcloud = deployment.gcloud
    instance = gcloud.find("sql", "instances", "describe", INSTANCE)
    if instance is None:
        deployment.say("    there is no database to export")
        return False
    account = f"--member=serviceAccount:{instance['serviceAccountEmailAddress']}"
    bucket = deployment.closet_bucket
    gcloud.run("storage", "buckets", "add-iam-policy-binding", bucket, account, "--role=roles/storage.objectAdmin")
    target = f"{bucket}/backup/lookalike-{datetime.now(UTC):%Y%m%dT%H%M%S}.sql.gz"
    # with --async, since gcloud stops waiting after some minutes
    export = ("sql", "export", "sql", INSTANCE, target, "--database=lookalike", "--async")
    operation = gcloud.run(*export, "--format=value(name)").rpartition("/")[2]
    gcloud.run("sql", "operations", "wait", operation, "--timeout=unlimited")
    exported = gcloud.find("storage", "objects", "describe", target, "--raw")
    if not exported or int(exported.get("size", 0)) == 0:
        raise StepFailed(f"The export {target} is missing or empty. The database was not deleted")
    deployment.say(f"    {target}")
    return True


def connect(deployment: Deployment) -> bool:
    """Connect Terraform to its state, if there is one."""
    if _has_state(deployment):
        resources.prepare_terraform(deployment)
    return False


def lift_protection(deployment: Deployment) -> bool:
    """Allow the deletion of the database, for Terraform and for Cloud SQL."""
    if resources.DATABASE not in _tracked(deployment):
        return False
    options = ("-auto-approve", f"-target={resources.DATABASE}", *_variables(deployment))
    deployment.terraform.show(*resources.terraform("apply", *options))
    return True


def release_bucket(deployment: Deployment) -> bool:
    """Let Terraform forget the bucket with the data, so that it remains."""
    if resources.CLOSET not in _tracked(deployment):
        return False
    deployment.terraform.run(*resources.terraform("state", "rm", resources.CLOSET))
    return True


def delete_buckets(deployment: Deployment) -> bool:
    """Delete the buckets with all versions of their objects."""
    return _delete_buckets(deployment, ("", "-page", "-models"))


def delete_other_buckets(deployment: Deployment) -> bool:
    """Delete all buckets except the one with the data."""
    return _delete_buckets(deployment, ("-page", "-models"))


def delete_state_bucket(deployment: Deployment) -> bool:
    """Delete the bucket of Terraform's state, which must be empty by now."""
    if tracked := _tracked(deployment):
        raise StepFailed(f"Terraform still knows {len(tracked)} resources: {', '.join(tracked[:5])}")
    return _delete_buckets(deployment, ("-state",))


def _delete_buckets(deployment: Deployment, endings: Sequence[str]) -> bool:
    names = [f"{deployment.closet_bucket}{ending}" for ending in endings]
    existing = [name for name in names if deployment.gcloud.find("storage", "buckets", "describe", name, "--raw")]
    for name in existing:
        # otherwise deleted objects would be kept, and billed, for a week more
        deployment.gcloud.run("storage", "buckets", "update", name, "--clear-soft-delete")
        # also all versions, and the bucket itself
        deployment.gcloud.run("storage", "rm", "--recursive", name)
        deployment.say(f"    deleted {name}")
    return bool(existing)


def destroy_resources(deployment: Deployment) -> bool:
    """Delete everything that Terraform has created."""
    tracked = _tracked(deployment)
    if not tracked:
        return False
    if forgotten := [address for address in tracked if address.startswith(UNTRACKED)]:
        deployment.terraform.run(*resources.terraform("state", "rm", *forgotten))
    options = ("-auto-approve", *_variables(deployment))
    deployment.terraform.show(*resources.terraform("destroy", *options))
    return True


def delete_registry(deployment: Deployment) -> bool:
    """Delete the repository with all images."""
    place = f"--location={deployment.region}"
    if not deployment.gcloud.find("artifacts", "repositories", "describe", foundation.REPOSITORY, place):
        return False
    deployment.gcloud.run("artifacts", "repositories", "delete", foundation.REPOSITORY, place)
    return True


def delete_secrets(deployment: Deployment) -> bool:
    """Delete the secrets that are not Terraform's."""
    names = [one["name"].rpartition("/")[2] for one in deployment.gcloud.json("secrets", "list") or []]
    names = [name for name in names if name.startswith("lookalike-")]
    for name in names:
        deployment.gcloud.run("secrets", "delete", name)
    return bool(names)


def delete_backups(deployment: Deployment) -> bool:
    """Delete backups that have remained of the instance."""
    backups = [one for one in deployment.gcloud.json("sql", "backups", "list") or [] if one.get("instance") == INSTANCE]
    for one in backups:
        name = one.get("name") or str(one["id"])
        instance = () if one.get("name") else (f"--instance={INSTANCE}",)
        deployment.gcloud.run("sql", "backups", "delete", name, *instance)
    return bool(backups)


def delete_builder(deployment: Deployment) -> bool:
    """Delete the account that builds, with its roles."""
    member = f"--member=serviceAccount:{deployment.builder}"
    for role in sorted(foundation.granted_roles(deployment)):
        options = (member, f"--role=roles/{role}", "--condition=None")
        deployment.gcloud.run("projects", "remove-iam-policy-binding", deployment.project, *options)
    if deployment.gcloud.find("iam", "service-accounts", "describe", deployment.builder) is None:
        return False
    deployment.gcloud.run("iam", "service-accounts", "delete", deployment.builder)
    return True


def _has_state(deployment: Deployment) -> bool:
    return deployment.gcloud.find("storage", "buckets", "describe", deployment.state_bucket, "--raw") is not None


def _tracked(deployment: Deployment) -> list[str]:
    """Return the addresses of the resources that Terraform knows."""
    if not _has_state(deployment):
        return []
    return resources.tracked(deployment)


def _variables(deployment: Deployment) -> tuple[str, ...]:
    """Return the options of variables, also for a deployment that stopped before the first image."""
    settings = deployment.settings
    return tuple(
        resources.variables(
            deployment,
            image=settings.image or NO_IMAGE,
            supabase_url=settings.supabase_url or "https://none.invalid",
            deletion_protection="false",
        )
    )


def _say_price(deployment: Deployment) -> None:
    price = read_prices()["storage"]
    size = deployment.gcloud.run("storage", "du", "--summarize", "--all-versions", deployment.closet_bucket).split()
    amount = int(size[0]) / 2**30 if size else 0.0
    deployment.say(
        f"{deployment.closet_bucket} has {amount:.2f} GiB and goes on costing about {price.cost(amount):.2f} USD a month "
        f"({price.cost(1):.3f} USD for a GiB, list price of {price.region}, {price.date}). To delete it: "
        f"gcloud storage rm --recursive {deployment.closet_bucket}"
    )


_RESOURCES = (
    Step("Terraform", connect),
    Step("Deletion protection", lift_protection, "1 minute"),
)
_REST = (
    Step("Resources of Terraform", destroy_resources, "15 minutes"),
    Step("Backups", delete_backups),
    Step("Images", delete_registry),
    Step("Secrets", delete_secrets),
    Step("Account that builds", delete_builder),
    Step("Bucket of Terraform's state", delete_state_bucket),
)
DELETE_ALL = (*_RESOURCES, Step("Buckets, with all versions", delete_buckets), *_REST)
KEEP_DATA = (
    Step("Functions", stop_functions),
    Step("Export of the database", export_database, "5 minutes"),
    *_RESOURCES,
    Step("Bucket that remains", release_bucket),
    Step("Other buckets, with all versions", delete_other_buckets),
    *_REST,
)
"""Durations are estimates."""
