"""First steps: tools, account, project, billing and services."""

import json
import re

from infra.deploy.deployment import Deployment
from infra.deploy.tools import CommandFailed, StepFailed, missing_tools

OLDEST_TERRAFORM = (1, 11)
SERVICES = (
    "artifactregistry",
    "billingbudgets",
    "cloudbuild",
    "cloudresourcemanager",
    "cloudscheduler",
    "cloudtrace",
    "compute",
    "eventarc",
    "iam",
    "iamcredentials",
    "logging",
    "monitoring",
    "pubsub",
    "run",
    "secretmanager",
    "serviceusage",
    "sqladmin",
    "storage",
    "telemetry",
)
"""Services of Google Cloud that the deployment uses: names before .googleapis.com."""


def check_tools(deployment: Deployment) -> bool:
    """Require gcloud and Terraform in a version that can apply the configuration."""
    if missing := missing_tools():
        raise StepFailed("A program is missing", "\n".join(missing))
    version = json.loads(deployment.terraform.run("version", "-json"))["terraform_version"]
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < OLDEST_TERRAFORM:
        oldest = ".".join(map(str, OLDEST_TERRAFORM))
        raise StepFailed(
            f"Terraform is {version}", f"Install {oldest} or newer: https://developer.hashicorp.com/terraform/install"
        )
    deployment.say(f"    gcloud and Terraform {version}")
    return False


def check_account(deployment: Deployment) -> bool:
    """Require an account for gcloud, and credentials for Terraform."""
    account = deployment.gcloud.run("auth", "list", "--filter=status:ACTIVE", "--format=value(account)")
    if not account:
        raise StepFailed("No account is signed in to gcloud", "Run: gcloud auth login")
    try:
        deployment.gcloud.run("auth", "application-default", "print-access-token")
    except CommandFailed as error:
        raise StepFailed("Terraform has no credentials", "Run: gcloud auth application-default login") from error
    deployment.say(f"    {account}")
    return False


def check_project(deployment: Deployment) -> bool:
    """Require that the project exists."""
    try:
        project = deployment.gcloud.find("projects", "describe", deployment.project)
    except CommandFailed as error:
        # without permission, Google does not tell whether a project exists
        if "PERMISSION_DENIED" not in error.output and "does not have permission" not in error.output:
            raise
        project = None
    if project is None or project.get("lifecycleState", "ACTIVE") != "ACTIVE":
        raise StepFailed(
            f"There is no project {deployment.project} that this account can see",
            f"Create it: gcloud projects create {deployment.project}. Or choose one: gcloud projects list",
        )
    deployment.say(f"    {deployment.project}, number {project['projectNumber']}")
    return False


def check_billing(deployment: Deployment) -> bool:
    """Require a billing account."""
    link = f"https://console.cloud.google.com/billing/linkedaccount?project={deployment.project}"
    try:
        billing = deployment.gcloud.json("billing", "projects", "describe", deployment.project) or {}
    except CommandFailed as error:
        raise StepFailed(
            f"The billing of the project cannot be read: {error.output.strip()}", f"Look at {link}"
        ) from error
    if not billing.get("billingEnabled"):
        raise StepFailed("No billing account is linked to the project, and Cloud SQL needs one", f"Link one: {link}")
    deployment.say(f"    {billing.get('billingAccountName', 'linked')}")
    return False


def enable_services(deployment: Deployment) -> bool:
    """Enable the services that are not enabled yet."""
    enabled = deployment.gcloud.run("services", "list", "--enabled", "--format=value(config.name)").split()
    missing = [name for service in SERVICES if (name := f"{service}.googleapis.com") not in enabled]
    if not missing:
        return False
    deployment.gcloud.run("services", "enable", *missing)
    deployment.say(f"    enabled {len(missing)} services")
    return True
