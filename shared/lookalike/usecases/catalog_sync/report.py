"""Options and report of a synchronization."""

from dataclasses import dataclass, field

from lookalike.domain.stored_product import LineOutcome, LineStatus, StoredPicture

MAX_LISTED_FAILURES = 1_000
"""Failed lines that a report lists. The catalog keeps the outcome of every line."""
MAX_DELETED_SHARE = 0.2
"""Share of the products of a feed that is deleted at most, unless forced."""


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """Options of a synchronization."""

    dry_run: bool = False
    """Whether to only count what would happen. Nothing is written, and only pictures at known addresses are fetched."""
    delete_missing: bool = False
    """Whether to delete the products that the feed does not contain any more. Otherwise they are marked as gone."""
    force: bool = False
    """Whether to delete them even if they are many, or if lines could not be read."""


@dataclass
class SyncReport:
    """Counts of one synchronization. Each line is new, changed, unchanged or failed.

    In a dry run, pictures at new addresses are not fetched and count as stored.
    """

    feed: str
    dry_run: bool = False
    is_complete: bool = True
    """False if the time limit was reached. The next synchronization goes on from there."""
    lines: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    failed: int = 0
    """Lines that cannot be used, or whose product has a picture that could not be fetched or stored."""
    gone: int = 0
    """Products that the previous synchronization found and this one did not."""
    deleted: int = 0
    """Products that were deleted, or would be in a dry run."""
    pictures_stored: int = 0
    """Pictures that are new for their product or have changed."""
    pictures_unchanged: int = 0
    pictures_failed: int = 0
    refused: str | None = None
    """Why no products were deleted although it was asked for."""
    failures: list[LineOutcome] = field(default_factory=list)
    """The first failed lines."""
    seconds: float = 0.0

    def count_line(self, outcome: LineOutcome, is_new: bool) -> None:
        """Count a line by its outcome."""
        self.lines += 1
        if outcome.status is LineStatus.FAILED:
            self.failed += 1
            if len(self.failures) < MAX_LISTED_FAILURES:
                self.failures.append(outcome)
        elif outcome.status is LineStatus.UNCHANGED:
            self.unchanged += 1
        elif is_new:
            self.new += 1
        else:
            self.changed += 1

    def count_pictures(self, pictures: tuple[StoredPicture, ...], previous: tuple[StoredPicture, ...]) -> None:
        """Count the pictures of a product, in comparison with those before."""
        known = {picture.sha256 for picture in previous if picture.photo}
        for picture in pictures:
            if picture.has_failed:
                self.pictures_failed += 1
            elif picture.sha256 in known:
                self.pictures_unchanged += 1
            else:
                self.pictures_stored += 1


def refusal(deleted: int, total: int, unidentified_lines: int, options: SyncOptions) -> str | None:
    """Return why `deleted` of the `total` products of a feed must not be deleted, or `None`.

    `unidentified_lines` are lines whose product is unknown: it may be one that seems to be missing.
    """
    if options.force or not deleted:
        return None
    if unidentified_lines:
        return (
            f"{unidentified_lines} lines of the feed have no readable id, so that missing products cannot be told from "
            "unreadable ones; correct the feed, or use --force"
        )
    if deleted > MAX_DELETED_SHARE * total:
        return (
            f"{deleted} of {total} products are missing in the feed, more than a fifth; check that the feed is "
            "complete, or use --force"
        )
    return None
