"""Synchronization of the catalog with a product feed: adds what is new, updates what has changed, marks what is gone.

It can be stopped at any point and run again. Photos are stored first, under a name that follows from their bytes; then
one transaction writes a product with its pictures and product details.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeVar

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Conflict, DeadlineExceeded, InvalidField, LookalikeError, NotFound
from lookalike.domain.ports import Catalog, Clock, Products
from lookalike.domain.product import FeedLine, InvalidFeedLine, Product
from lookalike.domain.product_edits import ProductEdit, apply_edits, with_values
from lookalike.domain.stored_product import (
    LineOutcome,
    LineStatus,
    StoredPicture,
    StoredProduct,
    stored_photo_address,
    text_fingerprint,
)
from lookalike.usecases.catalog_sync.pictures import ProductPictures
from lookalike.usecases.catalog_sync.report import SyncOptions, SyncReport, refusal
from lookalike.usecases.catalog_sync.shown import changed_details
from lookalike.usecases.leases import Leases
from lookalike.usecases.segments import Segments
from lookalike.usecases.thread_pool import map_unordered

log = logging.getLogger("lookalike.catalog_sync")
BATCH_SIZE = 500
"""Lines whose products are read with one query, and outcomes written in one transaction."""
MAX_ATTEMPTS = 3
"""Attempts to store a product that administrators change meanwhile."""
THREADS = 16
"""Products whose pictures are fetched at a time. The fetcher limits the requests to one host."""
UNUSED_PHOTO_AGE = timedelta(hours=1)
"""Age from which a product's photo that belongs to no product is deleted. Younger ones may be in the making."""
RESUME_WITHIN = timedelta(days=1)
"""Time after its start in which a synchronization that was interrupted goes on. Later, all pictures are checked again."""
IMAGE_COLUMN = "image_id"
"""Column of the original system's product details with the name of a stored photo or garment."""
Lines = Iterable[FeedLine | InvalidFeedLine]
T = TypeVar("T")
OnProgress = Callable[[SyncReport], object]


@dataclass(frozen=True, slots=True)
class _Task:
    """A line of a feed with its product as stored before, or with the problem that it has."""

    number: int
    product: Product
    """The product with its edited values."""
    previous: StoredProduct | None = None
    problem: LineOutcome | None = None
    edits: tuple[ProductEdit, ...] = ()


@dataclass(frozen=True, slots=True)
class CatalogSync:
    """Synchronizes the catalog with product feeds."""

    products: Products
    catalog: Catalog
    segments: Segments
    pictures: ProductPictures
    leases: Leases
    clock: Clock
    threads: int = THREADS

    def sync(
        self,
        feed: str,
        lines: Lines,
        options: SyncOptions,
        cancel: CancelToken | None = None,
        on_progress: OnProgress = lambda report: None,
    ) -> SyncReport:
        """Bring the products of a feed up to date, and return a report. `feed` is the name that they are stored under.

        Lines and pictures that cannot be used are counted and recorded; the next synchronization tries them again.
        At the deadline of `cancel`, stops and returns a report that is not complete. Raises `Conflict` if another
        process synchronizes the same feed, unless this is a dry run. Raises `Cancelled`, `Unavailable` and other errors
        that are not about a line, and all errors of `lines`. In all of these cases, the same call resumes.
        """
        cancel = cancel or CancelToken()
        run = _Run(self, feed, options, cancel, self.clock())
        start = time.monotonic()
        with nullcontext() if options.dry_run else self._lease(feed, cancel):
            for report in run.run(lines):
                on_progress(report)
        run.report.seconds = round(time.monotonic() - start, 2)
        log.info("Catalog synchronized", extra={"feed": feed, "lines": run.report.lines, "failed": run.report.failed})
        return run.report

    def _lease(self, feed: str, cancel: CancelToken) -> AbstractContextManager[None]:
        busy = f"The feed {feed!r} is being synchronized by another process: try again when it has finished"
        return self.leases.hold(f"feed {feed}", busy, cancel)


