"""The contract of the port `Catalogue`: jobs, product details, the ledger, and the database itself."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lookalike.adapters.catalog import SqlCatalog, open_catalog
from lookalike.adapters.catalog.segments import insert_rows
from lookalike.adapters.catalog.tables import metadata
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
    Caller,
    JobStatus,
    LedgerEntry,
    LedgerStatus,
    ProductDetails,
)
from lookalike.domain.ports import Catalog
from tests.contracts.rows import ANNA, ANYONE, BERT, MODEL, SOMEONE, World, add, garment, later, photo
from tests.fakes.catalog import FakeCatalog


class TestJobs:
    def test_from_start_to_end(self, catalogue: Catalog) -> None:
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

    def test_what_has_ended_stays_ended(self, catalogue: Catalog) -> None:
        catalogue.start_job("j1", "upload", ANNA)
        catalogue.finish_job("j1", JobStatus.FAILED)
        ended = catalogue.job("j1")
        assert catalogue.finish_job("j1", JobStatus.COMPLETED) is JobStatus.FAILED
        assert not catalogue.request_cancel("j1")
        catalogue.set_stage("j1", "embedding")
        assert catalogue.job("j1") == ended

    def test_no_such_job(self, catalogue: Catalog) -> None:
        assert catalogue.job("j1") is None
        assert not catalogue.request_cancel("j1")
        assert catalogue.cancel_requested(["j1"]) == catalogue.cancel_requested([]) == set()
        catalogue.set_stage("j1", "embedding")
        with pytest.raises(NotFound):
            catalogue.finish_job("j1", JobStatus.COMPLETED)

    def test_an_id_in_use_is_a_conflict_one_that_has_ended_is_not(self, catalogue: Catalog) -> None:
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

    def test_a_photo_completes_its_job(self, catalogue: Catalog) -> None:
        catalogue.start_job("j1", "upload", ANNA)
        catalogue.add_photo(photo(), [garment()], MODEL, "j1")
        job = catalogue.job("j1")
        assert job is not None
        assert job.status is JobStatus.COMPLETED
        assert job.finished is not None
        assert not catalogue.request_cancel("j1")

    def test_a_cancelled_job_leaves_nothing(self, catalogue: Catalog) -> None:
        catalogue.start_job("j1", "upload", ANNA)
        catalogue.request_cancel("j1")
        with pytest.raises(Cancelled):
            catalogue.add_photo(photo(), [garment()], MODEL, "j1")
        with pytest.raises(Cancelled):
            catalogue.add_segment(photo(), garment(), MODEL, "j1")
        assert catalogue.photo("look") is None
        assert catalogue.segment("look_segment_0") is None
        assert catalogue.changes(MODEL, 0).last_commit == 0
        job = catalogue.job("j1")
        assert job is not None
        assert job.status is JobStatus.PROCESSING

    @pytest.mark.parametrize("was_there", [True, False])
    def test_a_job_that_has_ended_stores_nothing(self, catalogue: Catalog, was_there: bool) -> None:
        if was_there:
            catalogue.start_job("j1", "upload", ANNA)
            catalogue.delete_finished_jobs(None, later())
        with pytest.raises(Conflict):
            catalogue.add_photo(photo(), [garment()], MODEL, "j1")
        assert catalogue.photo("look") is None

    def test_who_sees_which(self, catalogue: Catalog) -> None:
        callers = {"a1": ANNA, "b": BERT, "x": ANYONE, "y": SOMEONE, "a2": ANNA}
        for job_id, caller in callers.items():
            catalogue.start_job(job_id, "upload", caller)
            time.sleep(0.001)
        seen = {caller: [job.id for job in catalogue.list_jobs(caller)] for caller in callers.values()}
        assert seen == {ANNA: ["a2", "a1"], BERT: ["b"], ANYONE: ["x"], SOMEONE: ["y"]}
        assert [job.id for job in catalogue.list_jobs(ANNA, limit=1)] == ["a2"]
        assert catalogue.list_jobs(Caller(user="Anna")) == []

    def test_cleaning_forgets_what_has_ended_and_fails_what_hangs(self, catalogue: Catalog) -> None:
        for job_id, caller in {"ended": ANNA, "hangs": ANNA, "other": BERT}.items():
            catalogue.start_job(job_id, "upload", caller)
        catalogue.finish_job("ended", JobStatus.COMPLETED)
        assert catalogue.delete_finished_jobs(ANNA, datetime.now(UTC) - timedelta(hours=1)) == 0
        assert catalogue.delete_finished_jobs(ANNA, later()) == 2
        assert catalogue.job("ended") is None
        hangs, other = catalogue.job("hangs"), catalogue.job("other")
        assert hangs is not None
        assert other is not None
        assert (hangs.status, other.status) == (JobStatus.FAILED, JobStatus.PROCESSING)
        assert hangs.finished is not None
        assert catalogue.delete_finished_jobs(None, later()) == 2

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
    def test_all_fields(self, catalogue: Catalog) -> None:
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

    def test_thousands_with_repetitions(self, catalogue: Catalog) -> None:
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
    def test_what_cannot_be_kept_is_refused_with_all_the_rest(self, catalogue: Catalog, broken: ProductDetails) -> None:
        with pytest.raises(InvalidField) as refusal:
            catalogue.put_details([ProductDetails("00"), broken])
        assert "field" in refusal.value.details
        assert catalogue.details(["00", "01"]) == {}

    def test_replacing_keeps_when_it_was_made(self, sql: SqlCatalog) -> None:
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
    def test_entries_by_generation(self, catalogue: Catalog) -> None:
        first = LedgerEntry("inbox", "a.jpg", "9", LedgerStatus.FAILED, reason="not an image")
        second = LedgerEntry("inbox", "a.jpg", "10", LedgerStatus.DONE, photo="a")
        elsewhere = LedgerEntry("other", "a.jpg", "9", LedgerStatus.DONE)
        for entry in (second, first, elsewhere):
            catalogue.record_ledger_entry(entry)
        assert catalogue.ledger_entries("inbox", ["a.jpg", "b.jpg"]) == [first, second]
        assert catalogue.ledger_entries("other", ["a.jpg"]) == [elsewhere]
        assert catalogue.ledger_entries("inbox", []) == []

    def test_an_entry_is_replaced(self, catalogue: Catalog) -> None:
        catalogue.record_ledger_entry(LedgerEntry("inbox", "a.jpg", "9", LedgerStatus.FAILED, reason="broken"))
        done = LedgerEntry("inbox", "a.jpg", "9", LedgerStatus.DONE, photo="a")
        catalogue.record_ledger_entry(done)
        assert catalogue.ledger_entries("inbox", ["a.jpg"]) == [done]

    def test_entries_of_a_photo(self, catalogue: Catalog) -> None:
        """Of that very name, in that very case."""
        old, new = (LedgerEntry("inbox", "a.jpg", number, LedgerStatus.DONE, photo="a") for number in ("9", "10"))
        for entry in (new, old, *(replace(old, name=f"{name}.jpg", photo=name) for name in ("A", "b"))):
            catalogue.record_ledger_entry(entry)
        assert catalogue.ledger_entries_of_photo("a") == [old, new]
        assert catalogue.ledger_entries_of_photo("nothing") == []

    def test_any_name_of_a_file(self, catalogue: Catalog) -> None:
        names = ["x" * 2000, "A.jpg", "a.jpg", "a.jpg ", "bad\udcff.jpg", "é/👗.png"]
        for name in names:
            catalogue.record_ledger_entry(LedgerEntry("/in box/", name, "1", LedgerStatus.DONE))
        assert [entry.name for entry in catalogue.ledger_entries("/in box/", names)] == sorted(names)


class TestTheDatabase:
    def test_ping(self, catalogue: Catalog) -> None:
        catalogue.ping()

    def test_two_processes_write_at_once(self, sql: SqlCatalog, world: World) -> None:
        script = (
            "import sys\n"
            "from lookalike.adapters.catalog import open_catalogue\n"
            "from tests.contracts.rows import add\n"
            "catalogue = open_catalogue(sys.argv[1])\n"
            "for number in range(15): add(catalogue, f'{sys.argv[2]}-{number}')\n"
            "catalogue.close()"
        )
        command = [sys.executable, "-c", script, str(world.url)]
        processes = [subprocess.Popen([*command, name]) for name in ("first", "second")]
        assert [process.wait(timeout=60) for process in processes] == [0, 0]
        changes = sql.changes(MODEL, 0)
        assert (len(changes.row_ids), changes.last_commit) == (30, 30)

    def test_a_reader_does_not_wait_for_a_writer(self, sql: SqlCatalog) -> None:
        add(sql)
        with sql.transaction(writes=True) as tx:
            insert_rows(tx, "other", [garment("other")], MODEL)
            assert len(sql.changes(MODEL, 0).row_ids) == 1
            assert sql.segment("other_segment_0") is None

    def test_nothing_connects_before_the_first_call(self, tmp_path: Path) -> None:
        catalogue = open_catalog(f"sqlite:///{tmp_path / 'new.db'}")
        assert list(tmp_path.iterdir()) == []
        with closing(catalogue), pytest.raises(Unavailable, match="lookalike db upgrade"):
            catalogue.ping()
        with closing(catalogue), pytest.raises(Unavailable, match="lookalike db upgrade"):
            catalogue.segment("look_segment_0")

    @pytest.mark.parametrize("url", ["sqlite:////no/such/folder/a.db", "mysql+pymysql://me:secret@127.0.0.1:9/shop"])
    def test_an_absent_database_is_unavailable_and_tells_nothing(self, url: str) -> None:
        with closing(open_catalog(url)) as catalogue, pytest.raises(Unavailable) as error:
            catalogue.changes(MODEL, 0)
        for secret in ("secret", "SELECT", "127.0.0.1", "folder"):
            assert secret not in error.value.message

    @pytest.mark.parametrize("url", ["", "sqlite://", "sqlite:///:memory:", "postgresql://a:secret@b/c", "mysql://a/b"])
    def test_other_addresses_are_refused(self, url: str) -> None:
        with pytest.raises(Misconfigured) as error:
            open_catalog(url)
        assert "secret" not in error.value.message

    def test_the_fake_can_be_away(self) -> None:
        fake = FakeCatalog()
        fake.away = True
        with pytest.raises(LookalikeError):
            fake.ping()
