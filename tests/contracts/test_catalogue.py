"""The contract of the port `Catalogue`, run on the fake, SQLite, and MySQL or MariaDB where there is one."""

import itertools
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lookalike.adapters.catalogue import SqlCatalogue, open_catalogue, upgrade
from lookalike.adapters.catalogue.commits import number_rows
from lookalike.adapters.catalogue.segments import insert_rows
from lookalike.adapters.catalogue.tables import metadata
from lookalike.adapters.catalogue.values import photo_row
from lookalike.domain.errors import (
    Cancelled,
    Conflict,
    InvalidField,
    LookalikeError,
    Misconfigured,
    NotFound,
    Unavailable,
)
from lookalike.domain.model import (
    Box,
    Caller,
    Changes,
    JobStatus,
    LedgerEntry,
    LedgerStatus,
    NewSegment,
    Photo,
    ProductDetails,
)
from lookalike.domain.ports import Catalogue
from tests.contracts.databases import KINDS, fresh_database
from tests.fakes.catalogue import FakeCatalogue

MODEL = "compact-1"
ANNA, BERT = Caller(user="anna", address="10.0.0.1"), Caller(user="bert", address="10.0.0.1")
ANYONE, SOMEONE = Caller(address="10.0.0.1"), Caller(address="10.0.0.2")
serial = itertools.count()
few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass
class World:
    """A catalogue, and how another process opens the same one."""

    catalogue: Catalogue
    open_another: Callable[[], Catalogue]
    url: str | None = None


@pytest.fixture(scope="session", params=["fake", *KINDS])
def template(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str | None]:
    """An address whose tables are made once; none for the fake."""
    if request.param == "fake":
        yield None
        return
    with fresh_database(request.param, tmp_path_factory.mktemp("template")) as url:
        upgrade(url)
        yield url


@pytest.fixture
def world(template: str | None, tmp_path: Path) -> Iterator[World]:
    if template is None:
        fake = FakeCatalogue()
        yield World(fake, lambda: fake)
        return
    url = clean(template, tmp_path)
    with ExitStack() as stack:

        def open_one() -> SqlCatalogue:
            return stack.enter_context(closing(open_catalogue(url, pool_size=12)))

        yield World(open_one(), open_one, url)


def clean(template: str, folder: Path) -> str:
    if template.startswith("sqlite"):
        shutil.copy(template.removeprefix("sqlite:///"), folder / "copy.db")
        return f"sqlite:///{folder / 'copy.db'}"
    with closing(open_catalogue(template)) as catalogue, catalogue.transaction(writes=True) as tx:
        for table in metadata.sorted_tables:
            if table.name != "commits":
                tx.execute(table.delete())
        tx.execute(metadata.tables["commits"].update().values(number=0))
    return template


@pytest.fixture
def catalogue(world: World) -> Catalogue:
    return world.catalogue


@pytest.fixture
def sql(world: World) -> SqlCatalogue:
    if not isinstance(world.catalogue, SqlCatalogue):
        pytest.skip("only where there is a database")
    return world.catalogue


@pytest.fixture
def mysql(sql: SqlCatalogue) -> SqlCatalogue:
    if sql.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    return sql


def photo(name: str = "look") -> Photo:
    return Photo(name, "ab" * 32, 300, 400, f"{name}/original.jpg", "anna")


def garment(name: str = "look", number: int = 0, vector: tuple[float, ...] = (0.6, 0.8)) -> NewSegment:
    return NewSegment(
        name=f"{name}_segment_{number}",
        path=f"{name}/segment_{number}.png",
        thumbnail=f"{name}/segment_{number}.webp",
        box=Box(1, 2.25, 30, 40.5),
        label="dress",
        score=0.75,
        vector=np.array(vector, np.float32),
    )


def add(catalogue: Catalogue, name: str = "look", count: int = 1, embedder: str = MODEL) -> list[int]:
    segments = [garment(name, number, (float(number), 1.0)) for number in range(count)]
    return [segment.row_id for segment in catalogue.add_photo(photo(name), segments, embedder)]


def written(changes: Changes) -> list[int]:
    return [int(row_id) for row_id in changes.row_ids]


def gone(changes: Changes) -> list[int]:
    return [int(row_id) for row_id in changes.deleted]


def later() -> datetime:
    return datetime.now(UTC) + timedelta(minutes=1)


