"""Synchronizations of feeds, and the outcomes of the lines of each feed."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, select

from lookalike.adapters.catalog.database import Database, read_transaction, write_transaction
from lookalike.adapters.catalog.tables import feed_lines, feed_syncs
from lookalike.adapters.catalog.upsert import upsert
from lookalike.adapters.catalog.values import (
    MAX_TEXT_LENGTH,
    batches,
    name_in,
    to_aware_utc,
    to_naive_utc,
    validated,
)
from lookalike.domain.stored_product import LineOutcome, LineStatus

_lines = feed_lines.c


class FeedLineQueries(Database):
    """Queries of the port `Products` about synchronizations."""

    @write_transaction
    def begin_sync(self, tx: Connection, feed: str, moment: datetime, oldest: datetime) -> datetime:
        """Record that a synchronization begins, unless one was interrupted. Returns the start of either."""
        started = tx.execute(select(feed_syncs.c.start_time).where(name_in(feed_syncs.c.feed, feed))).scalar()
        if started is not None and to_aware_utc(started) >= oldest:
            return to_aware_utc(started)
        upsert(tx, feed_syncs, [validated(feed_syncs, feed=feed, start_time=to_naive_utc(moment))])
        return moment

    @write_transaction
    def end_sync(self, tx: Connection, feed: str) -> None:
        """Record that a synchronization is complete."""
        tx.execute(delete(feed_syncs).where(name_in(feed_syncs.c.feed, feed)))

    @read_transaction
    def products_done_since(self, tx: Connection, feed: str, moment: datetime) -> set[str]:
        """Return the ids of products whose line was recorded since that time and did not fail."""
        is_recent = name_in(_lines.feed, feed), _lines.update_time >= to_naive_utc(moment)
        is_done = _lines.status != LineStatus.FAILED.value
        found = tx.execute(select(_lines.product).where(*is_recent, is_done)).scalars()
        return {product for product in found if product is not None}

    @write_transaction
    def record_lines(self, tx: Connection, feed: str, outcomes: Sequence[LineOutcome], moment: datetime) -> None:
        """Insert or replace outcomes of lines. Raises `InvalidField`."""
        for batch in batches([line_row(feed, outcome, moment) for outcome in outcomes]):
            upsert(tx, feed_lines, batch)

    @write_transaction
    def delete_lines(self, tx: Connection, feed: str, before: datetime) -> int:
        """Delete outcomes recorded before that time. Returns their number."""
        is_old = name_in(_lines.feed, feed), _lines.update_time < to_naive_utc(before)
        return tx.execute(delete(feed_lines).where(*is_old)).rowcount

    def lines(self, feed: str) -> Iterator[LineOutcome]:
        """Yield the outcomes of the lines of a feed, ordered by number."""
        return iter(self._read_lines(feed))

    @read_transaction
    def _read_lines(self, tx: Connection, feed: str) -> list[LineOutcome]:
        query = select(feed_lines).where(name_in(_lines.feed, feed)).order_by(_lines.number)
        return [
            LineOutcome(row["number"], LineStatus(row["status"]), row["product"], row["reason"])
            for row in tx.execute(query).mappings()
        ]


def line_row(feed: str, outcome: LineOutcome, moment: datetime) -> dict[str, object]:
    """Return the column values of an outcome. Raises `InvalidField`."""
    return validated(
        feed_lines,
        feed=feed,
        number=outcome.number,
        product=outcome.product_id,
        status=outcome.status.value,
        reason=outcome.reason and outcome.reason[:MAX_TEXT_LENGTH],
        update_time=to_naive_utc(moment),
    )
