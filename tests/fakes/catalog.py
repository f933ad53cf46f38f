"""Catalog in memory. It passes the contract tests of the real ones, and reuses their validation of values."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from lookalike.adapters.catalog.segments import update_values
from lookalike.adapters.catalog.tables import searches
from lookalike.adapters.catalog.values import details_row, photo_row, segment_row, validated
from lookalike.domain.errors import Conflict, NotFound
from lookalike.domain.filter import Filter, matches_filter
from lookalike.domain.history import Choice, PastSearch
from lookalike.domain.model import (
    Box,
    Changes,
    LedgerEntry,
    NewSegment,
    Photo,
    ProductDetails,
    Segment,
)
from lookalike.domain.personal_data import OwnedPhoto
from lookalike.domain.stored_product import feed_values
from tests.fakes.database import transaction
from tests.fakes.originals import FakeOriginals
from tests.fakes.snapshot import FakeSnapshot

NO_VECTORS = np.empty((0, 0), np.float32)


@dataclass
class Row:
    """A segment with one of its vectors, and the commit that wrote the vector."""

    segment: Segment
    vector: NDArray[np.float32]
    embedder: str
    commit: int


class FakeCatalog(FakeOriginals):
    """Set `is_unavailable` to make every method raise `Unavailable`."""

    def __init__(self) -> None:
        super().__init__()
        self._ids = itertools.count(1)
        self._commit = 0
        self._rows: dict[int, Row] = {}
        self._deleted: dict[int, tuple[set[str], int]] = {}
        self._secondary: dict[str, dict[int, Row]] = {}
        self._searches: dict[tuple[str, str], PastSearch] = {}

    @transaction
    def add_photo(
        self,
        photo: Photo,
        segments: Sequence[NewSegment],
        embedder: str,
        job: str | None = None,
        entry: LedgerEntry | None = None,
    ) -> list[Segment]:
        photo_row(photo)
        if photo.name in self._photos:
            raise Conflict("A photo with this name exists already")
        stored = self._store(photo, segments, embedder, job)
        if entry:
            self._record(entry)
        return stored

    @transaction
    def add_segment(self, photo: Photo, segment: NewSegment, embedder: str, job: str | None = None) -> Segment:
        photo_row(photo)
        return self._store(self._photos.get(photo.name, photo), [segment], embedder, job)[0]

    @transaction
    def photo(self, name: str) -> Photo | None:
        return self._photos.get(name)

    @transaction
    def segment(self, key: str | int) -> Segment | None:
        return next((segment for segment in self._segments() if key in (segment.name, segment.row_id)), None)

    @transaction
    def segments(self, row_ids: Sequence[int]) -> dict[int, Segment]:
        return {int(row_id): self._rows[row_id].segment for row_id in row_ids if row_id in self._rows}

    @transaction
    def segment_names(self, row_ids: Sequence[int]) -> dict[int, str]:
        return {int(row_id): self._rows[row_id].segment.name for row_id in row_ids if row_id in self._rows}

    @transaction
    def segments_of_photo(self, photo: str) -> list[Segment]:
        return [segment for segment in self._segments() if segment.photo == photo]

    @transaction
    def update_segment(self, name: str, changes: Mapping[str, object]) -> Segment | None:
        update_values(changes)
        old = self.segment(name)
        if old is not None:
            renamed = {"box" if key == "bounding_box" else key: value for key, value in changes.items()}
            new: Segment = replace(old, **renamed)  # type: ignore[arg-type]
            self._rows[old.row_id].segment = replace(new, box=_rounded(new.box))
        return self.segment(name)

    @transaction
    def replace_segment(
        self, row_id: int, segment: NewSegment, embedder: str, job: str | None = None
    ) -> Segment | None:
        if row_id not in self._rows:
            return None
        segment_row(segment, "", embedder)
        old = self._rows[row_id]
        if job is not None:
            self._complete(job)
        self._commit += 1
        others = {name for name, rows in self._secondary.items() if rows.pop(row_id, None)} | {old.embedder} - {
            embedder
        }
        if others:
            self._deleted[row_id] = (others | self._deleted.get(row_id, (set(), 0))[0], self._commit)
        self.forget_decisions(row_id)
        new = self._new_segment(row_id, segment, old.segment.photo, old.segment.created)
        self._rows[row_id] = Row(replace(new, name=old.segment.name), segment.vector, embedder, self._commit)
        return self._rows[row_id].segment

    @transaction
    def delete_segment(self, name: str) -> Segment | None:
        segment = self.segment(name)
        if segment is not None:
            self._commit += 1
            embedders = {name for name, rows in self._secondary.items() if rows.pop(segment.row_id, None)}
            embedders.add(self._rows.pop(segment.row_id).embedder)
            embedders |= self._deleted.get(segment.row_id, (set(), 0))[0]
            self._deleted[segment.row_id] = (embedders, self._commit)
            self.forget_decisions(segment.row_id)
            if not self.segments_of_photo(segment.photo):
                self._photos.pop(segment.photo, None)
        return segment

    @transaction
    def referenced_paths(self, paths: Sequence[str]) -> set[str]:
        referenced = {path for segment in self._segments() for path in (segment.path, segment.thumbnail)}
        return set(paths) & (referenced | {photo.path for photo in self._photos.values()})

    @transaction
    def changes(self, embedder: str, since: int) -> Changes:
        rows = {row_id: row for row_id, row in sorted(self._rows_of(embedder).items()) if row.commit > since}
        gone = {key for key, (names, commit) in self._deleted.items() if embedder in names and commit > since > 0}
        deleted = gone - rows.keys()
        vectors = np.array([row.vector for row in rows.values()], np.float32) if rows else NO_VECTORS
        return Changes(self._commit, np.array(list(rows), np.int64), vectors, np.array(sorted(deleted), np.int64))

    @contextmanager
    def snapshot(self, embedder: str, since: int) -> Iterator["FakeSnapshot"]:
        yield FakeSnapshot(self.changes(embedder, since))

    @transaction
    def vectors(self, embedder: str, row_ids: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        rows = self._rows_of(embedder)
        return {int(row_id): rows[row_id].vector.copy() for row_id in row_ids if row_id in rows}

    @transaction
    def count_segments(self) -> int:
        return len(self._rows)

    @transaction
    def count_missing_vectors(self, embedder: str) -> int:
        return len(self._rows) - len(self._rows_of(embedder))

    @transaction
    def segments_missing_vectors(self, embedder: str, after: int, limit: int) -> list[Segment]:
        missing = sorted(set(self._rows) - set(self._rows_of(embedder)))
        return [self._rows[row_id].segment for row_id in missing if row_id > after][:limit]

    @transaction
    def add_vectors(self, embedder: str, vectors: Mapping[int, NDArray[np.float32]]) -> int:
        missing = self._rows.keys() - self._rows_of(embedder).keys()
        new = {row_id: vector for row_id, vector in vectors.items() if row_id in missing}
        self._commit += bool(new)
        rows = {key: Row(self._rows[key].segment, vector, embedder, self._commit) for key, vector in new.items()}
        self._secondary.setdefault(embedder, {}).update(rows)
        return len(new)

    @transaction
    def drop_other_vectors(self, embedder: str, limit: int) -> int:
        secondary = dict(sorted(self._secondary.get(embedder, {}).items())[:limit])
        self._rows |= {key: replace(row, segment=self._rows[key].segment) for key, row in secondary.items()}
        others = {key for rows in self._secondary.values() for key in rows if self._rows[key].embedder == embedder}
        dropped = set(secondary) or set(sorted(others)[:limit])
        for rows in self._secondary.values():
            for row_id in dropped:
                rows.pop(row_id, None)
        return len(dropped)

    def _rows_of(self, embedder: str) -> dict[int, Row]:
        primary = {row_id: row for row_id, row in self._rows.items() if row.embedder == embedder}
        return primary | self._secondary.get(embedder, {})

    @transaction
    def matching_row_ids(
        self, embedder: str | None, wanted: Filter, among: Sequence[int] | None = None
    ) -> NDArray[np.int64]:
        found = self._rows if embedder is None else self._rows_of(embedder)
        rows = found if among is None else found.keys() & set(among)
        matching = [row_id for row_id in rows if self._matches(wanted, self._rows[row_id].segment)]
        return np.array(sorted(matching), np.int64)

    def _matches(self, wanted: Filter, segment: Segment) -> bool:
        """Return whether the garment and one of the products that it shows match. Without products, it can match, too."""
        values = self._values(segment)
        shown = [feed_values(stored.product) for stored in self._showing(segment.name)]
        return any(matches_filter(wanted, values | of_product) for of_product in shown or [{}])

    @transaction
    def row_ids_of_owner(self, user: str) -> list[int]:
        photos = {name for name, photo in self._photos.items() if photo.owner == user}
        return sorted(segment.row_id for segment in self._segments() if segment.photo in photos)

    @transaction
    def photos_of_owner(self, user: str, after: str, limit: int) -> list[OwnedPhoto]:
        names = sorted(name for name, photo in self._photos.items() if photo.owner == user and name > after)
        first = {name: min(segment.created for segment in self.segments_of_photo(name)) for name in names[:limit]}
        return [OwnedPhoto(self._photos[name], created) for name, created in first.items()]

    @transaction
    def row_ids_of_photo_hash(self, sha256: str) -> frozenset[int]:
        photos = {name for name, photo in self._photos.items() if photo.sha256 == sha256}
        return frozenset(segment.row_id for segment in self._segments() if segment.photo in photos)

    def _segments_with_vector(self, embedder: str | None) -> list[Segment]:
        row_ids = self._rows if embedder is None else self._rows_of(embedder)
        return [self._rows[row_id].segment for row_id in sorted(row_ids)]

    def _values(self, segment: Segment) -> dict[str, object]:
        details = self._details_of(segment)
        own = {"photo": segment.photo, "created": segment.created.timestamp()}
        return (asdict(details) if details else {}) | {"label": segment.label, "score": segment.score} | own

    @transaction
    def details(self, image_ids: Sequence[str]) -> dict[str, ProductDetails]:
        return {name: self._details[name] for name in image_ids if name in self._details}

    @transaction
    def put_details(self, details: Iterable[ProductDetails]) -> int:
        new = list(details)
        for one in new:
            details_row(one)
        self._details.update((one.image_id, one) for one in new)
        return len(new)

    @transaction
    def save_searches(self, past_searches: Sequence[PastSearch], max_searches: int) -> None:
        for search in past_searches:
            validated(searches, owner=search.owner, id=search.id)
        for search in past_searches:
            existing = [hit for hit in search.hits if hit.row_id in self._rows]
            self._searches[search.owner, search.id] = replace(search, hits=existing, choices=())
            for old in self.list_searches(search.owner, 10**9)[max_searches:]:
                del self._searches[old.owner, old.id]

    @transaction
    def list_searches(self, owner: str, limit: int, before: datetime | None = None) -> list[PastSearch]:
        own = [search for search in self._searches.values() if search.owner == owner]
        page = [search for search in own if before is None or search.searched_at < before]
        newest = sorted(page, key=lambda search: (-search.searched_at.timestamp(), search.id))[:limit]
        return [replace(search, hits=[], choices=()) for search in newest]

    @transaction
    def get_search(self, owner: str, search_id: str) -> PastSearch | None:
        search = self._searches.get((owner, search_id))
        return search and self._without_deleted(search)

    def _without_deleted(self, search: PastSearch) -> PastSearch:
        hits = [hit for hit in search.hits if hit.row_id in self._rows]
        choices = tuple(choice for choice in search.choices if choice.row_id in self._rows)
        return replace(search, hits=hits, choices=choices)

    @transaction
    def add_choice(self, owner: str, search_id: str, choice: Choice) -> Choice:
        search = self.get_search(owner, search_id)
        if search is None:
            raise NotFound("There is no such search")
        if choice.row_id not in [hit.row_id for hit in search.hits]:
            raise NotFound("The garment is not among the results")
        for earlier in search.choices:
            if earlier.row_id == choice.row_id:
                return earlier
        choices = sorted([*search.choices, choice], key=lambda one: (one.chosen_at, one.row_id))
        self._searches[owner, search_id] = replace(search, choices=tuple(choices))
        return choice

    @transaction
    def list_chosen_searches(self, limit: int, after: tuple[str, str] | None = None) -> list[PastSearch]:
        keys = sorted(key for key in self._searches if after is None or key > after)
        chosen = [self._without_deleted(self._searches[key]) for key in keys]
        return [search for search in chosen if search.choices][:limit]

    @transaction
    def delete_searches(self, owner: str, search_id: str | None = None) -> int:
        deleted = [key for key in self._searches if key[0] == owner and search_id in (None, key[1])]
        for key in deleted:
            del self._searches[key]
        return len(deleted)

    @transaction
    def legacy_image(self, row_id: int) -> bytes | None:
        return None

    @transaction
    def ping(self) -> None:
        pass

    def _segments(self) -> Iterator[Segment]:
        return (row.segment for row in self._rows.values())

    def _store(self, photo: Photo, segments: Sequence[NewSegment], embedder: str, job: str | None) -> list[Segment]:
        for new in segments:
            segment_row(new, photo.name, embedder)
        names = [new.name for new in segments]
        if len(set(names)) < len(names) or any(segment.name in names for segment in self._segments()):
            raise Conflict("A segment with this name exists already")
        if job is not None:
            self._complete(job)
        self._photos[photo.name] = photo
        self._commit += bool(segments)
        return [self._insert(new, photo.name, embedder) for new in segments]

    def _insert(self, new: NewSegment, photo: str, embedder: str) -> Segment:
        row_id, moment = next(self._ids), datetime.now(UTC).replace(microsecond=0)
        segment = self._new_segment(row_id, new, photo, moment)
        self._rows[row_id] = Row(segment, np.array(new.vector, np.float32), embedder, self._commit)
        return segment

    @staticmethod
    def _new_segment(row_id: int, new: NewSegment, photo: str, created: datetime) -> Segment:
        attributes = (_rounded(new.box), new.label, new.score, created, new.color)
        return Segment(row_id, new.name, new.path, new.thumbnail, photo, *attributes)


def _rounded(box: Box | None) -> Box | None:
    return box and Box(*box.as_list())
