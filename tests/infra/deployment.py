"""The deployment as Terraform's files describe it, for the tests of this folder."""

from functools import cache
from pathlib import Path

import lookalike
from tests.infra.hcl import Body, Terraform, read_terraform

ROOT = Path(lookalike.__file__).parents[2]
INFRA = ROOT / "infra"
FUNCTIONS = sorted(path.parent.name for path in ROOT.glob("functions/*/main.py"))

CLOUD_VALUES = {
    "AUTH_URL": "https://project.supabase.co",
    "CLOUD_SQL_INSTANCE": "project:region:lookalike",
    "CORS_ORIGINS": "https://shop.example",
    "DB_NAME": "lookalike",
    "DB_USER": "lookalike-function",
    "GOOGLE_CLOUD_PROJECT": "shop",
    "INSTANCE_GIB": "1.5",
    "INSTANCE_VCPUS": "2",
    "MODELS": "compact",
    "PUBLIC_URL": "https://shop.example",
    "RATE_LIMIT": "120",
    "STORE_URL": "gs://project-lookalike",
    "TRUSTED_PROXIES": "0",
}
"""Values of settings that refer to resources, whose attributes are known only after a deployment."""


@cache
def terraform() -> Terraform:
    """Read infra/terraform."""
    return read_terraform(INFRA / "terraform")


def service() -> Body:
    """Return the Cloud Run service, which is the same resource for all functions."""
    return terraform().resources["google_cloud_run_v2_service.function"]


def template() -> Body:
    """Return the template of the service's instances."""
    block: Body = service()["template"][0]
    return block


def container() -> Body:
    """Return the container of the service's instances."""
    block: Body = template()["containers"][0]
    return block


def environment(function: str) -> dict[str, str]:
    """Return the environment variables of the function's container, with all references resolved."""
    each = {"key": function, "value": terraform().functions[function]}
    own = {variable["name"]: terraform().resolve(variable["value"], each) for variable in container()["env"]}
    shared = {name: terraform().resolve(value) for name, value in terraform().locals["environment"].items()}
    names = [*terraform().locals["own_secrets"], *terraform().locals["hs256_secrets"]]
    names += terraform().locals["extra_secrets"].get(function, ())
    secrets = dict.fromkeys(names, "s" * 64)
    variables = {**own, **shared, **secrets}
    return {name: str(CLOUD_VALUES[name] if "${" in str(value) else value) for name, value in variables.items()}


def database_settings() -> Body:
    """Return the settings of the database instance."""
    block: Body = terraform().resources["google_sql_database_instance.catalog"]["settings"][0]
    return block
