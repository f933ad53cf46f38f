"""Tests of the deployment as Terraform plans it, with the published schema of the provider. `make check-cloud` runs them."""


import pytest

from tests.infra.deployment import FUNCTIONS, terraform
from tests.infra.plans import VARIANTS, Plan, attribute_errors, make_plans, provider_schemas

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Plan]:
    return make_plans(tmp_path_factory.mktemp("plan"))


def test_resources_match_the_schema_of_the_provider() -> None:
    """Does not need Terraform, but does not evaluate expressions either."""
    schemas = provider_schemas()["google"]
    resources = {name: body for name, body in terraform().resources.items() if name.startswith("google_")}
    kinds = {name: name.partition(".")[0] for name in resources}
    assert set(kinds.values()) <= set(schemas)
    errors = [error for name, body in resources.items() for error in attribute_errors(name, body, schemas[kinds[name]])]
    assert not errors, "\n".join(errors)


def test_schema_check_finds_mistakes() -> None:
    schema = provider_schemas()["google"]["google_storage_bucket"]
    body = {"name": "x", "versioned": True, "website": [{"index": "x"}], "self_link": "x", "count": 1}
    assert sorted(attribute_errors("bucket", body, schema)) == [
        "bucket: location is missing",
        "bucket: self_link is not an argument",
        "bucket: versioned is not an argument",
        "bucket: website.index is not an argument",
    ]


def test_every_variant_can_be_planned(plans: dict[str, Plan]) -> None:
    assert set(plans) == set(VARIANTS)
    for plan in plans.values():
        assert len(plan.of_type("google_cloud_run_v2_service")) == len(FUNCTIONS)


def test_load_balancer_is_planned_only_with_a_domain(plans: dict[str, Plan]) -> None:
    balanced = {name for name in plans["complete"].resources if name.startswith("google_compute_")}
    assert not [name for name in plans["plain"].resources if name.startswith("google_compute_")]
    assert {name.partition(".")[0] for name in balanced} >= {
        "google_compute_global_address",
        "google_compute_managed_ssl_certificate",
        "google_compute_url_map",
        "google_compute_security_policy",
        "google_compute_backend_bucket",
    }


@pytest.mark.parametrize(
    ("variant", "ingress", "proxies"), [("plain", "ALL", "0"), ("complete", "INTERNAL_LOAD_BALANCER", "1")]
)
def test_functions_accept_only_the_load_balancer_if_there_is_one(
    plans: dict[str, Plan], variant: str, ingress: str, proxies: str
) -> None:
    for name, service in plans[variant].of_type("google_cloud_run_v2_service").items():
        is_public = terraform().functions[name.split('"')[1]]["public"]
        assert service["ingress"] == f"INGRESS_TRAFFIC_{ingress if is_public else 'INTERNAL_ONLY'}"
        variables = {one["name"]: one.get("value") for one in service["template"][0]["containers"][0]["env"]}
        assert variables["TRUSTED_PROXIES"] == proxies
