"""Tests of the deployment as Terraform plans it, with the published schema of the provider. `make check-cloud` runs them."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from lookalike.settings import read_settings
from tests.functions.harness import Client
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


def variables(plan: Plan, function: str) -> dict[str, str]:
    """Return the environment variables of a function."""
    service = plan.resources[f'google_cloud_run_v2_service.function["{function}"]']
    return {one["name"]: one.get("value", "") for one in service["template"][0]["containers"][0]["env"]}


def test_size_of_the_instance_is_that_of_its_limits(plans: dict[str, Plan]) -> None:
    expected = {"plain": ("2", "1.5"), "complete": ("4", "16")}
    for name, sizes in expected.items():
        relay = variables(plans[name], "relay")
        assert (relay["INSTANCE_VCPUS"], relay["INSTANCE_GIB"]) == sizes
    assert variables(plans["plain"], "detail")["INSTANCE_GIB"] == "0.5"
    assert "PRICE_VCPU_SECOND" in variables(plans["complete"], "detail")
    assert "PRICE_VCPU_SECOND" not in variables(plans["plain"], "detail")


@pytest.mark.parametrize("variant", VARIANTS)
def test_settings_of_every_function_are_valid(
    plans: dict[str, Plan], variant: str, home: Path, monkeypatch: Any
) -> None:
    """With the values that Terraform computes. Secrets and names that Cloud SQL makes up are filled in."""
    made_up = {"CLOUD_SQL_INSTANCE": "project:region:lookalike", "INDEX_SIGNING_KEY": "s" * 64, "SUPABASE_KEY": "key"}
    secrets = plans[variant].of_type("google_secret_manager_secret_version")
    for function in FUNCTIONS:
        planned = variables(plans[variant], function)
        if "CDN_KEY" in planned:
            planned["CDN_KEY"] = secrets["cdn_key[0]"]["secret_data"]
        with monkeypatch.context() as patch:
            for name, value in {**planned, **made_up, "K_SERVICE": function}.items():
                patch.setenv(name, value)
            settings = read_settings()
            assert settings.trusted_proxies == (variant == "complete")
            assert settings.public_url == ("https://shop.example.com" if variant == "complete" else "")
            is_linking = variant == "complete" and function in terraform().locals["linking"]
            assert settings.cdn_url == ("https://shop.example.com/pictures" if is_linking else "")
            assert (settings.prices is not None) == (variant == "complete")


def test_uptime_check_searches(plans: dict[str, Plan], client: Client) -> None:
    """The planned request, sent to the function."""
    (check,) = plans["plain"].of_type("google_monitoring_uptime_check_config").values()
    http, (matcher,) = check["http_check"][0], check["content_matchers"]
    response = client("relay").open(
        http["path"],
        method=http["request_method"],
        data=base64.b64decode(http["body"]),
        content_type=http["custom_content_type"],
    )
    assert response.status_code == 200 and response.json
    assert len(response.json["groups"]) > 1, "no garment was detected"
    field = matcher["json_path_matcher"][0]["json_path"].removeprefix("$.")
    assert json.dumps(response.json[field]) == matcher["content"]
    checks = {name: one.of_type("google_monitoring_uptime_check_config")["search[0]"] for name, one in plans.items()}
    hosts = {name: one["monitored_resource"][0]["labels"]["host"] for name, one in checks.items()}
    assert hosts == {"plain": "function-1.run.app", "complete": "shop.example.com"}


def test_tiles_of_the_dashboard_fill_its_rows_without_overlap(plans: dict[str, Plan]) -> None:
    layout = json.loads(plans["plain"].resources["google_monitoring_dashboard.lookalike"]["dashboard_json"])[
        "mosaicLayout"
    ]
    cells = [
        (tile.get("xPos", 0) + x, tile.get("yPos", 0) + y)
        for tile in layout["tiles"]
        for x in range(tile["width"])
        for y in range(tile["height"])
    ]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < layout["columns"]


def test_each_alert_has_a_condition_and_advice(plans: dict[str, Plan]) -> None:
    policies = plans["complete"].of_type("google_monitoring_alert_policy")
    assert len(policies) == len(terraform().locals["alerts"]) + 1
    for policy in policies.values():
        (condition,) = policy["conditions"]
        assert len(condition["condition_threshold"]) + len(condition["condition_absent"]) == 1
        assert policy["documentation"][0]["content"] and policy["severity"]
    assert not plans["plain"].of_type("google_billing_budget") and plans["complete"].of_type("google_billing_budget")