@dataclass
class _Run:
    """One synchronization."""

    use_case: CatalogSync
    feed: str
    options: SyncOptions
    cancel: CancelToken
    started: datetime
    report: SyncReport = field(init=False)
    seen: dict[str, int] = field(default_factory=dict)
    """Line of each product id in the feed."""
    unidentified_lines: int = 0
    outcomes: list[LineOutcome] = field(default_factory=list)
    """Outcomes to be written."""
    done: set[str] = field(default_factory=set)
    """Products that a synchronization has done that was interrupted. Their pictures are not fetched again."""
    old_photos: set[str] = field(default_factory=set)
    """Photos that a product does not have any more. Another one may."""

    def __post_init__(self) -> None:
        self.report = SyncReport(self.feed, self.options.dry_run)

    @property
    def products(self) -> Products:
        """The port of products."""
        return self.use_case.products

    def run(self, lines: Lines) -> Iterator[SyncReport]:
        """Synchronize. Yields the report so far after every line.

        Ends early at the deadline of the token. Raises `Cancelled` after a cancellation, and other errors.
        """
        try:
            yield from self._run_to_end(lines)
        except DeadlineExceeded:
            # an error of a photo that took too long is not the end of this work
            if not self.cancel.is_cancelled:
                raise
            self.report.is_complete = False
        finally:
            # what was done need not be repeated
            if self.outcomes:
                with suppress(LookalikeError):
                    self._write_outcomes()

    def _run_to_end(self, lines: Lines) -> Iterator[SyncReport]:
        before = dict(self.products.product_ids_of_feed(self.feed))
        self._begin()
        # Only this thread writes products, so that two of them cannot disagree about a garment that shows both.
        for task, pictures in map_unordered(self._update, self._tasks(lines), self.use_case.threads):
            self._finish(task, pictures)
            yield self.report
        self._write_outcomes()
        self._remove_missing(before)
        if not self.options.dry_run:
            self.products.delete_lines(self.feed, self.started)
            self._delete_old_photos()
            self.products.end_sync(self.feed)

    def _begin(self) -> None:
        """Find out what a synchronization that was interrupted has done."""
        if self.options.dry_run:
            return
        first = self.products.begin_sync(self.feed, self.started, self.started - RESUME_WITHIN)
        if first < self.started:
            self.done = self.products.products_done_since(self.feed, first)

    def _tasks(self, lines: Lines) -> Iterator[_Task]:
        for batch in _batches(lines):
            self.cancel.check()
            stored = self.products.products([one.product.id for one in batch if isinstance(one, FeedLine)])
            yield from (self._task(one, stored) for one in batch)

    def _task(self, line: FeedLine | InvalidFeedLine, stored: dict[str, StoredProduct]) -> _Task:
        if isinstance(line, InvalidFeedLine):
            if line.product_id is None:
                self.unidentified_lines += 1
            else:
                # its product is not missing in the feed
                self.seen.setdefault(line.product_id, line.number)
            return _failed(line.number, Product(line.product_id or ""), line.problem)
        product, previous = with_stored_photo(line.product), stored.get(line.product.id)
        if (first := self.seen.setdefault(product.id, line.number)) != line.number:
            return _failed(line.number, product, f"id: line {first} has the same")
        if previous and previous.feed != self.feed:
            problem = f"id: belongs to the feed {previous.feed!r}; use --name {previous.feed} if this is the same feed"
            return _failed(line.number, product, problem)
        return _task_of_product(line.number, product, previous)

    def _update(self, task: _Task) -> tuple[StoredPicture, ...]:
        """Return the up-to-date pictures of a product. Runs on several threads."""
        if task.problem:
            return ()
        known = task.previous.pictures if task.previous else ()
        if self.options.dry_run:
            return self.use_case.pictures.check(task.product, task.previous, self.cancel)
        if task.previous and self._is_done(task, task.previous):
            return known
        return self.use_case.pictures.update(task.product, task.previous, _is_text_new(task), self.cancel)

    def _is_done(self, task: _Task, previous: StoredProduct) -> bool:
        """Return whether the synchronization that was interrupted has done the line already."""
        stored = tuple(picture.address for picture in previous.pictures if picture.garment)
        has_same_pictures = task.product.pictures == stored
        return previous.product.id in self.done and has_same_pictures and not _is_text_new(task)

    def _finish(self, task: _Task, pictures: tuple[StoredPicture, ...]) -> None:
        """Store the product, and count and record the outcome of its line."""
        outcome = task.problem
        if outcome is None:
            task, pictures, outcome = self._save_unless_edited(task, pictures)
            self.report.count_pictures(pictures, task.previous.pictures if task.previous else ())
        self.report.count_line(outcome, is_new=task.previous is None)
        self.outcomes.append(outcome)
        if len(self.outcomes) >= BATCH_SIZE:
            self._write_outcomes()

    def _save_unless_edited(
        self, task: _Task, pictures: tuple[StoredPicture, ...]
    ) -> tuple[_Task, tuple[StoredPicture, ...], LineOutcome]:
        """Store the product, from the beginning if an administrator has changed it since it was read."""
        for _ in range(MAX_ATTEMPTS - 1):
            try:
                return task, pictures, self._save(task, pictures)
            except Conflict:
                task = self._read_again(task)
                pictures = self._update(task)
        return task, pictures, self._save(task, pictures)

    def _read_again(self, task: _Task) -> _Task:
        name = task.product.id
        of_feed = with_values(task.product, {edit.field: edit.feed_value for edit in task.edits})
        return _task_of_product(task.number, of_feed, self.products.products([name]).get(name))

    def _save(self, task: _Task, pictures: tuple[StoredPicture, ...]) -> LineOutcome:
        """Store the product if anything differs from before. Returns the outcome of its line. Raises `Conflict`."""
        previous = task.previous
        stored = StoredProduct(task.product, self.feed, pictures, edits=task.edits)
        try:
            if previous is None or not _are_equal(stored, previous):
                self._write(stored, previous)
        except InvalidField as error:
            return LineOutcome(task.number, LineStatus.FAILED, task.product.id, error.message)
        failed = [f"{one.address}: {one.reason}" for one in stored.pictures if one.has_failed]
        if failed:
            return LineOutcome(task.number, LineStatus.FAILED, task.product.id, "; ".join(failed))
        is_same = previous and not _is_text_new(task) and _contents(stored) == _contents(previous)
        return LineOutcome(task.number, LineStatus.UNCHANGED if is_same else LineStatus.STORED, task.product.id)

    def _write(self, stored: StoredProduct, previous: StoredProduct | None) -> None:
        if self.options.dry_run:
            return
        garments = stored.garments | (previous.garments if previous else frozenset())
        details = changed_details(self.products, garments, stored.product.id, stored)
        self.products.save_product(stored, *details, previous=previous)
        if previous:
            self.old_photos |= previous.own_photos - stored.photos

    def _write_outcomes(self) -> None:
        if not self.options.dry_run:
            self.products.record_lines(self.feed, self.outcomes, self.started)
        self.outcomes = []

    def _remove_missing(self, before: dict[str, bool]) -> None:
        """Mark the products that are not in the feed as gone, or delete them. `before` tells which were marked before."""
        missing = [product_id for product_id in before if product_id not in self.seen]
        new = [product_id for product_id in missing if not before[product_id]]
        self.report.gone = len(new)
        if self.options.delete_missing:
            self.report.refused = refusal(len(missing), len(before), self.unidentified_lines, self.options)
            if self.report.refused is None:
                self._delete(missing)
                return
        if not self.options.dry_run:
            self.products.mark_products_gone(new, self.started)

    def _delete(self, product_ids: Sequence[str]) -> None:
        if self.options.dry_run:
            self.report.deleted = len(product_ids)
            return
        for batch in _batches(product_ids):
            self.cancel.check()
            for product_id, stored in self.products.products(batch).items():
                details = changed_details(self.products, stored.garments, product_id, None)
                self.products.delete_product(product_id, *details)
                self.old_photos |= stored.own_photos
                self.report.deleted += 1

    def _delete_old_photos(self) -> None:
        """Delete photos without a product, also photos that an interrupted synchronization left."""
        # only now: a product further down in the feed could have got one of them
        left = self.products.unused_product_photos(self.started - UNUSED_PHOTO_AGE)
        unused = self.old_photos - self.products.photos_in_use(sorted(self.old_photos)) | set(left)
        for photo in sorted(unused):
            self.cancel.check()
            for segment in self.use_case.catalog.segments_of_photo(photo):
                with suppress(NotFound):
                    self.use_case.segments.delete_segment(segment.name)


