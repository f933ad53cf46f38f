"""Whatever the document allows, and whatever it does not, is asked of every route: no fault of ours, no answer that the document does not
tell, and nobody let in without a token who needs one.
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

UNASKED = {
    # what is well-formed may still be no photo, and the name of something that is not there
    "positive_data_acceptance",
    # every header may be missing
    "missing_required_header",
}


def api(real: Services) -> Any:
    """The gateway, as from another machine: on this one, whoever runs it is the platform."""
    gateway = Gateway(FUNCTIONS_FOLDER)

    def elsewhere(environ: dict[str, Any], start_response: Any) -> Any:
        return gateway({**environ, "REMOTE_ADDR": "203.0.113.9"}, start_response)

    return schemathesis.openapi.from_wsgi("/openapi.json", app=elsewhere)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
@pytest.mark.filterwarnings("ignore")
def test_nothing_breaks(real: Services, route: Route) -> None:
    fuzz(api(real), route, bearer_header(real, User("anna", "anna@example.org", "admin")), examples=10)


@pytest.mark.slow
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
@pytest.mark.filterwarnings("ignore")
def test_nothing_breaks_though_it_is_asked_often(real: Services, route: Route) -> None:
    fuzz(api(real), route, bearer_header(real, User("anna", "anna@example.org", "admin")), examples=300)


def fuzz(schema: Any, route: Route, admin: dict[str, str], examples: int) -> None:
    operation = schema[route.path.replace("<id>", "{id}")][route.method]
    # in an address whatever is written is text: a list of one is its item
    unasked = UNASKED | ({"negative_data_rejection"} if route.method == "GET" else set())
    checks = [check for check in CHECKS.get_all() if check.__name__ not in unasked]
    strategies = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]

    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=st.one_of(strategies), headers=st.sampled_from([admin, {}]))
    def ask(case: Any, headers: dict[str, str]) -> None:
        case.call_and_validate(headers=headers, checks=checks)

    ask()
