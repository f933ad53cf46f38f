"""Contract of the port `Catalog`: jobs, product details, and the database itself."""

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
    Job,
    JobStatus,
    ProductDetails,
)
from lookalike.domain.ports import Catalog
from tests.contracts.rows import (
    ANNA,
    ANONYMOUS,
    BERT,
    MODEL,
    OTHER_ANONYMOUS,
    World,
    add_photo,
    garment,
    one_minute_later,
    photo,
)
from tests.contracts.test_api_keys import api_key
from tests.fakes.catalog import FakeCatalog


class TestJobs:
    def test_job_is_started_updated_and_finished(self, catalog: Catalog) -> None:
        before = datetime.now(UTC)
        job = catalog.start_job("j1", "upload", ANNA)
        assert job == catalog.job("j1")
        assert (job.kind, job.owner, job.address, job.stage) == ("upload", "anna", "10.0.0.1", "")
        assert (job.status, job.cancel_requested, job.finished) == (JobStatus.PROCESSING, False, None)
        assert before <= job.created <= job.updated <= datetime.now(UTC)
        catalog.set_job_stage("j1", "embedding")
        assert catalog.finish_job("j1", JobStatus.COMPLETED) is JobStatus.COMPLETED
        ended = catalog.job("j1")
        assert ended is not None
        assert (ended.stage, ended.status) == ("embedding", JobStatus.COMPLETED)
        assert ended.finished is not None
        assert job.created <= ended.finished == ended.updated

    def test_finished_jobs_are_added_with_their_times(self, catalog: Catalog) -> None:
        end = datetime.now(UTC)
        finished = [
            Job(
                f"j{number}", "search", "anna", "10.0.0.1", status, "", False, end - timedelta(seconds=number), end, end
            )
            for number, status in enumerate((JobStatus.COMPLETED, JobStatus.FAILED), 1)
        ]
        catalog.add_finished_jobs(finished)
        assert catalog.list_jobs(ANNA) == finished
        assert not catalog.request_cancel("j1") and catalog.job("j2") == finished[1]
        with pytest.raises(Conflict):
            catalog.add_finished_jobs([replace(finished[0], id="j3"), finished[1]])
        assert catalog.job("j3") is None

    def test_finished_job_cannot_be_changed(self, catalog: Catalog) -> None:
        catalog.start_job("j1", "upload", ANNA)
        catalog.finish_job("j1", JobStatus.FAILED)
        ended = catalog.job("j1")
        assert catalog.finish_job("j1", JobStatus.COMPLETED) is JobStatus.FAILED
        assert not catalog.request_cancel("j1")
        catalog.set_job_stage("j1", "embedding")
        assert catalog.job("j1") == ended

    def test_missing_job_is_not_found(self, catalog: Catalog) -> None:
        assert catalog.job("j1") is None
        assert not catalog.request_cancel("j1")
        assert catalog.cancel_requested(["j1"]) == catalog.cancel_requested([]) == set()
        catalog.set_job_stage("j1", "embedding")
        with pytest.raises(NotFound):
            catalog.finish_job("j1", JobStatus.COMPLETED)

    def test_start_job_replaces_only_finished_jobs(self, catalog: Catalog) -> None:
        catalog.start_job("j1", "upload", ANNA)
        with pytest.raises(Conflict):
            catalog.start_job("j1", "search", BERT)
        catalog.request_cancel("j1")
        catalog.finish_job("j1", JobStatus.CANCELLED)
        job = catalog.start_job("j1", "search", BERT)
        assert (job.owner, job.cancel_requested, job.finished) == ("bert", False, None)

    def test_cancellation_by_another_process_is_seen(self, world: World) -> None:
        world.catalog.start_job("j1", "upload", ANNA)
        world.catalog.start_job("j2", "upload", ANNA)
        assert world.catalog.cancel_requested(["j1", "j2"]) == set()
        another = world.open_another()
        assert another.request_cancel("j1")
        assert another.request_cancel("j1")
        assert world.catalog.cancel_requested(["j1", "j2"]) == {"j1"}
        assert world.catalog.finish_job("j1", JobStatus.COMPLETED) is JobStatus.CANCELLED
        assert world.catalog.finish_job("j2", JobStatus.COMPLETED) is JobStatus.COMPLETED

    def test_add_photo_completes_its_job(self, catalog: Catalog) -> None:
        catalog.start_job("j1", "upload", ANNA)
        catalog.add_photo(photo(), [garment()], MODEL, "j1")
        job = catalog.job("j1")
        assert job is not None
        assert job.status is JobStatus.COMPLETED
        assert job.finished is not None
        assert not catalog.request_cancel("j1")

    def test_cancelled_job_stores_nothing(self, catalog: Catalog) -> None:
        catalog.start_job("j1", "upload", ANNA)
        catalog.request_cancel("j1")
        with pytest.raises(Cancelled):
            catalog.add_photo(photo(), [garment()], MODEL, "j1")
        with pytest.raises(Cancelled):
            catalog.add_segment(photo(), garment(), MODEL, "j1")
        assert catalog.photo("look") is None
        assert catalog.segment("look_segment_0") is None
        assert catalog.changes(MODEL, 0).last_commit == 0
        job = catalog.job("j1")
        assert job is not None
        assert job.status is JobStatus.PROCESSING

    @pytest.mark.parametrize("exists", [True, False])
    def test_finished_or_missing_job_stores_nothing(self, catalog: Catalog, exists: bool) -> None:
        if exists:
            catalog.start_job("j1", "upload", ANNA)
            catalog.delete_finished_jobs(None, one_minute_later())
        with pytest.raises(Conflict):
            catalog.add_photo(photo(), [garment()], MODEL, "j1")
        assert catalog.photo("look") is None

    def test_list_jobs_returns_only_the_callers_jobs(self, catalog: Catalog) -> None:
        callers = {"a1": ANNA, "b": BERT, "x": ANONYMOUS, "y": OTHER_ANONYMOUS, "a2": ANNA}
        for job_id, caller in callers.items():
            catalog.start_job(job_id, "upload", caller)
            time.sleep(0.001)
        job_ids = {caller: [job.id for job in catalog.list_jobs(caller)] for caller in callers.values()}
        assert job_ids == {ANNA: ["a2", "a1"], BERT: ["b"], ANONYMOUS: ["x"], OTHER_ANONYMOUS: ["y"]}
        assert [job.id for job in catalog.list_jobs(ANNA, limit=1)] == ["a2"]
        assert catalog.list_jobs(Caller(user="Anna")) == []

    def test_jobs_of_an_api_key_are_separate_for_each_address(self, catalog: Catalog) -> None:
        here, there = Caller(address="10.0.0.1", key=api_key("one")), Caller(address="10.0.0.2", key=api_key("one"))
        other = Caller(address="10.0.0.1", key=api_key("two"))
        for number, caller in enumerate((here, there, other, ANONYMOUS)):
            job = catalog.start_job(str(number), "search", caller)
            assert job.owner == caller.owner
        job_ids = [[job.id for job in catalog.list_jobs(caller)] for caller in (here, there, other, ANONYMOUS)]
        assert job_ids == [["0"], ["1"], ["2"], ["3"]] and here.owner == "key:one"
        assert catalog.delete_finished_jobs(here, one_minute_later()) == 1

    def test_delete_finished_jobs_deletes_finished_and_fails_stale_jobs(self, catalog: Catalog) -> None:
        for job_id, caller in {"ended": ANNA, "hangs": ANNA, "other": BERT}.items():
            catalog.start_job(job_id, "upload", caller)
        catalog.finish_job("ended", JobStatus.COMPLETED)
        assert catalog.delete_finished_jobs(ANNA, datetime.now(UTC) - timedelta(hours=1)) == 0
        assert catalog.delete_finished_jobs(ANNA, one_minute_later()) == 2
        assert catalog.job("ended") is None
        hangs, other = catalog.job("hangs"), catalog.job("other")
        assert hangs is not None
        assert other is not None
        assert (hangs.status, other.status) == (JobStatus.FAILED, JobStatus.PROCESSING)
        assert hangs.finished is not None and hangs.error == "interrupted"
        assert catalog.delete_finished_jobs(None, one_minute_later()) == 2

    def test_concurrent_cancellation_and_upload_agree(self, world: World) -> None:
        for attempt in range(10):
            name = f"look-{attempt}"
            world.catalog.start_job(name, "upload", ANNA)
            with ThreadPoolExecutor(2) as pool:
                storing = pool.submit(world.catalog.add_photo, photo(name), [garment(name)], MODEL, name)
                cancelled = pool.submit(world.open_another().request_cancel, name).result()
            assert isinstance(storing.exception(), Cancelled) == cancelled
            assert (world.catalog.photo(name) is None) == cancelled


