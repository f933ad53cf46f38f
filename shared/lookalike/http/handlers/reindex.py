"""Handler of the scheduled index build and clean-up."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from lookalike.bootstrap import Services
from lookalike.domain.personal_data import MAX_TOKEN_LIFETIME
from lookalike.http.request import ApiRequest
from lookalike.http.request_schemas import HandlerResult, ReindexRequest
from lookalike.usecases.sweep import sweep

ORPHAN_RETENTION = timedelta(days=1)
"""Age above which objects without a row are deleted. Newer ones may belong to an upload that still runs."""
JOB_RETENTION = timedelta(days=7)
ATTEMPT_RETENTION = timedelta(days=1)
"""Longer than the window in which sign-in attempts are counted."""


def reindex(services: Services, request: ApiRequest) -> HandlerResult:
    """Build and publish an index version if one is due, and clean up.

    With `force`, or if an administrator requested a rebuild, a version is built even if none is due. The clean-up deletes
    objects without a row after one day, finished requests after seven days, and counts of failed sign-ins after one day.
    """
    force = request.parse_body(ReindexRequest).force
    build = services.reindex.build if force else services.reindex.build_if_due
    manifest = services.rebuild.run_pending() or build()
    swept = sweep(services.store, services.catalog, older_than=ORPHAN_RETENTION.total_seconds())
    now = datetime.now(UTC)
    services.catalog.delete_finished_jobs(None, now - JOB_RETENTION)
    services.attempts.delete_expired_attempts(now - ATTEMPT_RETENTION)
    services.revocations.delete_expired_revocations(now - MAX_TOKEN_LIFETIME)
    built = f"Published index version {manifest.version}" if manifest else "No index version is due"
    message = f"{built}; deleted {swept} objects without a row"
    return {"success": True, "message": message, "data": asdict(manifest) if manifest else None}, 202
