"""Handler of the synchronization with product feeds."""

from dataclasses import asdict

from lookalike.bootstrap import Services
from lookalike.http.catalog_schemas import CatalogSyncRequest
from lookalike.http.request import ApiRequest
from lookalike.http.request_schemas import HandlerResult
from lookalike.usecases.catalog_sync import FeedRequest, SyncOptions
from lookalike.usecases.catalog_sync.feeds import summary


def sync_catalog(services: Services, request: ApiRequest) -> HandlerResult:
    """Bring products and their pictures up to date with a product feed.

    A job with the kind `sync`: `/request_status` shows its progress, and it can be canceled. It stops before the time
    limit of requests, with `is_complete` false. The same request then goes on: products that are done are not fetched
    again. Lines that were stored before a cancellation stay.
    """
    body = request.parse_body(CatalogSyncRequest)
    options = SyncOptions(body.dry_run, body.delete_missing, body.force)
    feed = FeedRequest(body.feed, body.name, body.currency, options)
    report = services.feeds.sync_as_job(feed, request.caller, request.request_id)
    return {"success": True, "message": ". ".join(summary(report)), "data": asdict(report)}
