"""Handlers that show the ingestion ledger and retry failures."""

import shlex
from typing import Any

from lookalike.bootstrap import Services
from lookalike.domain.ledger import LedgerSelection
from lookalike.domain.model import LedgerEntry, LedgerStatus
from lookalike.http.ingestion_schemas import IngestionRates, IngestionRetryRequest, IngestionsRequest
from lookalike.http.request import ApiRequest
from lookalike.http.request_schemas import HandlerResult
from lookalike.usecases.ingestions import RATE_MINUTES, RetryResult

FOLDER_PREFIX = "file:"
"""Start of `bucket` in entries about files in a folder."""


def list_ingestions(services: Services, request: ApiRequest) -> HandlerResult:
    """List ingested objects with state, error and rate, newest first.

    `counts` and `photos_per_minute` are about all ingestions of the bucket and prefix, whatever their state. To get the
    next page, send the `cursor` of the response as `cursor`. It is null on the last page.
    """
    body = request.parse_body(IngestionsRequest)
    status = None if body.state == "all" else LedgerStatus(body.state)
    report = services.ingestions.report(LedgerSelection(status, body.bucket, body.prefix), body.limit, body.cursor)
    counts = {str(status): count for status, count in report.counts.items()}
    rates = [round(report.photos_per_minute[minutes], 2) for minutes in RATE_MINUTES]
    return {
        "success": True,
        "message": f"{counts['done']} ingestions done, {counts['failed']} failed",
        "data": [_ingestion_response(entry) for entry in report.page.entries],
        "counts": counts,
        "photos_per_minute": dict(zip(IngestionRates.model_fields, rates, strict=True)),
        "cursor": report.page.cursor,
    }


def retry_ingestions(services: Services, request: ApiRequest) -> HandlerResult:
    """Retry failed ingestions, newest failures first.

    Reads the current version of each object from the server's own bucket and stores its photo. A version that was
    overwritten and an object that was deleted are not failures any more. Stops before the time limit of the request:
    repeat it with the `cursor` of the response until that is null.
    """
    body = request.parse_body(IngestionRetryRequest)
    bucket = body.bucket if body.names is None or body.bucket else services.settings.bucket
    selection = LedgerSelection(LedgerStatus.FAILED, bucket, body.prefix, body.names)
    result = services.ingestions.retry(selection, body.limit, body.cursor)
    data = {
        "retried": result.retried,
        "stored": result.stored,
        "failed": len(result.failed),
        "superseded": result.superseded,
        "deleted": result.deleted,
        "remaining": result.remaining,
        "failures": [{"name": entry.name, "reason": entry.reason} for entry in result.failed],
        "elsewhere": [
            {"bucket": bucket, "failed": count, "command": retry_command(bucket)}
            for bucket, count in result.elsewhere.items()
        ],
    }
    return {"success": True, "message": _retry_message(result), "data": data, "cursor": result.cursor}


def retry_command(bucket: str) -> str:
    """Return the command that retries the failures of a bucket or of a folder."""
    source = bucket.removeprefix(FOLDER_PREFIX) if bucket.startswith(FOLDER_PREFIX) else f"gs://{bucket}/PREFIX"
    return f"lookalike ingest {shlex.quote(source)} --retry-failed"


def _retry_message(result: RetryResult) -> str:
    counts = (
        f"Retried {result.retried} failures: {result.stored} stored, {len(result.failed)} failed again, "
        f"{result.superseded} superseded, {result.deleted} deleted"
    )
    rest = f". {result.remaining} remain: repeat the request with this cursor" if result.remaining else ""
    if not result.elsewhere:
        return counts + rest
    return (
        f"{counts}{rest}. {sum(result.elsewhere.values())} failures are in folders or other buckets, which this server "
        "does not read: run `lookalike ingest FOLDER --retry-failed` where they can be read"
    )


def _ingestion_response(entry: LedgerEntry) -> dict[str, Any]:
    assert entry.recorded is not None
    return {
        "bucket": entry.bucket,
        "name": entry.name,
        "generation": entry.generation,
        "state": str(entry.status),
        "photo": entry.photo,
        "reason": entry.reason,
        "recorded_at": entry.recorded.isoformat(),
    }
