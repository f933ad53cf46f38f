"""Fuzzing of every route from the OpenAPI document, with valid and invalid requests.

Checks that there are no server errors, no undocumented responses and no access without a required token.
"""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from lookalike.bootstrap import Services
from lookalike.domain.model import User
from lookalike.http.routes import ROUTES, Route
from lookalike.local.gateway import Gateway
from tests.conftest import FUNCTIONS_FOLDER, bearer_header
from tests.functions.harness import REMOTE

SKIPPED_CHECKS = {
    # a well-formed request may still contain an invalid photo or an unknown name
    "positive_data_acceptance",
    # all headers are optional
    "missing_required_header",
}


def load_schema() -> Any:
    """Return the schema of the gateway, with requests from another machine: local ones have the role of the platform."""
    gateway = Gateway(FUNCTIONS_FOLDER)

    def remote_gateway(environ: dict[str, Any], start_response: Any) -> Any:
        return gateway({**environ, **REMOTE}, start_response)

    return schemathesis.openapi.from_wsgi("/openapi.json", app=remote_gateway)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
@pytest.mark.filterwarnings("ignore")
def test_route_survives_fuzzing(real: Services, route: Route) -> None:
    fuzz(load_schema(), route, bearer_header(real, User("anna", "anna@example.org", "admin")), examples=10)


@pytest.mark.slow
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
@pytest.mark.filterwarnings("ignore")
def test_route_survives_long_fuzzing(real: Services, route: Route) -> None:
    fuzz(load_schema(), route, bearer_header(real, User("anna", "anna@example.org", "admin")), examples=150)


def fuzz(schema: Any, route: Route, admin: dict[str, str], examples: int) -> None:
    """Send generated requests to a route, with and without a token, and check each response."""
    operation = schema[route.path.replace("<id>", "{id}")][route.method]
    # query parameters are text, so the "invalid" list of one item arrives as the valid item
    skipped = SKIPPED_CHECKS | ({"negative_data_rejection"} if route.method == "GET" else set())
    checks = [check for check in CHECKS.get_all() if check.__name__ not in skipped]
    strategies = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]

    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=st.one_of(strategies), headers=st.sampled_from([admin, {}]))
    def send(case: Any, headers: dict[str, str]) -> None:
        case.call_and_validate(headers=headers, checks=checks)

    send()
