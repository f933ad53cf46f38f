"""Health checks and the scheduled maintenance."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from lookalike.bootstrap import Services
from lookalike.http.request import ApiRequest
from lookalike.http.request_schemas import HandlerResult, ReindexRequest
from lookalike.usecases.sweep import sweep

ONE_DAY = timedelta(days=1)
JOBS_KEPT_FOR = timedelta(days=7)


def reindex(services: Services, request: ApiRequest) -> HandlerResult:
    """Build and publish the index if that is due, or with `force`; then delete what is no longer needed.

    Deletes objects without a row after a day, requests after seven days, and counts of failed sign-ins after a day.
    """
    force = request.parse_body(ReindexRequest).force
    manifest = services.reindex.build() if force else services.reindex.build_if_due()
    swept = sweep(services.store, services.catalog, older_than=ONE_DAY.total_seconds())
    now = datetime.now(UTC)
    services.catalog.delete_finished_jobs(None, now - JOBS_KEPT_FOR)
    services.attempts.delete_expired_attempts(now - ONE_DAY)
    built = f"Published index version {manifest.version}" if manifest else "No index version is due"
    message = f"{built}; deleted {swept} objects without a row"
    return {"success": True, "message": message, "data": asdict(manifest) if manifest else None}, 202


def is_alive(services: Services, request: ApiRequest) -> HandlerResult:
    """Report that the instance is alive."""
    return {"success": True, "status": "alive"}


def is_ready(services: Services, request: ApiRequest) -> HandlerResult:
    """Report whether the database is reachable and up to date."""
    services.catalog.ping()
    return {"success": True, "status": "ready"}


def is_ready_to_detect(services: Services, request: ApiRequest) -> HandlerResult:
    """Report whether the models are loaded and the database is reachable. Loads the models on the first call."""
    services.models.warm_up()
    return is_ready(services, request)


def is_ready_to_search(services: Services, request: ApiRequest) -> HandlerResult:
    """Report whether index and models are loaded and the database is reachable. Loads them on the first call."""
    services.index.warm()
    return is_ready_to_detect(services, request)