class TestDetails:
    def test_all_fields_are_stored_and_replaced(self, catalog: Catalog) -> None:
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
        assert catalog.put_details([dress, bare]) == 2
        assert catalog.details(["01", "02", "03"]) == {"01": dress, "02": bare}
        assert catalog.put_details([ProductDetails("01", brand="Other", tags=[])]) == 1
        assert catalog.details(["01"]) == {"01": ProductDetails("01", brand="Other", tags=[])}

    def test_put_details_accepts_many_rows_with_duplicates(self, catalog: Catalog) -> None:
        many = (ProductDetails(f"{number % 4000:05}", brand=f"brand {number}") for number in range(5000))
        assert catalog.put_details(many) == 5000
        found = catalog.details([f"{number:05}" for number in range(6000)])
        assert len(found) == 4000
        assert found["00007"].brand == "brand 4007"
        assert found["03999"].brand == "brand 3999"
        assert catalog.put_details([]) == 0

    @pytest.mark.parametrize(
        "invalid",
        [
            ProductDetails("01", brand="x" * 256),
            ProductDetails("01", store_description="\ud800"),
            ProductDetails("01", tags=["\ud800"]),
            ProductDetails("01", rating=float("nan")),
            ProductDetails("01", season="x" * 51),
        ],
    )
    def test_put_details_rejects_all_rows_if_one_is_invalid(self, catalog: Catalog, invalid: ProductDetails) -> None:
        with pytest.raises(InvalidField) as raised:
            catalog.put_details([ProductDetails("00"), invalid])
        assert "field" in raised.value.details
        assert catalog.details(["00", "01"]) == {}

    def test_replaced_details_keep_their_creation_time(self, sql: SqlCatalog) -> None:
        table = metadata.tables["image_details"]
        sql.put_details([ProductDetails("01")])
        with sql.transaction(writes=True) as tx:
            tx.execute(table.update().values(create_time=datetime(2020, 1, 1), update_time=datetime(2020, 1, 1)))
        sql.put_details([ProductDetails("01", brand="new")])
        with sql.transaction() as tx:
            times = table.select().with_only_columns(table.c.create_time, table.c.update_time)
            create_time, update_time = tx.execute(times).one()
        assert create_time == datetime(2020, 1, 1)
        assert update_time > create_time