class TestPhotos:
    def test_a_photo_and_its_segments_are_read_as_they_were_written(self, catalogue: Catalogue) -> None:
        before = datetime.now(UTC).replace(microsecond=0)
        first, second = catalogue.add_photo(photo(), [garment(), garment(number=1)], MODEL)
        assert catalogue.photo("look") == photo()
        assert catalogue.segment("look_segment_0") == catalogue.segment(first.row_id) == first
        assert catalogue.segments_of("look") == [first, second]
        assert (first.name, first.path, first.thumbnail, first.photo, first.label) == (
            ("look_segment_0", "look/segment_0.png", "look/segment_0.webp", "look", "dress")
        )
        assert (first.box, first.score) == (Box(1, 2.25, 30, 40.5), 0.75)
        assert before <= first.created <= datetime.now(UTC)

    def test_nothing_is_found_of_what_is_not_there(self, catalogue: Catalogue) -> None:
        assert catalogue.photo("look") is None
        assert catalogue.segment("look_segment_0") is None
        assert catalogue.segments_of("look") == []
        assert catalogue.segments([]) == {}

    @pytest.mark.parametrize("number", [0, -1, 1, 2**31, 2**63, 2**70])
    def test_any_number_may_be_asked_for(self, catalogue: Catalogue, number: int) -> None:
        assert catalogue.segment(number) is None
        assert catalogue.segments([number]) == {}

    def test_segments_takes_the_numbers_of_an_index(self, catalogue: Catalogue) -> None:
        row_ids = add(catalogue, count=3)
        found = catalogue.segments(list(np.array([*row_ids, 10_000], np.int64)))
        assert list(found) == row_ids
        assert all(key == segment.row_id for key, segment in found.items())

    def test_more_names_than_one_statement_takes(self, catalogue: Catalogue) -> None:
        row_ids = add(catalogue, count=2)
        assert len(catalogue.segments([*row_ids, *range(1000, 3000)])) == 2
        paths = [f"nothing/{number}" for number in range(1200)]
        assert catalogue.known_paths([*paths, "look/segment_1.png"]) == {"look/segment_1.png"}

    def test_names_that_differ_in_case_or_accents_are_different(self, catalogue: Catalogue) -> None:
        for name in ("robe", "Robe", "robé", "robe\u0301"):
            add(catalogue, name)
        assert [segment.photo for segment in catalogue.segments_of("Robe")] == ["Robe"]

    def test_the_same_name_twice_is_a_conflict_that_changes_nothing(self, catalogue: Catalogue) -> None:
        add(catalogue)
        before = catalogue.changes(MODEL, 0)
        with pytest.raises(Conflict):
            catalogue.add_photo(photo(), [garment(number=7)], MODEL)
        with pytest.raises(Conflict):
            catalogue.add_photo(photo("other"), [garment("other"), garment()], MODEL)
        assert catalogue.photo("other") is None
        assert catalogue.changes(MODEL, 0).upto == before.upto
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
        assert len(world.catalogue.segments_of("look")) == 2

    def test_add_segment_makes_the_photo_once(self, catalogue: Catalogue) -> None:
        added = [catalogue.add_segment(photo(), garment(number=number), MODEL) for number in range(2)]
        assert catalogue.photo("look") == photo()
        assert catalogue.segments_of("look") == added
        with pytest.raises(Conflict):
            catalogue.add_segment(photo(), garment(), MODEL)

    def test_ten_segments_of_one_new_photo_at_once(self, catalogue: Catalogue) -> None:
        with ThreadPoolExecutor(10) as pool:
            for done in [pool.submit(catalogue.add_segment, photo(), garment(number=n), MODEL) for n in range(10)]:
                done.result()
        assert len(catalogue.segments_of("look")) == 10

    def test_a_segment_is_described_anew(self, catalogue: Catalogue) -> None:
        (row_id,) = add(catalogue)
        box = Box(0, 0, 5.5, 6)
        described = catalogue.describe_segment("look_segment_0", {"bounding_box": box, "label": "skirt", "score": 0.5})
        assert described == catalogue.segment(row_id)
        assert described is not None
        assert (described.box, described.label, described.score) == (box, "skirt", 0.5)
        assert catalogue.describe_segment("nothing", {"label": "skirt"}) is None

    @pytest.mark.parametrize(
        "changes",
        [{"id": 3}, {"label": 3}, {"bounding_box": "[1]"}, {"label": "x" * 300}, {"score": float("nan")}],
    )
    def test_a_wrong_description_is_refused(self, catalogue: Catalogue, changes: dict[str, object]) -> None:
        add(catalogue)
        with pytest.raises(InvalidField):
            catalogue.describe_segment("look_segment_0", changes)

    def test_the_photo_goes_with_its_last_segment(self, catalogue: Catalogue) -> None:
        first, second = add(catalogue, count=2)
        deleted = catalogue.delete_segment("look_segment_0")
        assert deleted is not None
        assert deleted.row_id == first
        assert catalogue.photo("look") == photo()
        catalogue.delete_segment("look_segment_1")
        assert catalogue.photo("look") is None
        assert catalogue.segments([first, second]) == {}
        assert catalogue.delete_segment("look_segment_1") is None

    def test_row_numbers_are_never_used_again(self, catalogue: Catalogue) -> None:
        (first,) = add(catalogue, "one")
        catalogue.delete_segment("one_segment_0")
        (second,) = add(catalogue, "two")
        assert second > first

    def test_known_paths(self, catalogue: Catalogue) -> None:
        add(catalogue)
        known = {"look/segment_0.png", "look/segment_0.webp", "look/original.jpg"}
        assert catalogue.known_paths([*known, "look/segment_1.png", "Look/original.jpg"]) == known
        assert catalogue.known_paths([]) == set()

    @few
    @given(name=st.text(max_size=30) | st.sampled_from(["'", '"; DROP TABLE jobs', "a\0b", "\ud800", "é ", "x" * 256]))
    def test_any_name_is_kept_as_it_is_or_refused(self, catalogue: Catalogue, name: str) -> None:
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
        assert [one.photo for one in catalogue.segments_of(name)] == [name]
        catalogue.delete_segment(segment.name)

    @pytest.mark.parametrize("name", ["a\0b", "\udcff", "robe ", "x" * 256])
    def test_what_some_database_would_change_is_refused(self, catalogue: Catalogue, name: str) -> None:
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
    def test_nothing_has_happened_yet(self, catalogue: Catalogue) -> None:
        changes = catalogue.changes(MODEL, 0)
        assert (changes.upto, written(changes), gone(changes)) == (0, [], [])
        assert changes.vectors.dtype == np.float32
        assert len(changes.vectors) == 0

    def test_vectors_come_back_bit_for_bit(self, catalogue: Catalogue) -> None:
        vectors = np.random.default_rng(0).normal(size=(5, 2048)).astype(np.float32)
        segments = [garment(number=number, vector=tuple(vector)) for number, vector in enumerate(vectors)]
        stored = catalogue.add_photo(photo(), segments, MODEL)
        changes = catalogue.changes(MODEL, 0)
        assert written(changes) == [segment.row_id for segment in stored]
        assert changes.row_ids.dtype == np.int64
        assert changes.vectors.dtype == np.float32
        np.testing.assert_array_equal(changes.vectors, vectors)

    def test_only_what_came_after(self, catalogue: Catalogue) -> None:
        add(catalogue, "old", 2)
        seen = catalogue.changes(MODEL, 0).upto
        new = add(catalogue, "new", 2)
        changes = catalogue.changes(MODEL, seen)
        assert (written(changes), gone(changes)) == (new, [])
        assert changes.upto > seen
        assert written(catalogue.changes(MODEL, changes.upto)) == []

    def test_one_embedder_does_not_see_the_other(self, catalogue: Catalogue) -> None:
        ours, theirs = add(catalogue, "ours"), add(catalogue, "theirs", embedder="full-1")
        seen = catalogue.changes(MODEL, 0)
        assert written(seen) == ours
        assert written(catalogue.changes("full-1", 0)) == theirs
        catalogue.delete_segment("theirs_segment_0")
        assert gone(catalogue.changes(MODEL, seen.upto)) == []
        assert gone(catalogue.changes("full-1", seen.upto)) == theirs

    def test_deletions(self, catalogue: Catalogue) -> None:
        (old,) = add(catalogue, "old")
        seen = catalogue.changes(MODEL, 0).upto
        (brief,) = add(catalogue, "brief")
        catalogue.delete_segment("brief_segment_0")
        catalogue.delete_segment("old_segment_0")
        changes = catalogue.changes(MODEL, seen)
        assert (written(changes), gone(changes)) == ([], [old, brief])
        assert gone(catalogue.changes(MODEL, 0)) == []

    @few
    @given(
        actions=st.lists(st.sampled_from(["add", "add two", "delete", "look"]), max_size=15),
        choice=st.randoms(),
    )
    def test_a_follower_knows_what_lives(self, catalogue: Catalogue, actions: list[str], choice: object) -> None:
        model, living, followed, seen = f"model-{next(serial)}", dict[int, str](), set[int](), 0
        for action in [*actions, "look"]:
            if action == "look":
                changes = catalogue.changes(model, seen)
                assert not set(written(changes)) & set(gone(changes))
                followed = (followed | set(written(changes))) - set(gone(changes))
                seen = changes.upto
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
                seen, followed = changes.upto, followed | set(written(changes))
            return followed | set(written(reader.changes(MODEL, seen)))

        with ThreadPoolExecutor(5) as pool:
            follower = pool.submit(follow)
            for row_ids in pool.map(lambda n: add(world.catalogue, f"photo-{n}"), range(40)):
                added += row_ids
            finished.set()
            assert follower.result() == set(added)


