"""What Terraform's files say of the deployment, for the tests to read."""

from functools import cache
from pathlib import Path

import lookalike
from tests.infra.hcl import Body, Terraform, read

ROOT = Path(lookalike.__file__).parents[2]
INFRA = ROOT / "infra"
FUNCTIONS = sorted(path.parent.name for path in ROOT.glob("functions/*/main.py"))

IN_THE_CLOUD = {
    "AUTH_URL": "https://project.supabase.co",
    "CLOUD_SQL_INSTANCE": "project:region:lookalike",
    "CORS_ORIGINS": "https://shop.example",
    "DB_NAME": "lookalike",
    "DB_USER": "lookalike-function",
    "MODELS": "compact",
    "STORE_URL": "gs://project-lookalike",
    "TRUSTED_PROXIES": "0",
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


def settings_of_the_database() -> Body:
    found: Body = terraform().resources["google_sql_database_instance.catalogue"]["settings"][0]
    return found
