"""Plans of the deployment that Terraform makes with a provider that only knows the schema of the real one.

Needs Terraform and npm, but no network if npm has the packages in its cache, and no Google Cloud.
"""

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.infra.deployment import ROOT, terraform
from tests.infra.provider_schema import Block, PackageMissing, read_schemas

DATA_SOURCES = ("data.google_project", "data.google_storage_project_service_account")
REQUIRED = {"project": "shop", "image": "host/cpu@sha256:0", "supabase_url": "https://project.supabase.co"}
"""Variables without a default."""
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "complete": {
        "domain": "shop.example.com",
        "gpu_image": "host/gpu@sha256:0",
        "supabase_signs_hs256": True,
        "photo_buckets": ["photos"],
        "high_availability": True,
        "alert_emails": ["operator@example.com"],
        "billing_account": "000000-000000-000000",
        "monthly_budget": 100,
        "prices": {"PRICE_VCPU_SECOND": "0.000024", "PRICE_GIB_SECOND": "0.0000025"},
    },
}
"""Values of variables by name of the plan: with all defaults, and with everything that a default leaves out."""
MADE_UP = {
    "google_cloud_run_v2_service": {"uri": "https://function-1.run.app"},
    "google_eventarc_trigger": {
        "transport": [{"pubsub": [{"subscription": "projects/shop/subscriptions/events", "topic": "topic"}]}]
    },
}
"""Values that the provider would set, where a random text would not do."""
OVERRIDDEN = {"random_bytes.cdn_key": {"base64": "+/ECAwQFBgcICQoLDA0ODw=="}}
"""Values of resources of other providers than google."""
FILES = ("infra/terraform", "shared/lookalike/web", "shared/lookalike/sample_closet/queries")


@dataclass(frozen=True)
class Plan:
    """The resources that a plan would create, by address. Values that the provider would set are made up."""

    resources: Mapping[str, Mapping[str, Any]]

    def of_type(self, kind: str) -> dict[str, Mapping[str, Any]]:
        """Return the resources of a type, by the rest of their addresses."""
        start = f"{kind}."
        return {name.removeprefix(start): one for name, one in self.resources.items() if name.startswith(start)}


@cache
def provider_schemas() -> dict[str, dict[str, Block]]:
    """Return the schemas of all used resources, by provider. Skips the test if the packages cannot be had."""
    kinds = {name.partition(".")[0] for name in terraform().resources}
    google = [*(kind for kind in kinds if kind.startswith("google_")), *DATA_SOURCES, "provider"]
    try:
        return {
            "google": read_schemas("google", google),
            "random": read_schemas("random", ["random_password", "random_bytes", "provider"]),
        }
    except PackageMissing as error:
        pytest.skip(f"The schema of the provider cannot be read: {error}")


def make_plans(folder: Path) -> dict[str, Plan]:
    """Check the configuration, and plan each of `VARIANTS`. Skips the test without Terraform."""
    binary = shutil.which("terraform")
    if not binary:
        pytest.skip("terraform is not installed")
    for path in FILES:
        shutil.copytree(ROOT / path, folder / path)
    configuration = folder / "infra" / "terraform"
    (configuration / "variants.tftest.hcl").write_text("\n".join(_write_test()))
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": str(_install_providers(folder)), "CHECKPOINT_DISABLE": "1"}
    command = [binary, "test", "-json", "-verbose"]
    result = subprocess.run(command, cwd=configuration, env=environment, capture_output=True, text=True, timeout=300)
    messages = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == 0, "\n".join(_describe_errors(messages)) or result.stderr
    return {
        message["@testrun"]: Plan(dict(_planned_resources(message["test_plan"])))
        for message in messages
        if message["type"] == "test_plan"
    }


def _write_test() -> Iterator[str]:
    """Yield the lines of a test for Terraform. JSON is the syntax of its values, too.

    Values that the provider sets are made up in the plan already, so that everything that depends on them is known.
    """
    yield 'mock_provider "google" {\n  override_during = plan'
    for kind, defaults in MADE_UP.items():
        yield f'  mock_resource "{kind}" {{\n    defaults = {json.dumps(defaults)}\n  }}'
    yield "}"
    for target, values in OVERRIDDEN.items():
        yield f"override_resource {{\n  target = {target}\n  values = {json.dumps(values)}\n  override_during = plan\n}}"
    for name, variables in VARIANTS.items():
        yield f'run "{name}" {{\n  command = plan\n  variables {{'
        yield from (f"    {key} = {json.dumps(value)}" for key, value in {**REQUIRED, **variables}.items())
        yield "  }\n}"


def _install_providers(folder: Path) -> Path:
    """Write a provider for each schema, and return the configuration with which Terraform starts them."""
    overrides = []
    for name, schemas in provider_schemas().items():
        (folder / f"{name}.pickle").write_bytes(pickle.dumps(schemas))
        program = folder / name / f"terraform-provider-{name}"
        program.parent.mkdir()
        command = f'PYTHONPATH="{ROOT}" exec {sys.executable} -m tests.infra.provider_process {folder}/{name}.pickle'
        program.write_text(f"#!/bin/sh\n{command}\n")
        program.chmod(0o755)
        overrides.append(f'    "hashicorp/{name}" = "{program.parent}"')
    file = folder / "terraformrc"
    file.write_text(
        "\n".join(["provider_installation {", "  dev_overrides {", *overrides, "  }", "  direct {}", "}", ""])
    )
    return file


def _describe_errors(messages: list[Any]) -> Iterator[str]:
    for message in messages:
        if message["type"] == "diagnostic" and message["@level"] == "error":
            diagnostic = message["diagnostic"]
            place = diagnostic.get("range", {})
            line = place.get("start", {}).get("line")
            yield f"{place.get('filename')}:{line}: {diagnostic['summary']}: {diagnostic.get('detail', '')}"


def _planned_resources(plan: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for change in plan["resource_changes"]:
        if change["change"]["actions"] == ["create"]:
            yield change["address"], change["change"]["after"]


def attribute_errors(kind: str, body: Any, schema: Block, path: str = "") -> Iterator[str]:
    """Yield what a resource or block has that its schema does not, and what it lacks."""
    meta = {"count", "for_each", "depends_on", "lifecycle", "provisioner", "provider"} if not path else set[str]()
    dynamic = {name: block for one in body.get("dynamic", []) for name, block in one.items()}
    used = {**{name: value for name, value in body.items() if name not in meta | {"dynamic"}}, **dynamic}
    for name, value in used.items():
        if name in schema.blocks:
            blocks = [content for one in [dynamic[name]] for content in one["content"]] if name in dynamic else value
            for block in blocks:
                yield from attribute_errors(kind, block, schema.blocks[name].block, f"{path}{name}.")
        elif name not in schema.attributes or not (one := schema.attributes[name]).is_required | one.is_optional:
            yield f"{kind}: {path}{name} is not an argument"
    required = {name for name, one in schema.attributes.items() if one.is_required}
    required |= {name for name, one in schema.blocks.items() if one.is_required}
    yield from (f"{kind}: {path}{name} is missing" for name in required - used.keys())