class TestLateCommits:
    """Row numbers in one order, commits in the other."""

    def test_a_transaction_that_commits_late_is_found(self, mysql: SqlCatalogue) -> None:
        with mysql.transaction(writes=True) as slow:
            late = [segment.row_id for segment in insert_rows(slow, "slow", [garment("slow")], MODEL)]
            early = add(mysql, "fast")
            seen = mysql.changes(MODEL, 0)
            number_rows(slow, late)
        assert late < early
        assert written(seen) == early
        assert written(mysql.changes(MODEL, seen.upto)) == late

    def test_nobody_overtakes_between_number_and_commit(self, mysql: SqlCatalogue) -> None:
        with ThreadPoolExecutor(1) as pool:
            with mysql.transaction(writes=True) as slow:
                late = [segment.row_id for segment in insert_rows(slow, "slow", [garment("slow")], MODEL)]
                number_rows(slow, late)
                other = pool.submit(add, mysql, "fast")
                time.sleep(0.2)
                assert not other.done()
                assert mysql.changes(MODEL, 0).upto == 0
            early = other.result()
        assert written(mysql.changes(MODEL, 0)) == late + early
        assert written(mysql.changes(MODEL, 1)) == early

    def test_those_who_waited_for_one_that_gave_up_agree(self, mysql: SqlCatalogue) -> None:
        # they deadlock over the photo's name, and are tried again
        with ThreadPoolExecutor(6) as pool:
            with pytest.raises(Cancelled), mysql.transaction(writes=True) as slow:
                slow.execute(metadata.tables["originals"].insert().values(photo_row(photo())))
                others = [pool.submit(add, mysql) for _ in range(6)]
                time.sleep(0.3)
                raise Cancelled("It gave up")
            errors = [other.exception() for other in others]
        assert [type(error) for error in errors if error] == [Conflict] * 5

    def test_one_snapshot(self, sql: SqlCatalogue) -> None:
        add(sql, "old")
        with sql.transaction() as reader:
            read_in = type(sql).changes.__wrapped__  # type: ignore[attr-defined]
            before = read_in(sql, reader, MODEL, 0)
            add(sql, "new")
            sql.delete_segment("old_segment_0")
            after = read_in(sql, reader, MODEL, 0)
        assert (after.upto, written(after)) == (before.upto, written(before))
        assert sql.changes(MODEL, 0).upto == before.upto + 2


