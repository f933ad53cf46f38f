"""The whole on one machine: a forked server, real models, real files, over HTTP."""

import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from lookalike.adapters.catalog import open_catalog
from tests.conftest import jpeg
from tests.e2e.serving import Server
from tests.sample_photos import sample_photo

PHOTO, OTHER = jpeg(sample_photo(3)), jpeg(sample_photo(8))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    serving = Server(tmp_path_factory.mktemp("serve")).start()
    yield serving
    assert serving.stop() == 0


ELSEWHERE = {"Origin": "http://localhost:3000"}


def test_what_no_function_answers_may_be_read_too(server: Server) -> None:
    for path, status in {"/nowhere": 404, "/openapi.json": 200, "/bucket/look/segment_0.png": 403}.items():
        said = server.call("GET", path, headers=ELSEWHERE)
        assert (said.status, said.headers.get("Access-Control-Allow-Origin")) == (status, ELSEWHERE["Origin"])
        assert (
            "Access-Control-Allow-Origin"
            not in server.call("GET", path, headers={"Origin": "http://evil.example"}).headers
        )


def test_an_address_with_a_line_break_is_none(server: Server) -> None:
    said = server.call("GET", "/thumbnails/a%0Ab", headers=ELSEWHERE)
    assert said.status == 404 and said.json["error"]["code"] == "not_found"


def big_photo() -> bytes:
    """Decoding and shrinking this takes a while."""
    return jpeg(sample_photo(3).resize((5400, 7200), Image.Resampling.NEAREST))


def test_the_originals_four_calls(server: Server) -> None:
    stored = server.upload(PHOTO, "four").json["data"]
    assert stored["original_image_id"] == "four"
    best = server.relay(PHOTO, num=3).json["results"][0]
    assert best["splitted_image_id"] == "four_segment_0" and best["processed_image_base64"]
    details = {"brand": "Marlow", "product_name": "Thing"}
    server.call("PUT", "/image_detail/four", details, server.admin)
    said = server.call("POST", "/image_detail", {"splitted_image_id": best["id"]})
    assert said.json["message"]["product_name"] == "Thing"
    gone = server.call("POST", "/cancel_request/no-such-request")
    assert gone.status == 404 and gone.json["status"] == "not_found"


def test_a_running_request_is_cancelled_from_another_process(server: Server) -> None:
    asked = big_photo()
    with ThreadPoolExecutor() as pool:
        running = pool.submit(server.relay, asked, request_id="long")
        with closing(open_catalog(f"sqlite:///{server.folder}/.lookalike/lookalike.db")) as catalog:
            while not catalog.request_cancel("long") and not running.done():
                time.sleep(0.005)
        said = running.result()
    assert said.status == 200 and said.json["status"] == "cancelled" and said.json["success"] is False
    status = server.call("GET", "/request_status/long").json
    assert status["status"] == "cancelled" and status["finished"]


def test_a_cancelled_upload_leaves_nothing_behind(server: Server) -> None:
    before = objects(server.folder)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(server.upload, big_photo(), "cancelled", request_id="upload")
        assert server.cancel("upload").status == 200
        said = running.result()
    assert said.json["status"] == "cancelled"
    assert server.call("GET", "/splitted_images/by_original/cancelled").status == 404
    assert objects(server.folder) == before
    assert server.upload(PHOTO, "cancelled").json["success"] is True


def test_the_same_upload_ten_times_at_once_is_one_item(server: Server) -> None:
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: server.upload(OTHER, "tenfold"), range(10)))
    assert {one.status for one in answers} == {200}
    assert all(one.json["data"] == answers[0].json["data"] for one in answers)
    assert server.upload(PHOTO, "tenfold").status == 409


def test_many_searches_at_once_are_all_right_or_told_to_wait(server: Server) -> None:
    server.upload(PHOTO, "crowd")
    alone = [one["id"] for one in server.relay(PHOTO, include="none").json["results"]]
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda _: server.relay(PHOTO, include="none"), range(64)))
    assert {one.status for one in answers} <= {200, 429}
    for one in answers:
        if one.status == 429:
            assert one.headers["Retry-After"]
        else:
            assert [match["id"] for match in one.json["results"]] == alone


