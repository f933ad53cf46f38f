"""Prerequisites of Terraform and builds: the state bucket, the image registry and the account that builds."""

from pathlib import Path

from infra.deploy.deployment import NONE, Deployment
from infra.deploy.tools import CommandFailed

REPOSITORY = "lookalike"
IMAGE_CLEANUP = Path(__file__).with_name("image_cleanup.json")
"""Cleanup policies of the repository."""
BUILDER_ROLES = (
    "artifactregistry.writer",
    "cloudscheduler.admin",
    "cloudsql.admin",
    "compute.loadBalancerAdmin",
    "compute.securityAdmin",
    "eventarc.admin",
    "iam.serviceAccountAdmin",
    "iam.serviceAccountUser",
    "logging.configWriter",
    "logging.logWriter",
    "monitoring.editor",
    "pubsub.admin",
    "resourcemanager.projectIamAdmin",
    "run.admin",
    "secretmanager.admin",
    "storage.admin",
)
"""Roles of the account that builds and deploys. A person who may start a build therefore controls the project."""
NEW_ACCOUNT_ATTEMPTS = 6
"""A new account is known to the rest of Google Cloud only after some seconds."""


def create_state_bucket(deployment: Deployment) -> bool:
    """Create the bucket of Terraform's state: private, and with versions, so that a state can be restored."""
    name, gcloud = deployment.state_bucket, deployment.gcloud
    bucket = gcloud.find("storage", "buckets", "describe", name, "--raw")
    if bucket is None:
        options = ("--uniform-bucket-level-access", "--public-access-prevention")
        gcloud.run("storage", "buckets", "create", name, f"--location={deployment.region}", *options)
        deployment.say(f"    created {name}")
    is_versioned = bool(bucket) and bucket.get("versioning", {}).get("enabled", False)
    is_private = bucket is None or bucket.get("iamConfiguration", {}).get("publicAccessPrevention") == "enforced"
    if not is_versioned:
        gcloud.run("storage", "buckets", "update", name, "--versioning")
    if not is_private:
        gcloud.run("storage", "buckets", "update", name, "--public-access-prevention")
    return bucket is None or not is_versioned or not is_private


def remember_settings(deployment: Deployment) -> bool:
    """Read the settings of the deployment and change the given ones. Refuses another region."""
    deployment.read_settings()
    before, given = deployment.settings, deployment.given
    domain = "" if given.domain == NONE else given.domain or before.domain
    weights = "" if given.gpu_weights == NONE else given.gpu_weights or before.gpu_weights
    changed = deployment.save_settings(region=deployment.region, domain=domain, gpu_weights=weights)
    shown = [f"region {deployment.region}", f"domain {domain}" if domain else "no load balancer"]
    deployment.say(f"    {', '.join(shown)}{', full models on GPUs' if weights else ''}")
    return changed


def create_registry(deployment: Deployment) -> bool:
    """Create the repository of images, and let it delete old ones, unless somebody has given it other policies."""
    place, gcloud = f"--location={deployment.region}", deployment.gcloud
    found = gcloud.find("artifacts", "repositories", "describe", REPOSITORY, place)
    if found is None:
        gcloud.run("artifacts", "repositories", "create", REPOSITORY, place, "--repository-format=docker")
        deployment.say(f"    created {deployment.region}-docker.pkg.dev/{deployment.project}/{REPOSITORY}")
    has_policies = found is not None and bool(found.get("cleanupPolicies"))
    if not has_policies:
        options = (place, f"--policy={IMAGE_CLEANUP}", "--no-dry-run")
        gcloud.run("artifacts", "repositories", "set-cleanup-policies", REPOSITORY, *options)
        deployment.say("    it deletes images after 30 days, except the ten newest")
    return not has_policies


def create_builder(deployment: Deployment) -> bool:
    """Create the account that builds and deploys, with the roles that it lacks."""
    gcloud, account = deployment.gcloud, deployment.builder
    is_missing = gcloud.find("iam", "service-accounts", "describe", account) is None
    if is_missing:
        name = account.partition("@")[0]
        gcloud.run("iam", "service-accounts", "create", name, "--display-name=lookalike: builds and deploys")
    granted = granted_roles(deployment)
    missing = [role for role in BUILDER_ROLES if role not in granted]
    for role in missing:
        _grant(deployment, role)
    if missing:
        deployment.say(f"    granted {len(missing)} roles to {account}")
    return is_missing or bool(missing)


def granted_roles(deployment: Deployment) -> set[str]:
    """Return the roles of the builder in the project, without the start `roles/`."""
    policy = deployment.gcloud.json("projects", "get-iam-policy", deployment.project) or {}
    member = f"serviceAccount:{deployment.builder}"
    bindings = [one for one in policy.get("bindings", []) if member in one.get("members", ())]
    return {one["role"].removeprefix("roles/") for one in bindings if "condition" not in one}


def _grant(deployment: Deployment, role: str) -> None:
    member = f"--member=serviceAccount:{deployment.builder}"
    for attempt in range(NEW_ACCOUNT_ATTEMPTS):
        try:
            deployment.gcloud.run(
                *("projects", "add-iam-policy-binding", deployment.project),
                *(member, f"--role=roles/{role}", "--condition=None"),
            )
            return
        except CommandFailed as error:
            if "does not exist" not in error.output or attempt == NEW_ACCOUNT_ATTEMPTS - 1:
                raise
            deployment.sleep(5)
