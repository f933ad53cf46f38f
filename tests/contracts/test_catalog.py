"""Contract of the port `Catalog`: photos, their garments, and changes since a commit."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.adapters.catalog import SqlCatalog
from lookalike.adapters.catalog.commits import assign_commit_number
from lookalike.adapters.catalog.segments import insert_rows
from lookalike.adapters.catalog.tables import metadata
from lookalike.adapters.catalog.values import photo_row
from lookalike.domain.errors import (
    Cancelled,
    Conflict,
    InvalidField,
)
from lookalike.domain.model import (
    Box,
)
from lookalike.domain.ports import Catalog
from tests.contracts.rows import (
    ANNA,
    MODEL,
    World,
    add_photo,
    deleted_ids,
    few_examples,
    garment,
    photo,
    serial,
    written_ids,
)


class TestPhotos:
    def test_photo_and_segments_are_read_as_written(self, catalog: Catalog) -> None:
        before = datetime.now(UTC).replace(microsecond=0)
        first, second = catalog.add_photo(photo(), [garment(), garment(number=1)], MODEL)
        assert catalog.photo("look") == photo()
        assert catalog.segment("look_segment_0") == catalog.segment(first.row_id) == first
        assert catalog.segments_of_photo("look") == [first, second]
        assert (first.name, first.path, first.thumbnail, first.photo, first.label) == (
            ("look_segment_0", "look/segment_0.png", "look/segment_0.webp", "look", "dress")
        )
        assert (first.box, first.score) == (Box(1, 2.25, 30, 40.5), 0.75)
        assert first.color == (53.24, 80.09, -67.2)
        assert before <= first.created <= datetime.now(UTC)

    def test_missing_photo_and_segments_are_not_found(self, catalog: Catalog) -> None:
        assert catalog.photo("look") is None
        assert catalog.segment("look_segment_0") is None
        assert catalog.segments_of_photo("look") == []
        assert catalog.segments([]) == {}

    @pytest.mark.parametrize("number", [0, -1, 1, 2**31, 2**63, 2**70])
    def test_segment_accepts_any_number(self, catalog: Catalog, number: int) -> None:
        assert catalog.segment(number) is None
        assert catalog.segments([number]) == {}

    def test_segment_names_leaves_out_deleted_segments(self, catalog: Catalog) -> None:
        first, second = add_photo(catalog, count=2)
        assert catalog.segment_names([first, second]) == {first: "look_segment_0", second: "look_segment_1"}
        catalog.delete_segment("look_segment_0")
        assert catalog.segment_names([first, second]) == {second: "look_segment_1"}
        assert catalog.segment_names([]) == {}

    def test_segments_accepts_numpy_integers(self, catalog: Catalog) -> None:
        row_ids = add_photo(catalog, count=3)
        segments = catalog.segments(list(np.array([*row_ids, 10_000], np.int64)))
        assert list(segments) == row_ids
        assert all(row_id == segment.row_id for row_id, segment in segments.items())

    def test_batches_of_many_values_are_accepted(self, catalog: Catalog) -> None:
        row_ids = add_photo(catalog, count=2)
        assert len(catalog.segments([*row_ids, *range(1000, 3000)])) == 2
        assert list(catalog.segment_names([*row_ids, *range(1000, 3000)])) == row_ids
        paths = [f"nothing/{number}" for number in range(1200)]
        assert catalog.referenced_paths([*paths, "look/segment_1.png"]) == {"look/segment_1.png"}

    def test_names_are_sensitive_to_case_and_accents(self, catalog: Catalog) -> None:
        for name in ("robe", "Robe", "robé", "robe\u0301"):
            add_photo(catalog, name)
        assert [segment.photo for segment in catalog.segments_of_photo("Robe")] == ["Robe"]

    def test_duplicate_name_is_a_conflict_that_changes_nothing(self, catalog: Catalog) -> None:
        add_photo(catalog)
        before = catalog.changes(MODEL, 0)
        with pytest.raises(Conflict):
            catalog.add_photo(photo(), [garment(number=7)], MODEL)
        with pytest.raises(Conflict):
            catalog.add_photo(photo("other"), [garment("other"), garment()], MODEL)
        assert catalog.photo("other") is None
        assert catalog.changes(MODEL, 0).last_commit == before.last_commit
        assert written_ids(catalog.changes(MODEL, 0)) == written_ids(before)

    def test_concurrent_add_photo_of_one_name_succeeds_once(self, world: World) -> None:
        def try_to_add(_: int) -> str:
            try:
                world.catalog.add_photo(photo(), [garment(), garment(number=1)], MODEL)
            except Conflict:
                return "conflict"
            return "added"

        with ThreadPoolExecutor(10) as pool:
            outcomes = sorted(pool.map(try_to_add, range(10)))
        assert outcomes == ["added"] + ["conflict"] * 9
        assert len(world.catalog.segments_of_photo("look")) == 2

    def test_add_segment_creates_the_photo_once(self, catalog: Catalog) -> None:
        added = [catalog.add_segment(photo(), garment(number=number), MODEL) for number in range(2)]
        assert catalog.photo("look") == photo()
        assert catalog.segments_of_photo("look") == added
        with pytest.raises(Conflict):
            catalog.add_segment(photo(), garment(), MODEL)

    def test_concurrent_add_segment_to_a_new_photo(self, catalog: Catalog) -> None:
        with ThreadPoolExecutor(10) as pool:
            for future in [pool.submit(catalog.add_segment, photo(), garment(number=n), MODEL) for n in range(10)]:
                future.result()
        assert len(catalog.segments_of_photo("look")) == 10

    def test_update_segment_changes_its_fields(self, catalog: Catalog) -> None:
        (row_id,) = add_photo(catalog)
        box = Box(0, 0, 5.5, 6)
        updated = catalog.update_segment("look_segment_0", {"bounding_box": box, "label": "skirt", "score": 0.5})
        assert updated == catalog.segment(row_id)
        assert updated is not None
        assert (updated.box, updated.label, updated.score) == (box, "skirt", 0.5)
        assert catalog.update_segment("nothing", {"label": "skirt"}) is None

    @pytest.mark.parametrize(
        "changes",
        [{"id": 3}, {"label": 3}, {"bounding_box": "[1]"}, {"label": "x" * 300}, {"score": float("nan")}],
    )
    def test_update_segment_rejects_invalid_changes(self, catalog: Catalog, changes: dict[str, object]) -> None:
        add_photo(catalog)
        with pytest.raises(InvalidField):
            catalog.update_segment("look_segment_0", changes)

    def test_last_deleted_segment_deletes_the_photo(self, catalog: Catalog) -> None:
        first, second = add_photo(catalog, count=2)
        deleted = catalog.delete_segment("look_segment_0")
        assert deleted is not None
        assert deleted.row_id == first
        assert catalog.photo("look") == photo()
        catalog.delete_segment("look_segment_1")
        assert catalog.photo("look") is None
        assert catalog.segments([first, second]) == {}
        assert catalog.delete_segment("look_segment_1") is None

    def test_row_ids_are_never_reused(self, catalog: Catalog) -> None:
        (first,) = add_photo(catalog, "one")
        catalog.delete_segment("one_segment_0")
        (second,) = add_photo(catalog, "two")
        assert second > first

    def test_referenced_paths(self, catalog: Catalog) -> None:
        add_photo(catalog)
        expected = {"look/segment_0.png", "look/segment_0.webp", "look/original.jpg"}
        assert catalog.referenced_paths([*expected, "look/segment_1.png", "Look/original.jpg"]) == expected
        assert catalog.referenced_paths([]) == set()

    @few_examples
    @given(name=st.text(max_size=30) | st.sampled_from(["'", '"; DROP TABLE jobs', "a\0b", "\ud800", "é ", "x" * 256]))
    def test_any_name_is_stored_unchanged_or_rejected(self, catalog: Catalog, name: str) -> None:
        model = f"model-{next(serial)}"
        segment = garment(str(next(serial)))
        try:
            catalog.add_photo(photo(name), [segment], model)
        except InvalidField:
            assert catalog.photo(name) is None
            assert written_ids(catalog.changes(model, 0)) == []
            return
        stored = catalog.photo(name)
        assert stored is not None
        assert stored.name == name
        assert [stored_segment.photo for stored_segment in catalog.segments_of_photo(name)] == [name]
        catalog.delete_segment(segment.name)

    @pytest.mark.parametrize("name", ["a\0b", "\udcff", "robe ", "x" * 256])
    def test_names_that_a_database_would_change_are_rejected(self, catalog: Catalog, name: str) -> None:
        with pytest.raises(InvalidField):
            add_photo(catalog, name)
        with pytest.raises(InvalidField):
            catalog.start_job(name, "upload", ANNA)
        add_photo(catalog, "robe")
        assert catalog.photo(name) is None
        assert catalog.details([name]) == {}
        assert catalog.job(name) is None
        assert not catalog.request_cancel(name)


class TestChanges:
    def test_empty_catalog_has_no_changes(self, catalog: Catalog) -> None:
        changes = catalog.changes(MODEL, 0)
        assert (changes.last_commit, written_ids(changes), deleted_ids(changes)) == (0, [], [])
        assert changes.vectors.dtype == np.float32
        assert len(changes.vectors) == 0

    def test_vectors_are_read_bit_for_bit(self, catalog: Catalog) -> None:
        vectors = np.random.default_rng(0).normal(size=(5, 2048)).astype(np.float32)
        segments = [garment(number=number, vector=tuple(vector)) for number, vector in enumerate(vectors)]
        stored = catalog.add_photo(photo(), segments, MODEL)
        changes = catalog.changes(MODEL, 0)
        assert written_ids(changes) == [segment.row_id for segment in stored]
        assert changes.row_ids.dtype == np.int64
        assert changes.vectors.dtype == np.float32
        np.testing.assert_array_equal(changes.vectors, vectors)

    def test_vectors_are_read_by_row_id(self, catalog: Catalog) -> None:
        vectors = np.random.default_rng(0).normal(size=(3, 2048)).astype(np.float32)
        segments = [garment(number=number, vector=tuple(vector)) for number, vector in enumerate(vectors)]
        first, second, third = (segment.row_id for segment in catalog.add_photo(photo(), segments, MODEL))
        (other,) = add_photo(catalog, "other", embedder="full-1")
        catalog.delete_segment("look_segment_1")
        row_ids = [*range(10_000, 11_000), third, second, first, other, 0, -1, 2**70]
        stored = catalog.vectors(MODEL, row_ids)
        assert stored.keys() == {first, third}
        assert all(vector.dtype == np.float32 for vector in stored.values())
        np.testing.assert_array_equal([stored[first], stored[third]], vectors[[0, 2]])
        assert catalog.vectors(MODEL, list(np.array([first], np.int64))).keys() == {first}
        assert catalog.vectors(MODEL, []) == {}

    def test_changes_since_a_commit_exclude_earlier_rows(self, catalog: Catalog) -> None:
        add_photo(catalog, "old", 2)
        since = catalog.changes(MODEL, 0).last_commit
        new = add_photo(catalog, "new", 2)
        changes = catalog.changes(MODEL, since)
        assert (written_ids(changes), deleted_ids(changes)) == (new, [])
        assert changes.last_commit > since
        assert written_ids(catalog.changes(MODEL, changes.last_commit)) == []

    def test_changes_are_separate_for_each_embedder(self, catalog: Catalog) -> None:
        compact, full = add_photo(catalog, "compact"), add_photo(catalog, "full", embedder="full-1")
        before = catalog.changes(MODEL, 0)
        assert written_ids(before) == compact
        assert written_ids(catalog.changes("full-1", 0)) == full
        catalog.delete_segment("full_segment_0")
        assert deleted_ids(catalog.changes(MODEL, before.last_commit)) == []
        assert deleted_ids(catalog.changes("full-1", before.last_commit)) == full

    def test_deleted_rows_are_in_the_changes(self, catalog: Catalog) -> None:
        (old,) = add_photo(catalog, "old")
        since = catalog.changes(MODEL, 0).last_commit
        (new,) = add_photo(catalog, "new")
        catalog.delete_segment("new_segment_0")
        catalog.delete_segment("old_segment_0")
        changes = catalog.changes(MODEL, since)
        assert (written_ids(changes), deleted_ids(changes)) == ([], [old, new])
        assert deleted_ids(catalog.changes(MODEL, 0)) == []

    def test_snapshot_does_not_see_later_commits(self, world: World) -> None:
        catalog, other = world.catalog, world.open_another()
        (deleted,) = add_photo(catalog, "deleted")
        since = catalog.changes(MODEL, 0).last_commit
        catalog.delete_segment("deleted_segment_0")
        new = add_photo(catalog, "new", 3)
        expected = catalog.changes(MODEL, since)
        with catalog.snapshot(MODEL, since) as snapshot:
            assert (snapshot.last_commit, snapshot.row_ids.tolist(), snapshot.deleted.tolist()) == (
                expected.last_commit,
                new,
                [deleted],
            )
            first = np.concatenate([*snapshot.pages()])
            add_photo(other, "later")
            assert np.array_equal(np.concatenate([*snapshot.pages()]), first)
        assert np.array_equal(first, expected.vectors)

    def test_snapshot_pages_contain_all_rows(self, catalog: Catalog) -> None:
        vectors = np.random.default_rng(1).random((1203, 4), np.float32)
        for start in range(0, 1203, 401):
            segments = [garment(f"p{start}", n, tuple(v)) for n, v in enumerate(vectors[start : start + 401])]
            catalog.add_photo(photo(f"p{start}"), segments, "paged")
        with catalog.snapshot("paged", 0) as snapshot:
            pages = [*snapshot.pages()]
        assert max(len(page) for page in pages) <= 1000 and np.array_equal(np.concatenate(pages), vectors)

    @few_examples
    @given(
        actions=st.lists(st.sampled_from(["add", "add two", "delete", "follow"]), max_size=15),
        random=st.randoms(),
    )
    def test_repeated_changes_give_the_existing_rows(
        self, catalog: Catalog, actions: list[str], random: Random
    ) -> None:
        model, names, followed, last_commit = f"model-{next(serial)}", dict[int, str](), set[int](), 0
        for action in [*actions, "follow"]:
            if action == "follow":
                changes = catalog.changes(model, last_commit)
                assert not set(written_ids(changes)) & set(deleted_ids(changes))
                followed = (followed | set(written_ids(changes))) - set(deleted_ids(changes))
                last_commit = changes.last_commit
                assert followed == set(names) == set(written_ids(catalog.changes(model, 0)))
            elif action == "delete" and names:
                row_id = random.choice(sorted(names))
                catalog.delete_segment(names.pop(row_id))
            elif action != "delete":
                name = f"photo-{next(serial)}"
                row_ids = add_photo(catalog, name, 1 + (action == "add two"), model)
                names.update((row_id, f"{name}_segment_{n}") for n, row_id in enumerate(row_ids))

    def test_repeated_changes_miss_no_row_of_concurrent_writers(self, world: World) -> None:
        added: list[int] = []
        finished = threading.Event()

        def follow() -> set[int]:
            reader, last_commit, followed = world.open_another(), 0, set[int]()
            while not finished.is_set():
                changes = reader.changes(MODEL, last_commit)
                last_commit, followed = changes.last_commit, followed | set(written_ids(changes))
            return followed | set(written_ids(reader.changes(MODEL, last_commit)))

        with ThreadPoolExecutor(5) as pool:
            follower = pool.submit(follow)
            for row_ids in pool.map(lambda n: add_photo(world.catalog, f"photo-{n}"), range(40)):
                added += row_ids
            finished.set()
            assert follower.result() == set(added)


class TestLateCommits:
    """Transactions that commit in another order than that of their row ids."""

    def test_late_commit_is_found(self, mysql: SqlCatalog) -> None:
        with mysql.transaction(writes=True) as slow:
            late = [segment.row_id for segment in insert_rows(slow, "slow", [garment("slow")], MODEL)]
            early = add_photo(mysql, "fast")
            before = mysql.changes(MODEL, 0)
            assign_commit_number(slow, late)
        assert late < early
        assert written_ids(before) == early
        assert written_ids(mysql.changes(MODEL, before.last_commit)) == late

    def test_commit_number_blocks_other_writers_until_the_commit(self, mysql: SqlCatalog) -> None:
        with ThreadPoolExecutor(1) as pool:
            with mysql.transaction(writes=True) as slow:
                late = [segment.row_id for segment in insert_rows(slow, "slow", [garment("slow")], MODEL)]
                assign_commit_number(slow, late)
                other = pool.submit(add_photo, mysql, "fast")
                time.sleep(0.2)
                assert not other.done()
                assert mysql.changes(MODEL, 0).last_commit == 0
            early = other.result()
        assert written_ids(mysql.changes(MODEL, 0)) == late + early
        assert written_ids(mysql.changes(MODEL, 1)) == early

    def test_writers_waiting_for_a_rollback_succeed_once(self, mysql: SqlCatalog) -> None:
        # The writers deadlock over the photo's name and are retried.
        with ThreadPoolExecutor(6) as pool:
            with pytest.raises(Cancelled), mysql.transaction(writes=True) as slow:
                slow.execute(metadata.tables["originals"].insert().values(photo_row(photo())))
                others = [pool.submit(add_photo, mysql) for _ in range(6)]
                time.sleep(0.3)
                raise Cancelled("rolled back")
            errors = [other.exception() for other in others]
        assert [type(error) for error in errors if error] == [Conflict] * 5

    def test_read_transaction_sees_one_snapshot(self, sql: SqlCatalog) -> None:
        add_photo(sql, "old")
        with sql.transaction() as reader:
            changes_in = type(sql).changes.__wrapped__  # type: ignore[attr-defined]
            before = changes_in(sql, reader, MODEL, 0)
            add_photo(sql, "new")
            sql.delete_segment("old_segment_0")
            after = changes_in(sql, reader, MODEL, 0)
        assert (after.last_commit, written_ids(after)) == (before.last_commit, written_ids(before))
        assert sql.changes(MODEL, 0).last_commit == before.last_commit + 2