def test_an_index_built_elsewhere_is_noticed_and_nothing_is_lost(server: Server) -> None:
    server.upload(PHOTO, "before")
    assert server.run("index", "build").returncode == 0, server.log("index")
    time.sleep(1.2)
    after = server.relay(PHOTO, num=100, include="none").json
    assert after["index"]["version"] and after["index"]["tail_rows"] == 0
    server.upload(OTHER, "late")
    later = server.relay(OTHER, num=100, include="none").json
    assert later["index"]["version"] == after["index"]["version"] and later["index"]["tail_rows"] > 0
    assert "late" in {one["original_image_id"] for one in later["results"]}
    assert len(later["results"]) == later["index"]["rows"]


def test_the_page_and_signed_addresses(server: Server) -> None:
    page = server.call("GET", "/")
    assert (
        page.status == 200
        and b"<title>" in page.body
        and "default-src 'self'" in page.headers["Content-Security-Policy"]
    )
    for part in ("/web/js/main.js", "/web/style.css"):
        assert server.call("GET", part).status == 200
    server.upload(PHOTO, "signed")
    address = server.relay(PHOTO, include="url").json["results"][0]["url"]
    picture = server.call("GET", address.replace("localhost", "127.0.0.1"))
    assert picture.body.startswith(b"\x89PNG") and picture.headers["Content-Type"] == "image/png"
    assert server.call("GET", address.split("?")[0]).status == 403
    assert server.call("GET", "/bucket/../lookalike.db").status in (403, 404, 422)


def test_a_photo_dropped_into_the_bucket_is_found(server: Server) -> None:
    incoming = server.folder / ".lookalike" / "bucket" / "incoming" / "spring"
    incoming.mkdir(parents=True)
    (incoming / "Neues Kleid.jpg").write_bytes(jpeg(sample_photo(31)))
    (incoming / "broken.jpg").write_bytes(b"no photo")
    for _ in range(100):
        if server.call("GET", "/splitted_images/by_original/incoming-spring-Neues_Kleid").status == 200:
            break
        time.sleep(0.1)
    best = server.relay(jpeg(sample_photo(31)), include="none").json["results"][0]
    assert best["original_image_id"] == "incoming-spring-Neues_Kleid"


def test_recent_requests_and_their_end(server: Server) -> None:
    server.relay(PHOTO, request_id="seen")
    listed = server.call("GET", "/request_status/recent").json["requests"]
    assert "seen" in [one["id"] for one in listed] and all(one["age"] >= 0 for one in listed)
    assert server.call("POST", "/cancel_request/seen").status == 409
    assert server.call("POST", "/cleanup_requests", {"max_age_seconds": 0}).json["status"] == "success"
    assert server.call("GET", "/request_status/seen").status == 404


def test_sigterm_in_mid_upload_finishes_it(tmp_path: Path) -> None:
    server = Server(tmp_path / "term").start()
    with ThreadPoolExecutor() as pool:
        running = pool.submit(server.upload, big_photo(), "last")
        wait_for_stage(server, "detecting")
        assert server.stop(signal.SIGTERM) == 0
        said = running.result()
    assert said.json["success"] is True
    assert rows(server) > 0


def test_killed_in_mid_upload_it_leaves_no_row_and_the_name_is_free(tmp_path: Path) -> None:
    server = Server(tmp_path / "kill").start()
    for stage in ("detecting", "storing"):
        thread = threading.Thread(target=quietly, args=(server, big_photo(), "killed"))
        thread.start()
        wait_for_stage(server, stage)
        server.stop(signal.SIGKILL)
        thread.join()
        assert rows(server) == 0
        server.start()
    said = server.upload(PHOTO, "killed")
    assert said.json["success"] is True
    named = {one["splitted_image_path"] for one in said.json["data"]["segments"]}
    assert named <= objects(server.folder)
    assert server.stop() == 0