class TestJobs:
    def test_from_start_to_end(self, catalogue: Catalogue) -> None:
        before = datetime.now(UTC)
        job = catalogue.start_job("j1", "upload", ANNA)
        assert job == catalogue.job("j1")
        assert (job.kind, job.owner, job.address, job.stage) == ("upload", "anna", "10.0.0.1", "")
        assert (job.status, job.cancel_requested, job.finished) == (JobStatus.PROCESSING, False, None)
        assert before <= job.created <= job.updated <= datetime.now(UTC)
        catalogue.set_stage("j1", "embedding")
        assert catalogue.finish_job("j1", JobStatus.COMPLETED) is JobStatus.COMPLETED
        ended = catalogue.job("j1")
        assert ended is not None
        assert (ended.stage, ended.status) == ("embedding", JobStatus.COMPLETED)
        assert ended.finished is not None
        assert job.created <= ended.finished == ended.updated

    def test_what_has_ended_stays_ended(self, catalogue: Catalogue) -> None:
        catalogue.start_job("j1", "upload", ANNA)
        catalogue.finish_job("j1", JobStatus.FAILED)
        ended = catalogue.job("j1")
        assert catalogue.finish_job("j1", JobStatus.COMPLETED) is JobStatus.FAILED
        assert not catalogue.request_cancel("j1")
        catalogue.set_stage("j1", "embedding")
        assert catalogue.job("j1") == ended

    def test_no_such_job(self, catalogue: Catalogue) -> None:
        assert catalogue.job("j1") is None
        assert not catalogue.request_cancel("j1")
        assert catalogue.cancel_requested(["j1"]) == catalogue.cancel_requested([]) == set()
        catalogue.set_stage("j1", "embedding")
        with pytest.raises(NotFound):
            catalogue.finish_job("j1", JobStatus.COMPLETED)

    def test_an_id_in_use_is_a_conflict_one_that_has_ended_is_not(self, catalogue: Catalogue) -> None:
        catalogue.start_job("j1", "upload", ANNA)
        with pytest.raises(Conflict):
            catalogue.start_job("j1", "search", BERT)
        catalogue.request_cancel("j1")
        catalogue.finish_job("j1", JobStatus.CANCELLED)
        job = catalogue.start_job("j1", "search", BERT)
        assert (job.owner, job.cancel_requested, job.finished) == ("bert", False, None)

    def test_another_process_cancels(self, world: World) -> None:
        world.catalogue.start_job("j1", "upload", ANNA)
        world.catalogue.start_job("j2", "upload", ANNA)
        assert world.catalogue.cancel_requested(["j1", "j2"]) == set()
        another = world.open_another()
        assert another.request_cancel("j1")
        assert another.request_cancel("j1")
        assert world.catalogue.cancel_requested(["j1", "j2"]) == {"j1"}
        assert world.catalogue.finish_job("j1", JobStatus.COMPLETED) is JobStatus.CANCELLED
        assert world.catalogue.finish_job("j2", JobStatus.COMPLETED) is JobStatus.COMPLETED

    def test_a_photo_completes_its_job(self, catalogue: Catalogue) -> None:
        catalogue.start_job("j1", "upload", ANNA)
        catalogue.add_photo(photo(), [garment()], MODEL, "j1")
        job = catalogue.job("j1")
        assert job is not None
        assert job.status is JobStatus.COMPLETED
        assert job.finished is not None
        assert not catalogue.request_cancel("j1")

    def test_a_cancelled_job_leaves_nothing(self, catalogue: Catalogue) -> None:
        catalogue.start_job("j1", "upload", ANNA)
        catalogue.request_cancel("j1")
        with pytest.raises(Cancelled):
            catalogue.add_photo(photo(), [garment()], MODEL, "j1")
        with pytest.raises(Cancelled):
            catalogue.add_segment(photo(), garment(), MODEL, "j1")
        assert catalogue.photo("look") is None
        assert catalogue.segment("look_segment_0") is None
        assert catalogue.changes(MODEL, 0).upto == 0
        job = catalogue.job("j1")
        assert job is not None
        assert job.status is JobStatus.PROCESSING

    @pytest.mark.parametrize("was_there", [True, False])
    def test_a_job_that_has_ended_stores_nothing(self, catalogue: Catalogue, was_there: bool) -> None:
        if was_there:
            catalogue.start_job("j1", "upload", ANNA)
            catalogue.clean_jobs(None, later())
        with pytest.raises(Conflict):
            catalogue.add_photo(photo(), [garment()], MODEL, "j1")
        assert catalogue.photo("look") is None

    def test_who_sees_which(self, catalogue: Catalogue) -> None:
        callers = {"a1": ANNA, "b": BERT, "x": ANYONE, "y": SOMEONE, "a2": ANNA}
        for job_id, caller in callers.items():
            catalogue.start_job(job_id, "upload", caller)
            time.sleep(0.001)
        seen = {caller: [job.id for job in catalogue.jobs_of(caller)] for caller in callers.values()}
        assert seen == {ANNA: ["a2", "a1"], BERT: ["b"], ANYONE: ["x"], SOMEONE: ["y"]}
        assert [job.id for job in catalogue.jobs_of(ANNA, limit=1)] == ["a2"]
        assert catalogue.jobs_of(Caller(user="Anna")) == []

    def test_cleaning_forgets_what_has_ended_and_fails_what_hangs(self, catalogue: Catalogue) -> None:
        for job_id, caller in {"ended": ANNA, "hangs": ANNA, "other": BERT}.items():
            catalogue.start_job(job_id, "upload", caller)
        catalogue.finish_job("ended", JobStatus.COMPLETED)
        assert catalogue.clean_jobs(ANNA, datetime.now(UTC) - timedelta(hours=1)) == 0
        assert catalogue.clean_jobs(ANNA, later()) == 2
        assert catalogue.job("ended") is None
        hangs, other = catalogue.job("hangs"), catalogue.job("other")
        assert hangs is not None
        assert other is not None
        assert (hangs.status, other.status) == (JobStatus.FAILED, JobStatus.PROCESSING)
        assert hangs.finished is not None
        assert catalogue.clean_jobs(None, later()) == 2

    def test_cancelling_and_storing_at_once_agree(self, world: World) -> None:
        for attempt in range(10):
            name = f"look-{attempt}"
            world.catalogue.start_job(name, "upload", ANNA)
            with ThreadPoolExecutor(2) as pool:
                storing = pool.submit(world.catalogue.add_photo, photo(name), [garment(name)], MODEL, name)
                cancelled = pool.submit(world.open_another().request_cancel, name).result()
            assert isinstance(storing.exception(), Cancelled) == cancelled
            assert (world.catalogue.photo(name) is None) == cancelled


