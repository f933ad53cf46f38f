"""`python3 -m infra.deploy`: deploy, prepare and destroy."""

import argparse
import sys
from collections.abc import Callable, Sequence

from infra.deploy import foundation, image, project, resources, sign_in, teardown
from infra.deploy.deployment import NONE, Deployment, Settings
from infra.deploy.steps import Step, run_steps
from infra.deploy.tools import StepFailed
from infra.release.__main__ import required_text

CHECKS = (
    Step("Tools", project.check_tools),
    Step("Account", project.check_account),
    Step("Project", project.check_project),
)
PREPARE = (
    *CHECKS,
    Step("Billing", project.check_billing),
    Step("Services of Google Cloud", project.enable_services, "2 minutes"),
    Step("Bucket of Terraform's state", foundation.create_state_bucket),
    Step("Settings", foundation.remember_settings),
    Step("Registry of images", foundation.create_registry),
    Step("Account that builds", foundation.create_builder, "1 minute"),
    Step("Sign-in service", sign_in.connect_sign_in),
)
DEPLOY = (
    *PREPARE,
    Step("Image", image.build_image, "10 minutes"),
    Step("Terraform", resources.prepare_terraform, "1 minute"),
    Step("Bucket of an earlier deployment", resources.adopt_bucket),
    Step("Schedule", resources.resume_schedule),
    Step("Database, bucket, secrets, functions and monitoring", resources.apply_configuration, "25 minutes"),
    Step("First administrator", sign_in.create_administrator),
    Step("Release", resources.release, "1 minute"),
    Step("Address and search", resources.search),
)
"""Durations are estimates: no project could be deployed to so far."""


def deploy(deployment: Deployment) -> None:
    """Deploy, or bring what is deployed up to date."""
    changed = run_steps(deployment, DEPLOY)
    say = deployment.say
    say("Deployed." if changed else "Nothing has changed: everything is as the source describes it.")
    for line in deployment.pending:
        say(f"Still to do: {line}.")


def prepare(deployment: Deployment) -> None:
    """Do what has to be done before `gcloud builds submit`."""
    run_steps(deployment, PREPARE)
    settings = deployment.settings
    values = f"_REGION={deployment.region},_SUPABASE_URL={settings.supabase_url}"
    values += ",_SUPABASE_SIGNS_HS256=true" if settings.supabase_signs_hs256 else ""
    values += f",_GPU_WEIGHTS={settings.gpu_weights}" if settings.gpu_weights else ""
    where = f"--project={deployment.project} --region={deployment.region}"
    deployment.say(f"Next: gcloud builds submit {where} --substitutions={values}")


def main(arguments: Sequence[str] | None = None, **parts: object) -> None:
    """Run the action. Exits with 1 if a step failed. `parts` replace fields of `Deployment`."""
    options = _parse(arguments)
    given = Settings(
        domain=options.domain,
        supabase_url=options.supabase_url,
        gpu_weights=options.gpu_weights,
        administrator=options.admin,
    )
    own = {"watch_seconds": options.watch, "resumes_schedule": options.resume_schedule}
    fields: dict[str, object] = {"say": _print, **own, **parts}
    deployment = Deployment(options.project, options.region, given, **fields)  # type: ignore[arg-type]
    actions: dict[str, Callable[[Deployment], None]] = {
        "deploy": deploy,
        "prepare": prepare,
        "destroy": lambda one: teardown.destroy(one, CHECKS, options.keep_data),
    }
    try:
        actions[options.action](deployment)
    except teardown.Refused as error:
        sys.exit(str(error))
    except StepFailed as error:
        advice = f"\nWhat to do: {error.advice}" if error.advice else ""
        sys.exit(f"{error}{advice}\nThen run the same command again: it continues where it stopped.")
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. Run the same command again: it continues where it stopped.")


def _print(line: str) -> None:
    print(line, flush=True)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m infra.deploy", description="Deploy to Google Cloud.")
    parser.add_argument(
        "action", choices=("deploy", "prepare", "destroy"), help="prepare: only what cloudbuild.yaml needs"
    )
    parser.add_argument("--project", required=True, type=required_text, help="id of the project")
    parser.add_argument("--region", required=True, type=required_text, help="such as europe-west1")
    remembered = "by default as before"
    parser.add_argument(
        "--domain", default="", help=f"domain of the load balancer; {NONE}: no load balancer; {remembered}"
    )
    parser.add_argument("--admin", default="", metavar="EMAIL", help="account that becomes an administrator")
    parser.add_argument("--supabase-url", default="", help=f"address of the Supabase project; {remembered}")
    parser.add_argument(
        "--gpu-weights", default="", choices=("", "pulled", "baked", NONE), help=f"full models on GPUs; {remembered}"
    )
    parser.add_argument("--watch", type=float, default=300, help="seconds with a part of the traffic (default: 300)")
    parser.add_argument(
        "--keep-data", action="store_true", help="destroy: keep the bucket and an export of the database"
    )
    parser.add_argument("--resume-schedule", action="store_true", help="after the rows of a kept bucket were imported")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