def test_the_index_is_rebuilt_on_a_schedule_and_only_if_something_changed(tmp_path: Path) -> None:
    server = Server(tmp_path / "schedule", {"REINDEX_EVERY": "1", "REINDEX_AFTER": "1"}).start()
    server.upload(PHOTO, "first")
    versions = set()
    for _ in range(60):
        index = server.relay(PHOTO, include="none").json["index"]
        if index["version"] and index["tail_rows"] == 0:
            versions.add(index["version"])
        if len(versions) == 1 and len(list((server.folder / ".lookalike/bucket/index/compact-3").iterdir())) > 1:
            break
        time.sleep(0.1)
    time.sleep(2.5)
    versions.add(server.relay(PHOTO, include="none").json["index"]["version"])
    assert len(versions) == 1 and None not in versions
    assert server.stop() == 0


def test_a_wrong_setting_stops_the_start_by_name(tmp_path: Path) -> None:
    server = Server(tmp_path / "wrong", {"REQUEST_TIMEOUT": "soon"})
    assert server.run("serve").returncode == 1
    assert "REQUEST_TIMEOUT" in server.log() and "Traceback" not in server.log()


def quietly(server: Server, photo: bytes, name: str) -> None:
    """Upload to a server that is about to die."""
    try:
        server.upload(photo, name)
    except OSError:
        return


def wait_for_stage(server: Server, stage: str) -> None:
    database = server.folder / ".lookalike" / "lookalike.db"
    for _ in range(4000):
        with closing(sqlite3.connect(database)) as connection:
            if connection.execute("SELECT 1 FROM jobs WHERE stage = ? AND status = 'processing'", [stage]).fetchone():
                return
        time.sleep(0.002)
    raise AssertionError(f"no job reached {stage}")


def rows(server: Server) -> int:
    with closing(sqlite3.connect(server.folder / ".lookalike" / "lookalike.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM splitted_images").fetchone()[0])


def objects(folder: Path) -> set[str]:
    bucket = folder / ".lookalike" / "bucket"
    return {path.relative_to(bucket).as_posix() for path in bucket.rglob("*.*") if path.is_file()}


LOOKS = {f"look-{seed}": jpeg(sample_photo(seed)) for seed in range(6)}
ASKED: list[dict[str, object]] = [
    {"segment": True},
    {"num": 2},
    {"filter": '{"label": "top"}'},
    {"exclude_original": True, "num": 9},
]


def dressed(folder: Path, **settings: str) -> Server:
    server = Server(folder, {"REINDEX_EVERY": "0", **settings}).start()
    for name, photo in LOOKS.items():
        server.upload(photo, name)
    return server


def answers(server: Server) -> list[list[tuple[str, float]]]:
    found = [server.relay(PHOTO, include="none", **asked).json["results"] for asked in ASKED]
    return [[(one["splitted_image_id"], round(one["similarity"], 9)) for one in some] for some in found]


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> list[list[tuple[str, float]]]:
    server = dressed(tmp_path_factory.mktemp("exact"))
    found = answers(server)
    assert server.stop() == 0 and found[0]
    return found


@pytest.mark.parametrize(
    "index", [{"APPROXIMATE_ABOVE": "1"}, {"INDEX_URL": "milvus:vectors.db"}], ids=["faiss", "milvus"]
)
def test_other_indexes_give_the_very_same_answers(
    tmp_path: Path, index: dict[str, str], exact: list[list[tuple[str, float]]]
) -> None:
    server = dressed(tmp_path / "other", **index)
    assert answers(server) == exact
    built = server.call("POST", "/reindex", {"force": True}, server.admin)
    assert built.status == 202 and built.json["data"]["rows"] >= 6
    if "APPROXIMATE_ABOVE" in index:
        assert built.json["data"]["approximate"]["recall"] >= 0.99
        assert "vector_ivf.faiss" in built.json["data"]["parts"]
    # the pointer is looked at every second
    time.sleep(1.2)
    seen = server.relay(PHOTO, include="none").json["index"]
    assert seen["tail_rows"] == 0 and seen["version"] == built.json["data"]["version"]
    assert answers(server) == exact
    best = exact[0][0][0]
    assert server.call("DELETE", f"/splitted_images/{best}", None, server.admin).status == 200
    assert best not in {name for some in answers(server) for name, _ in some}
    assert server.stop() == 0