def with_stored_photo(product: Product) -> Product:
    """Return the product with the photo that its column `image_id` names, if it has no pictures of its own."""
    name = product.extra.get(IMAGE_COLUMN)
    return replace(product, pictures=(stored_photo_address(name),)) if name and not product.pictures else product


def _task_of_product(number: int, product: Product, previous: StoredProduct | None) -> _Task:
    """Return the task of a product of the feed. Edited values are kept over the feed's."""
    edited, edits = apply_edits(product, previous.edits if previous else ())
    return _Task(number, edited, previous, edits=edits)


def _failed(number: int, product: Product, problem: str) -> _Task:
    return _Task(number, product, None, LineOutcome(number, LineStatus.FAILED, product.id or None, problem))


def _is_text_new(task: _Task) -> bool:
    previous = task.previous
    return previous is None or previous.gone is not None or previous.fingerprint != text_fingerprint(task.product)


def _are_equal(stored: StoredProduct, previous: StoredProduct) -> bool:
    """Return whether nothing has to be written. Prices of equal amounts are equal, however many decimals they have."""
    return stored.fingerprint == previous.fingerprint and replace(stored, product=previous.product) == previous


def _contents(stored: StoredProduct) -> list[tuple[str, str | None]]:
    return [(picture.address, picture.sha256) for picture in stored.pictures]


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(items)
    while batch := list(islice(remaining, BATCH_SIZE)):
        yield batch