class TestDetails:
    def test_all_fields(self, catalogue: Catalogue) -> None:
        dress = ProductDetails(
            image_id="01",
            store_name="Fashion Store",
            brand="Élan 👗",
            product_name='It\'s a "dress"; --',
            store_description="long " * 500,
            url="https://shop.example/1",
            rating=4.5,
            tags=["casual", "été"],
            sale_status="in_stock",
            size=["S", "M"],
            waist_type="high",
            listing_season="2024Spring",
            season="summer",
        )
        bare = ProductDetails("02")
        assert catalogue.put_details([dress, bare]) == 2
        assert catalogue.details(["01", "02", "03"]) == {"01": dress, "02": bare}
        assert catalogue.put_details([ProductDetails("01", brand="Other", tags=[])]) == 1
        assert catalogue.details(["01"]) == {"01": ProductDetails("01", brand="Other", tags=[])}

    def test_thousands_with_repetitions(self, catalogue: Catalogue) -> None:
        many = (ProductDetails(f"{number % 4000:05}", brand=f"brand {number}") for number in range(5000))
        assert catalogue.put_details(many) == 5000
        found = catalogue.details([f"{number:05}" for number in range(6000)])
        assert len(found) == 4000
        assert found["00007"].brand == "brand 4007"
        assert found["03999"].brand == "brand 3999"
        assert catalogue.put_details([]) == 0

    @pytest.mark.parametrize(
        "broken",
        [
            ProductDetails("01", brand="x" * 256),
            ProductDetails("01", store_description="\ud800"),
            ProductDetails("01", tags=["\ud800"]),
            ProductDetails("01", rating=float("nan")),
            ProductDetails("01", season="x" * 51),
        ],
    )
    def test_what_cannot_be_kept_is_refused_with_all_the_rest(
        self, catalogue: Catalogue, broken: ProductDetails
    ) -> None:
        with pytest.raises(InvalidField) as refusal:
            catalogue.put_details([ProductDetails("00"), broken])
        assert "field" in refusal.value.details
        assert catalogue.details(["00", "01"]) == {}

    def test_replacing_keeps_when_it_was_made(self, sql: SqlCatalogue) -> None:
        table = metadata.tables["image_details"]
        sql.put_details([ProductDetails("01")])
        with sql.transaction(writes=True) as tx:
            tx.execute(table.update().values(create_time=datetime(2020, 1, 1), update_time=datetime(2020, 1, 1)))
        sql.put_details([ProductDetails("01", brand="new")])
        with sql.transaction() as tx:
            made, changed = tx.execute(table.select().with_only_columns(table.c.create_time, table.c.update_time)).one()
        assert made == datetime(2020, 1, 1)
        assert changed > made


