"""Handlers of the health checks."""

from lookalike.bootstrap import Services
from lookalike.http.request import ApiRequest
from lookalike.http.request_schemas import HandlerResult


def check_liveness(services: Services, request: ApiRequest) -> HandlerResult:
    """Report that the process is alive."""
    return {"success": True, "status": "alive"}


def check_readiness(services: Services, request: ApiRequest) -> HandlerResult:
    """Report whether the function can serve requests: the database is reachable and its schema is current."""
    services.catalog.ping()
    return {"success": True, "status": "ready"}


def check_detection_readiness(services: Services, request: ApiRequest) -> HandlerResult:
    """Report whether the function can serve requests: the models are loaded and the database is reachable.

    The first call loads the models.
    """
    # The startup probe of Cloud Run calls this route, so an instance gets no requests before its models are loaded.
    services.models.warm_up()
    return check_readiness(services, request)


def check_search_readiness(services: Services, request: ApiRequest) -> HandlerResult:
    """Report whether the function can serve requests: index and models are loaded and the database is reachable.

    The first call loads index and models.
    """
    services.index.warm_up()
    return check_detection_readiness(services, request)
