"""The contract of the port `Catalogue`: photos, their garments, and what is new since a commit."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.adapters.catalog import SqlCatalog
from lookalike.adapters.catalog.commits import number_rows
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
from tests.contracts.rows import ANNA, MODEL, World, add, few, garment, gone, photo, serial, written


class TestPhotos:
    def test_a_photo_and_its_segments_are_read_as_they_were_written(self, catalogue: Catalog) -> None:
        before = datetime.now(UTC).replace(microsecond=0)
        first, second = catalogue.add_photo(photo(), [garment(), garment(number=1)], MODEL)
        assert catalogue.photo("look") == photo()
        assert catalogue.segment("look_segment_0") == catalogue.segment(first.row_id) == first
        assert catalogue.segments_of_photo("look") == [first, second]
        assert (first.name, first.path, first.thumbnail, first.photo, first.label) == (
            ("look_segment_0", "look/segment_0.png", "look/segment_0.webp", "look", "dress")
        )
        assert (first.box, first.score) == (Box(1, 2.25, 30, 40.5), 0.75)
        assert first.color == (53.24, 80.09, -67.2)
        assert before <= first.created <= datetime.now(UTC)

    def test_nothing_is_found_of_what_is_not_there(self, catalogue: Catalog) -> None:
        assert catalogue.photo("look") is None
        assert catalogue.segment("look_segment_0") is None
        assert catalogue.segments_of_photo("look") == []
        assert catalogue.segments([]) == {}

    @pytest.mark.parametrize("number", [0, -1, 1, 2**31, 2**63, 2**70])
    def test_any_number_may_be_asked_for(self, catalogue: Catalog, number: int) -> None:
        assert catalogue.segment(number) is None
        assert catalogue.segments([number]) == {}

    def test_segments_takes_the_numbers_of_an_index(self, catalogue: Catalog) -> None:
        row_ids = add(catalogue, count=3)
        found = catalogue.segments(list(np.array([*row_ids, 10_000], np.int64)))
        assert list(found) == row_ids
        assert all(key == segment.row_id for key, segment in found.items())

    def test_more_names_than_one_statement_takes(self, catalogue: Catalog) -> None:
        row_ids = add(catalogue, count=2)
        assert len(catalogue.segments([*row_ids, *range(1000, 3000)])) == 2
        paths = [f"nothing/{number}" for number in range(1200)]
        assert catalogue.known_paths([*paths, "look/segment_1.png"]) == {"look/segment_1.png"}

    def test_names_that_differ_in_case_or_accents_are_different(self, catalogue: Catalog) -> None:
        for name in ("robe", "Robe", "robé", "robe\u0301"):
            add(catalogue, name)
        assert [segment.photo for segment in catalogue.segments_of_photo("Robe")] == ["Robe"]

    def test_the_same_name_twice_is_a_conflict_that_changes_nothing(self, catalogue: Catalog) -> None:
        add(catalogue)
        before = catalogue.changes(MODEL, 0)
        with pytest.raises(Conflict):
            catalogue.add_photo(photo(), [garment(number=7)], MODEL)
        with pytest.raises(Conflict):
            catalogue.add_photo(photo("other"), [garment("other"), garment()], MODEL)
        assert catalogue.photo("other") is None
        assert catalogue.changes(MODEL, 0).last_commit == before.last_commit
        assert written(catalogue.changes(MODEL, 0)) == written(before)

    def test_of_ten_at_once_one_succeeds(self, world: World) -> None:
        def try_to_add(_: int) -> str:
            try:
                world.catalogue.add_photo(photo(), [garment(), garment(number=1)], MODEL)
            except Conflict:
                return "conflict"
            return "added"

        with ThreadPoolExecutor(10) as pool:
            outcomes = sorted(pool.map(try_to_add, range(10)))
        assert outcomes == ["added"] + ["conflict"] * 9
        assert len(world.catalogue.segments_of_photo("look")) == 2

    def test_add_segment_makes_the_photo_once(self, catalogue: Catalog) -> None:
        added = [catalogue.add_segment(photo(), garment(number=number), MODEL) for number in range(2)]
        assert catalogue.photo("look") == photo()
        assert catalogue.segments_of_photo("look") == added
        with pytest.raises(Conflict):
            catalogue.add_segment(photo(), garment(), MODEL)

    def test_ten_segments_of_one_new_photo_at_once(self, catalogue: Catalog) -> None:
        with ThreadPoolExecutor(10) as pool:
            for done in [pool.submit(catalogue.add_segment, photo(), garment(number=n), MODEL) for n in range(10)]:
                done.result()
        assert len(catalogue.segments_of_photo("look")) == 10

    def test_a_segment_is_described_anew(self, catalogue: Catalog) -> None:
        (row_id,) = add(catalogue)
        box = Box(0, 0, 5.5, 6)
        described = catalogue.update_segment("look_segment_0", {"bounding_box": box, "label": "skirt", "score": 0.5})
        assert described == catalogue.segment(row_id)
        assert described is not None
        assert (described.box, described.label, described.score) == (box, "skirt", 0.5)
        assert catalogue.update_segment("nothing", {"label": "skirt"}) is None

    @pytest.mark.parametrize(
        "changes",
        [{"id": 3}, {"label": 3}, {"bounding_box": "[1]"}, {"label": "x" * 300}, {"score": float("nan")}],
    )
    def test_a_wrong_description_is_refused(self, catalogue: Catalog, changes: dict[str, object]) -> None:
        add(catalogue)
        with pytest.raises(InvalidField):
            catalogue.update_segment("look_segment_0", changes)

    def test_the_photo_goes_with_its_last_segment(self, catalogue: Catalog) -> None:
        first, second = add(catalogue, count=2)
        deleted = catalogue.delete_segment("look_segment_0")
        assert deleted is not None
        assert deleted.row_id == first
        assert catalogue.photo("look") == photo()
        catalogue.delete_segment("look_segment_1")
        assert catalogue.photo("look") is None
        assert catalogue.segments([first, second]) == {}
        assert catalogue.delete_segment("look_segment_1") is None

    def test_row_numbers_are_never_used_again(self, catalogue: Catalog) -> None:
        (first,) = add(catalogue, "one")
        catalogue.delete_segment("one_segment_0")
        (second,) = add(catalogue, "two")
        assert second > first

    def test_known_paths(self, catalogue: Catalog) -> None:
        add(catalogue)
        known = {"look/segment_0.png", "look/segment_0.webp", "look/original.jpg"}
        assert catalogue.known_paths([*known, "look/segment_1.png", "Look/original.jpg"]) == known
        assert catalogue.known_paths([]) == set()

    @few
    @given(name=st.text(max_size=30) | st.sampled_from(["'", '"; DROP TABLE jobs', "a\0b", "\ud800", "é ", "x" * 256]))
    def test_any_name_is_kept_as_it_is_or_refused(self, catalogue: Catalog, name: str) -> None:
        model = f"model-{next(serial)}"
        segment = garment(str(next(serial)))
        try:
            catalogue.add_photo(photo(name), [segment], model)
        except InvalidField:
            assert catalogue.photo(name) is None
            assert written(catalogue.changes(model, 0)) == []
            return
        stored = catalogue.photo(name)
        assert stored is not None
        assert stored.name == name
        assert [one.photo for one in catalogue.segments_of_photo(name)] == [name]
        catalogue.delete_segment(segment.name)

    @pytest.mark.parametrize("name", ["a\0b", "\udcff", "robe ", "x" * 256])
    def test_what_some_database_would_change_is_refused(self, catalogue: Catalog, name: str) -> None:
        with pytest.raises(InvalidField):
            add(catalogue, name)
        with pytest.raises(InvalidField):
            catalogue.start_job(name, "upload", ANNA)
        add(catalogue, "robe")
        assert catalogue.photo(name) is None
        assert catalogue.details([name]) == {}
        assert catalogue.job(name) is None
        assert not catalogue.request_cancel(name)


class TestChanges:
    def test_nothing_has_happened_yet(self, catalogue: Catalog) -> None:
        changes = catalogue.changes(MODEL, 0)
        assert (changes.last_commit, written(changes), gone(changes)) == (0, [], [])
        assert changes.vectors.dtype == np.float32
        assert len(changes.vectors) == 0

    def test_vectors_come_back_bit_for_bit(self, catalogue: Catalog) -> None:
        vectors = np.random.default_rng(0).normal(size=(5, 2048)).astype(np.float32)
        segments = [garment(number=number, vector=tuple(vector)) for number, vector in enumerate(vectors)]
        stored = catalogue.add_photo(photo(), segments, MODEL)
        changes = catalogue.changes(MODEL, 0)
        assert written(changes) == [segment.row_id for segment in stored]
        assert changes.row_ids.dtype == np.int64
        assert changes.vectors.dtype == np.float32
        np.testing.assert_array_equal(changes.vectors, vectors)

    def test_vectors_are_read_by_their_rows(self, catalogue: Catalog) -> None:
        written = np.random.default_rng(0).normal(size=(3, 2048)).astype(np.float32)
        segments = [garment(number=number, vector=tuple(vector)) for number, vector in enumerate(written)]
        first, second, third = (one.row_id for one in catalogue.add_photo(photo(), segments, MODEL))
        (theirs,) = add(catalogue, "theirs", embedder="full-1")
        catalogue.delete_segment("look_segment_1")
        asked = [*range(10_000, 11_000), third, second, first, theirs, 0, -1, 2**70]
        found = catalogue.vectors(MODEL, asked)
        assert found.keys() == {first, third}
        assert all(one.dtype == np.float32 for one in found.values())
        np.testing.assert_array_equal([found[first], found[third]], written[[0, 2]])
        assert catalogue.vectors(MODEL, list(np.array([first], np.int64))).keys() == {first}
        assert catalogue.vectors(MODEL, []) == {}

    def test_only_what_came_after(self, catalogue: Catalog) -> None:
        add(catalogue, "old", 2)
        seen = catalogue.changes(MODEL, 0).last_commit
        new = add(catalogue, "new", 2)
        changes = catalogue.changes(MODEL, seen)
        assert (written(changes), gone(changes)) == (new, [])
        assert changes.last_commit > seen
        assert written(catalogue.changes(MODEL, changes.last_commit)) == []

    def test_one_embedder_does_not_see_the_other(self, catalogue: Catalog) -> None:
        ours, theirs = add(catalogue, "ours"), add(catalogue, "theirs", embedder="full-1")
        seen = catalogue.changes(MODEL, 0)
        assert written(seen) == ours
        assert written(catalogue.changes("full-1", 0)) == theirs
        catalogue.delete_segment("theirs_segment_0")
        assert gone(catalogue.changes(MODEL, seen.last_commit)) == []
        assert gone(catalogue.changes("full-1", seen.last_commit)) == theirs

    def test_deletions(self, catalogue: Catalog) -> None:
        (old,) = add(catalogue, "old")
        seen = catalogue.changes(MODEL, 0).last_commit
        (brief,) = add(catalogue, "brief")
        catalogue.delete_segment("brief_segment_0")
        catalogue.delete_segment("old_segment_0")
        changes = catalogue.changes(MODEL, seen)
        assert (written(changes), gone(changes)) == ([], [old, brief])
        assert gone(catalogue.changes(MODEL, 0)) == []

    def test_a_snapshot_is_of_one_moment(self, world: World) -> None:
        catalogue, other = world.catalogue, world.open_another()
        (deleted,) = add(catalogue, "deleted")
        seen = catalogue.changes(MODEL, 0).last_commit
        catalogue.delete_segment("deleted_segment_0")
        new = add(catalogue, "new", 3)
        expected = catalogue.changes(MODEL, seen)
        with catalogue.snapshot(MODEL, seen) as snapshot:
            assert (snapshot.last_commit, snapshot.row_ids.tolist(), snapshot.deleted.tolist()) == (
                expected.last_commit,
                new,
                [deleted],
            )
            first = np.concatenate([*snapshot.pages()])
            add(other, "later")
            assert np.array_equal(np.concatenate([*snapshot.pages()]), first)
        assert np.array_equal(first, expected.vectors)

    def test_a_snapshot_of_many_rows_comes_in_pages(self, catalogue: Catalog) -> None:
        vectors = np.random.default_rng(1).random((1203, 4), np.float32)
        for start in range(0, 1203, 401):
            some = [garment(f"p{start}", n, tuple(v)) for n, v in enumerate(vectors[start : start + 401])]
            catalogue.add_photo(photo(f"p{start}"), some, "paged")
        with catalogue.snapshot("paged", 0) as snapshot:
            pages = [*snapshot.pages()]
        assert max(len(page) for page in pages) <= 1000 and np.array_equal(np.concatenate(pages), vectors)

    @few
    @given(
        actions=st.lists(st.sampled_from(["add", "add two", "delete", "look"]), max_size=15),
        choice=st.randoms(),
    )
    def test_a_follower_knows_what_lives(self, catalogue: Catalog, actions: list[str], choice: object) -> None:
        model, living, followed, seen = f"model-{next(serial)}", dict[int, str](), set[int](), 0
        for action in [*actions, "look"]:
            if action == "look":
                changes = catalogue.changes(model, seen)
                assert not set(written(changes)) & set(gone(changes))
                followed = (followed | set(written(changes))) - set(gone(changes))
                seen = changes.last_commit
                assert followed == set(living) == set(written(catalogue.changes(model, 0)))
            elif action == "delete" and living:
                row_id = choice.choice(sorted(living))  # type: ignore[attr-defined]
                catalogue.delete_segment(living.pop(row_id))
            elif action != "delete":
                name = f"photo-{next(serial)}"
                row_ids = add(catalogue, name, 1 + (action == "add two"), model)
                living.update((row_id, f"{name}_segment_{n}") for n, row_id in enumerate(row_ids))

    def test_a_follower_of_many_writers_misses_nothing(self, world: World) -> None:
        added: list[int] = []
        finished = threading.Event()

        def follow() -> set[int]:
            reader, seen, followed = world.open_another(), 0, set[int]()
            while not finished.is_set():
                changes = reader.changes(MODEL, seen)
                seen, followed = changes.last_commit, followed | set(written(changes))
            return followed | set(written(reader.changes(MODEL, seen)))

        with ThreadPoolExecutor(5) as pool:
            follower = pool.submit(follow)
            for row_ids in pool.map(lambda n: add(world.catalogue, f"photo-{n}"), range(40)):
                added += row_ids
            finished.set()
            assert follower.result() == set(added)


class TestLateCommits:
    """Row numbers in one order, commits in the other."""

    def test_a_transaction_that_commits_late_is_found(self, mysql: SqlCatalog) -> None:
        with mysql.transaction(writes=True) as slow:
            late = [segment.row_id for segment in insert_rows(slow, "slow", [garment("slow")], MODEL)]
            early = add(mysql, "fast")
            seen = mysql.changes(MODEL, 0)
            number_rows(slow, late)
        assert late < early
        assert written(seen) == early
        assert written(mysql.changes(MODEL, seen.last_commit)) == late

    def test_nobody_overtakes_between_number_and_commit(self, mysql: SqlCatalog) -> None:
        with ThreadPoolExecutor(1) as pool:
            with mysql.transaction(writes=True) as slow:
                late = [segment.row_id for segment in insert_rows(slow, "slow", [garment("slow")], MODEL)]
                number_rows(slow, late)
                other = pool.submit(add, mysql, "fast")
                time.sleep(0.2)
                assert not other.done()
                assert mysql.changes(MODEL, 0).last_commit == 0
            early = other.result()
        assert written(mysql.changes(MODEL, 0)) == late + early
        assert written(mysql.changes(MODEL, 1)) == early

    def test_those_who_waited_for_one_that_gave_up_agree(self, mysql: SqlCatalog) -> None:
        # they deadlock over the photo's name, and are tried again
        with ThreadPoolExecutor(6) as pool:
            with pytest.raises(Cancelled), mysql.transaction(writes=True) as slow:
                slow.execute(metadata.tables["originals"].insert().values(photo_row(photo())))
                others = [pool.submit(add, mysql) for _ in range(6)]
                time.sleep(0.3)
                raise Cancelled("It gave up")
            errors = [other.exception() for other in others]
        assert [type(error) for error in errors if error] == [Conflict] * 5

    def test_one_snapshot(self, sql: SqlCatalog) -> None:
        add(sql, "old")
        with sql.transaction() as reader:
            read_in = type(sql).changes.__wrapped__  # type: ignore[attr-defined]
            before = read_in(sql, reader, MODEL, 0)
            add(sql, "new")
            sql.delete_segment("old_segment_0")
            after = read_in(sql, reader, MODEL, 0)
        assert (after.upto, written(after)) == (before.upto, written(before))
        assert sql.changes(MODEL, 0).last_commit == before.upto + 2