class TestLedger:
    def test_entries_by_generation(self, catalogue: Catalogue) -> None:
        first = LedgerEntry("inbox", "a.jpg", "9", LedgerStatus.FAILED, reason="not an image")
        second = LedgerEntry("inbox", "a.jpg", "10", LedgerStatus.DONE, photo="a")
        elsewhere = LedgerEntry("other", "a.jpg", "9", LedgerStatus.DONE)
        for entry in (second, first, elsewhere):
            catalogue.record(entry)
        assert catalogue.ledger("inbox", ["a.jpg", "b.jpg"]) == [first, second]
        assert catalogue.ledger("other", ["a.jpg"]) == [elsewhere]
        assert catalogue.ledger("inbox", []) == []

    def test_an_entry_is_replaced(self, catalogue: Catalogue) -> None:
        catalogue.record(LedgerEntry("inbox", "a.jpg", "9", LedgerStatus.FAILED, reason="broken"))
        done = LedgerEntry("inbox", "a.jpg", "9", LedgerStatus.DONE, photo="a")
        catalogue.record(done)
        assert catalogue.ledger("inbox", ["a.jpg"]) == [done]

    def test_any_name_of_a_file(self, catalogue: Catalogue) -> None:
        names = ["x" * 2000, "A.jpg", "a.jpg", "a.jpg ", "bad\udcff.jpg", "é/👗.png"]
        for name in names:
            catalogue.record(LedgerEntry("/in box/", name, "1", LedgerStatus.DONE))
        assert [entry.name for entry in catalogue.ledger("/in box/", names)] == sorted(names)


