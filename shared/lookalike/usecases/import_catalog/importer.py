"""Imports a whole catalog into an empty or a filled one.

It can be stopped at any point and run again: entries that are stored already count as unchanged. Entries of the same name
with other content are conflicts, which stay as they are.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Protocol, TypeVar

from lookalike.domain.cancel import CancelToken
from lookalike.domain.duplicates import Decision
from lookalike.domain.errors import Conflict, InvalidField
from lookalike.domain.model import ProductDetails
from lookalike.domain.ports import ObjectStore, Products
from lookalike.domain.ports.duplicates import DuplicateDecisions
from lookalike.domain.stored_product import StoredPicture, StoredProduct
from lookalike.domain.transfer import ImportSource, TransferDecision
from lookalike.usecases.import_catalog.photos import ImportingCatalog, PhotoImport
from lookalike.usecases.import_catalog.report import ImportReport, Outcome
from lookalike.usecases.leases import Leases
from lookalike.usecases.name_claims import NameClaims

BATCH_SIZE = 500
"""Entries that are compared with one query."""
BUSY = "Another import into this system is running: try again when it has finished"
T = TypeVar("T")


class ImportPorts(ImportingCatalog, Products, DuplicateDecisions, Protocol):
    """All ports of the catalog that an import needs."""


@dataclass(frozen=True, slots=True)
class ImportCatalog:
    """Imports catalogs into this system. `embedder` and `dim` are those of its searches."""

    catalog: ImportPorts
    store: ObjectStore
    claims: NameClaims
    leases: Leases
    embedder: str
    dim: int
    on_change: Callable[[], object] = lambda: None
    """Called after something was stored."""

    def run(
        self,
        source: ImportSource,
        dimensions: Mapping[str, int],
        on_progress: Callable[[ImportReport], object] = lambda report: None,
        cancel: CancelToken | None = None,
    ) -> ImportReport:
        """Import everything that is not stored yet, and return a report. `dimensions` are those of the vectors.

        Raises `Conflict` if vectors of the embedder have another dimension here, or if another import is running. Raises
        `Unavailable`, and all errors of the source; the same call then resumes.
        """
        if dimensions.get(self.embedder, self.dim) != self.dim:
            raise Conflict(
                f"The vectors of {self.embedder} in the export have {dimensions[self.embedder]} numbers, and {self.dim} "
                "here: these are different models of the same name"
            )
        cancel = cancel or CancelToken()
        run = _Run(self, ImportReport(), cancel, on_progress)
        with self.leases.hold("import", BUSY, cancel):
            run.run(source)
        return run.report


@dataclass
class _Run:
    """One import."""

    use_case: ImportCatalog
    report: ImportReport
    cancel: CancelToken
    on_progress: Callable[[ImportReport], object]
    skipped: set[str] = field(default_factory=set)
    """Photos that were not imported, and their garments. Details, pictures and decisions of them are not imported."""

    @property
    def catalog(self) -> ImportPorts:
        """The catalog."""
        return self.use_case.catalog

    def run(self, source: ImportSource) -> None:
        """Import photos first: product details, products and decisions refer to them."""
        use_case = self.use_case
        photos = PhotoImport(use_case.catalog, use_case.store, use_case.claims, self.report, self.skipped)
        try:
            photos.run(source.photos(), self.cancel, lambda: self.on_progress(self.report))
        finally:
            use_case.on_change()
        self._each_batch(source.details(), self._import_details)
        self._each_batch(source.products(), self._import_products)
        self._each_batch(source.decisions(), self._import_decisions)

    def _each_batch(self, entries: Iterable[T], store: Callable[[list[T]], object]) -> None:
        for batch in _batches(entries):
            self.cancel.check()
            store(batch)
            self.on_progress(self.report)

    def _import_details(self, batch: list[ProductDetails]) -> None:
        stored = self.catalog.details([one.image_id for one in batch])
        new = []
        for one in batch:
            if one.image_id in self.skipped:
                self.report.add("details", one.image_id, Outcome.CONFLICT, "its photo was not imported")
            elif one.image_id in stored:
                self._compare("details", one.image_id, one == stored[one.image_id])
            else:
                new.append(one)
        self._put_details(new)

    def _put_details(self, details: Sequence[ProductDetails]) -> None:
        """Store product details in one transaction, or one by one if some of them do not fit."""
        try:
            self.catalog.put_details(details)
        except InvalidField as error:
            if len(details) == 1:
                self.report.add("details", details[0].image_id, Outcome.FAILED, error.message)
                return
            for one in details:
                self._put_details([one])
            return
        for one in details:
            self.report.add("details", one.image_id, Outcome.STORED)

    def _import_products(self, batch: list[StoredProduct]) -> None:
        stored = self.catalog.products([one.product.id for one in batch])
        for one in batch:
            name = one.product.id
            previous = stored.get(name)
            wanted = replace(one, pictures=tuple(map(self._without_skipped, one.pictures)))
            if previous is None or _lacks_photos(previous, wanted):
                self._save_product(wanted, previous)
            else:
                self._compare("products", name, wanted == previous)

    def _save_product(self, product: StoredProduct, previous: StoredProduct | None) -> None:
        try:
            self.catalog.save_product(product, previous=previous)
        except Conflict as error:
            self.report.add("products", product.product.id, Outcome.CONFLICT, error.message)
        except InvalidField as error:
            self.report.add("products", product.product.id, Outcome.FAILED, error.message)
        else:
            self.report.add("products", product.product.id, Outcome.STORED)

    def _without_skipped(self, picture: StoredPicture) -> StoredPicture:
        """Return a picture as one that was never fetched if its photo was not imported."""
        return StoredPicture(picture.address) if picture.photo in self.skipped else picture

    def _import_decisions(self, batch: list[TransferDecision]) -> None:
        for one in batch:
            outcome, reason = self._import_decision(one)
            self.report.add("decisions", f"{one.first} {one.second}", outcome, reason)

    def _import_decision(self, one: TransferDecision) -> tuple[Outcome, str]:
        segments = [self.catalog.segment(name) for name in (one.first, one.second) if name not in self.skipped]
        row_ids = sorted(segment.row_id for segment in segments if segment)
        if len(row_ids) < 2:
            return Outcome.CONFLICT, "one of the garments was not imported"
        stored: Decision | None = self.catalog.duplicate_decisions(row_ids).get((row_ids[0], row_ids[1]))
        if stored is None:
            self.catalog.decide_duplicate(row_ids[0], row_ids[1], one.decision)
            return Outcome.STORED, ""
        is_equal = stored is one.decision
        return (Outcome.UNCHANGED, "") if is_equal else (Outcome.CONFLICT, f"the decision here is {stored.value}")

    def _compare(self, kind: str, name: str, is_equal: bool) -> None:
        if is_equal:
            self.report.add(kind, name, Outcome.UNCHANGED)
        else:
            self.report.add(kind, name, Outcome.CONFLICT, "another entry of this name is stored")


def _lacks_photos(stored: StoredProduct, wanted: StoredProduct) -> bool:
    """Return whether a product only differs by photos that an earlier import could not store."""
    if stored == wanted or len(stored.pictures) != len(wanted.pictures):
        return False
    pairs = zip(stored.pictures, wanted.pictures, strict=True)
    return replace(stored, pictures=tuple(new if old.photo is None else old for old, new in pairs)) == wanted


def _batches(entries: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(entries)
    while batch := list(islice(remaining, BATCH_SIZE)):
        yield batch
