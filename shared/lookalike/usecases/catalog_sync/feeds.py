"""Synchronizes the catalog with a feed at an address, as a command or as a job of a server, and tells the webhook."""

import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import InvalidField
from lookalike.domain.model import Caller
from lookalike.usecases.catalog_sync.report import SyncOptions, SyncReport
from lookalike.usecases.catalog_sync.sync import CatalogSync, Lines, OnProgress
from lookalike.usecases.jobs import Jobs
from lookalike.usecases.notify import Notify

EVENT_TYPE = "catalog.synced"
JOB_KIND = "sync"
WEB_SCHEMES = ("https://", "http://")
REMOTE_SCHEMES = (*WEB_SCHEMES, "gs://")
MAX_NAME = 200
STOP_SECONDS = 5.0
"""Time before the limit of a job at which a synchronization stops, so that photos in the making can be stored."""
PROGRESS_SECONDS = 2.0
"""Interval at which a job shows its progress."""


@dataclass(frozen=True, slots=True)
class FeedRequest:
    """A feed to synchronize with."""

    source: str
    """A file, `gs://bucket/object` or an address on the web."""
    name: str | None = None
    """Name under which the products are kept, by default that of `feed_name`."""
    currency: str | None = None
    """ISO 4217 code of prices without one."""
    options: SyncOptions = field(default_factory=SyncOptions)


OpenLines = Callable[[FeedRequest, CancelToken], AbstractContextManager[Lines]]
"""Opens a feed. Raises `NotFound`, `InvalidField`, `BadRequest`, and the same as `PictureFetcher.fetch`."""


@dataclass(frozen=True, slots=True)
class FeedSync:
    """Synchronizes with feeds. `close_connections` is called at the end of each synchronization."""

    open_lines: OpenLines
    sync_lines: CatalogSync
    notify: Notify
    jobs: Jobs
    close_connections: Callable[[], object] = lambda: None

    def sync(
        self,
        request: FeedRequest,
        cancel: CancelToken | None = None,
        on_progress: OnProgress = lambda report: None,
    ) -> SyncReport:
        """Synchronize, and send an event unless it is a dry run or is not complete.

        Raises the same as `feed_name`, `OpenLines` and `CatalogSync.sync`.
        """
        cancel = cancel or CancelToken()
        name = request.name or feed_name(request.source)
        try:
            with self.open_lines(request, cancel) as lines:
                report = self.sync_lines.sync(name, lines, request.options, cancel, on_progress)
        finally:
            self.close_connections()
        if report.is_complete and not request.options.dry_run:
            self._notify(request.source, report)
        return report

    def sync_as_job(self, request: FeedRequest, caller: Caller, job_id: str) -> SyncReport:
        """Synchronize with a feed that is not a file, within the time limit of jobs.

        The report is not complete if the time is not enough; the next synchronization goes on. Raises the same as `sync`
        and `Jobs.run_job`.
        """
        if not request.source.startswith(REMOTE_SCHEMES):
            raise InvalidField("feed: must begin with https://, http:// or gs://", field="feed")
        with self.jobs.run_job(JOB_KIND, caller, job_id) as job:
            limit = job.cancel_token.deadline
            cancel = CancelToken(None if limit is None else limit - STOP_SECONDS)
            shown = 0.0

            def show_progress(report: SyncReport) -> None:
                nonlocal shown
                if time.monotonic() - shown >= PROGRESS_SECONDS:
                    shown = time.monotonic()
                    job.progress = f"{report.lines} lines, {report.failed} failed"

            with job.cancel_token.on_cancel(cancel.cancel):
                return self.sync(request, cancel, show_progress)

    def _notify(self, source: str, report: SyncReport) -> None:
        failed = {f"line {one.number}": one.reason or "" for one in report.failures}
        # the address of a feed may contain a password or a signature
        data = {"source": source.partition("?")[0], **report_counts(report), "failed_lines": report.failed}
        self.notify.done(EVENT_TYPE, data, failed, CancelToken())


def report_counts(report: SyncReport) -> dict[str, Any]:
    """Return the report without the list of failures."""
    return {name: value for name, value in asdict(report).items() if name != "failures"}


def feed_name(source: str) -> str:
    """Return the name under which the products of a feed are kept: that of the file without its suffix.

    For an address on the web, the host comes before it: many shops name their feed `feed.xml`. Raises `InvalidField` if
    its host is invalid.
    """
    if source.startswith(WEB_SCHEMES):
        try:
            parts = urlsplit(source)
        except ValueError as error:
            raise InvalidField("feed: the address has an invalid host", field="feed") from error
        host = parts.netloc.rpartition("@")[2]
        name = f"{host}/{PurePosixPath(unquote(parts.path)).stem}".rstrip("/")
    else:
        name = PurePosixPath(source).stem
    return re.sub(r"[\s\x00-\x1f\x7f\ud800-\udfff]+", " ", name).strip()[:MAX_NAME].strip() or "feed"


def summary(report: SyncReport) -> list[str]:
    """Return what a synchronization did, in lines for people."""
    verb = "would be " if report.dry_run else ""
    lines = [
        f"Feed {report.feed}: {report.lines} lines. Products: {report.new} new, {report.changed} changed, "
        f"{report.unchanged} unchanged, {report.failed} failed, {report.gone} gone, {report.deleted} {verb}deleted",
        f"Pictures: {report.pictures_stored} {verb}stored, {report.pictures_unchanged} unchanged, "
        f"{report.pictures_failed} failed, in {report.seconds:.1f} s",
    ]
    if report.refused:
        lines.append(f"Nothing deleted: {report.refused}")
    if not report.is_complete:
        lines.append("Stopped at the time limit: repeat it, and it goes on from there")
    return lines