class TestTheDatabase:
    def test_ping(self, catalogue: Catalogue) -> None:
        catalogue.ping()

    def test_two_processes_write_at_once(self, sql: SqlCatalogue, world: World) -> None:
        script = (
            "import sys\n"
            "from tests.contracts.test_catalogue import add, open_catalogue\n"
            "catalogue = open_catalogue(sys.argv[1])\n"
            "for number in range(15): add(catalogue, f'{sys.argv[2]}-{number}')\n"
            "catalogue.close()"
        )
        command = [sys.executable, "-c", script, str(world.url)]
        processes = [subprocess.Popen([*command, name]) for name in ("first", "second")]
        assert [process.wait(timeout=60) for process in processes] == [0, 0]
        changes = sql.changes(MODEL, 0)
        assert (len(changes.row_ids), changes.upto) == (30, 30)

    def test_a_reader_does_not_wait_for_a_writer(self, sql: SqlCatalogue) -> None:
        add(sql)
        with sql.transaction(writes=True) as tx:
            insert_rows(tx, "other", [garment("other")], MODEL)
            assert len(sql.changes(MODEL, 0).row_ids) == 1
            assert sql.segment("other_segment_0") is None

    def test_nothing_connects_before_the_first_call(self, tmp_path: Path) -> None:
        catalogue = open_catalogue(f"sqlite:///{tmp_path / 'new.db'}")
        assert list(tmp_path.iterdir()) == []
        with closing(catalogue), pytest.raises(Unavailable, match="lookalike db upgrade"):
            catalogue.ping()
        with closing(catalogue), pytest.raises(Unavailable, match="lookalike db upgrade"):
            catalogue.segment("look_segment_0")

    @pytest.mark.parametrize("url", ["sqlite:////no/such/folder/a.db", "mysql+pymysql://me:secret@127.0.0.1:9/shop"])
    def test_an_absent_database_is_unavailable_and_tells_nothing(self, url: str) -> None:
        with closing(open_catalogue(url)) as catalogue, pytest.raises(Unavailable) as error:
            catalogue.changes(MODEL, 0)
        for secret in ("secret", "SELECT", "127.0.0.1", "folder"):
            assert secret not in error.value.message

    @pytest.mark.parametrize("url", ["", "sqlite://", "sqlite:///:memory:", "postgresql://a:secret@b/c", "mysql://a/b"])
    def test_other_addresses_are_refused(self, url: str) -> None:
        with pytest.raises(Misconfigured) as error:
            open_catalogue(url)
        assert "secret" not in error.value.message

    def test_the_fake_can_be_away(self) -> None:
        fake = FakeCatalogue()
        fake.away = True
        with pytest.raises(LookalikeError):
            fake.ping()
