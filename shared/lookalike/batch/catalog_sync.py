"""Synchronizes the catalog with a product feed, and tells the webhook."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from lookalike.batch.feed_sources import open_feed
from lookalike.bootstrap import Services
from lookalike.domain.cancel import CancelToken
from lookalike.usecases.catalog_sync import SyncOptions, SyncReport

EVENT_TYPE = "catalog.synced"


def sync_feed(
    services: Services,
    source: str,
    name: str,
    options: SyncOptions,
    currency: str | None,
    on_progress: Callable[[SyncReport], object] = lambda report: None,
) -> SyncReport:
    """Synchronize the catalog with the feed at `source`, and send an event unless it is a dry run.

    `currency` is the ISO 4217 code of prices without one. Raises the same as `parse_feed`, `open_feed` and
    `CatalogSync.sync`.
    """
    from lookalike.adapters.product_feeds import parse_feed

    try:
        with open_feed(services, source) as stream:
            lines = parse_feed(stream, source, currency=currency)
            report = services.catalog_sync.sync(name, lines, options, on_progress=on_progress)
    finally:
        services.close_picture_connections()
    if not options.dry_run:
        notify_done(services, source, report)
    return report


def notify_done(services: Services, source: str, report: SyncReport) -> None:
    """Tell the webhook that a synchronization is done."""
    failed = {f"line {one.number}": one.reason or "" for one in report.failures}
    # the address of a feed may contain a password or a signature
    data = {"source": source.partition("?")[0], **report_counts(report), "failed_lines": report.failed}
    services.notify.done(EVENT_TYPE, data, failed, CancelToken())


def report_counts(report: SyncReport) -> dict[str, Any]:
    """Return the report without the list of failures."""
    return {name: value for name, value in asdict(report).items() if name != "failures"}