class TestDatabase:
    def test_two_processes_can_write_concurrently(self, sql: SqlCatalog, world: World) -> None:
        script = (
            "import sys\n"
            "from lookalike.adapters.catalog import open_catalog\n"
            "from tests.contracts.rows import add_photo\n"
            "catalog = open_catalog(sys.argv[1])\n"
            "for number in range(15): add_photo(catalog, f'{sys.argv[2]}-{number}')\n"
            "catalog.close()"
        )
        command = [sys.executable, "-c", script, str(world.url)]
        processes = [subprocess.Popen([*command, name]) for name in ("first", "second")]
        assert [process.wait(timeout=60) for process in processes] == [0, 0]
        changes = sql.changes(MODEL, 0)
        assert (len(changes.row_ids), changes.last_commit) == (30, 30)

    def test_reader_does_not_wait_for_a_writer(self, sql: SqlCatalog) -> None:
        add_photo(sql)
        with sql.transaction(writes=True) as tx:
            insert_rows(tx, "other", [garment("other")], MODEL)
            assert len(sql.changes(MODEL, 0).row_ids) == 1
            assert sql.segment("other_segment_0") is None

    def test_catalog_does_not_connect_before_the_first_call(self, tmp_path: Path) -> None:
        catalog = open_catalog(f"sqlite:///{tmp_path / 'new.db'}")
        assert list(tmp_path.iterdir()) == []
        with closing(catalog), pytest.raises(Unavailable, match="lookalike db upgrade"):
            catalog.ping()
        with closing(catalog), pytest.raises(Unavailable, match="lookalike db upgrade"):
            catalog.segment("look_segment_0")

    @pytest.mark.parametrize("url", ["sqlite:////no/such/folder/a.db", "mysql+pymysql://me:secret@127.0.0.1:9/shop"])
    def test_unreachable_database_is_unavailable_without_details(self, url: str) -> None:
        with closing(open_catalog(url)) as catalog, pytest.raises(Unavailable) as error:
            catalog.changes(MODEL, 0)
        for secret in ("secret", "SELECT", "127.0.0.1", "folder"):
            assert secret not in error.value.message

    @pytest.mark.parametrize("url", ["", "sqlite://", "sqlite:///:memory:", "postgresql://a:secret@b/c", "mysql://a/b"])
    def test_unsupported_urls_are_rejected(self, url: str) -> None:
        with pytest.raises(Misconfigured) as error:
            open_catalog(url)
        assert "secret" not in error.value.message

    def test_fake_raises_when_unavailable(self) -> None:
        fake = FakeCatalog()
        fake.is_unavailable = True
        with pytest.raises(LookalikeError):
            fake.ping()
