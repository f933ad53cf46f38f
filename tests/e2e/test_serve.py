"""`lookalike serve` over HTTP, with the built-in models and files on disk."""

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
from tests.e2e.server import Server
from tests.sample_photos import sample_photo

PHOTO, OTHER_PHOTO = jpeg(sample_photo(3)), jpeg(sample_photo(8))
OTHER_ORIGIN = {"Origin": "http://localhost:3000"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that need no special settings."""
    running_server = Server(tmp_path_factory.mktemp("serve")).start()
    yield running_server
    assert running_server.stop() == 0


def test_responses_of_the_gateway_itself_have_cors_headers(server: Server) -> None:
    for path, status in {"/nowhere": 404, "/openapi.json": 200, "/bucket/look/segment_0.png": 403}.items():
        response = server.request("GET", path, headers=OTHER_ORIGIN)
        assert response.status == status
        assert response.headers["Access-Control-Allow-Origin"] == OTHER_ORIGIN["Origin"]
        response = server.request("GET", path, headers={"Origin": "http://evil.example"})
        assert "Access-Control-Allow-Origin" not in response.headers


def test_path_with_line_break_is_not_found(server: Server) -> None:
    response = server.request("GET", "/thumbnails/a%0Ab", headers=OTHER_ORIGIN)
    assert response.status == 404 and response.json["error"]["code"] == "not_found"


def large_photo() -> bytes:
    """Return a photo that takes a while to decode, so that a test can interrupt its request."""
    return jpeg(sample_photo(3).resize((5400, 7200), Image.Resampling.NEAREST))


def test_upload_search_details_and_cancel(server: Server) -> None:
    stored = server.upload(PHOTO, "four").json["data"]
    assert stored["original_image_id"] == "four"
    best = server.search(PHOTO, num=3).json["results"][0]
    assert best["splitted_image_id"] == "four_segment_0" and best["processed_image_base64"]
    details = {"brand": "Marlow", "product_name": "Thing"}
    server.request("PUT", "/image_detail/four", details, server.admin_headers)
    response = server.request("POST", "/image_detail", {"splitted_image_id": best["id"]})
    assert response.json["message"]["product_name"] == "Thing"
    response = server.request("POST", "/cancel_request/no-such-request")
    assert response.status == 404 and response.json["status"] == "not_found"


def test_running_search_is_cancelled_by_another_process(server: Server) -> None:
    photo = large_photo()
    with ThreadPoolExecutor() as pool:
        running = pool.submit(server.search, photo, request_id="long")
        with closing(open_catalog(f"sqlite:///{server.folder}/.lookalike/lookalike.db")) as catalog:
            while not catalog.request_cancel("long") and not running.done():
                time.sleep(0.005)
        response = running.result()
    assert response.status == 200 and response.json["status"] == "cancelled" and response.json["success"] is False
    status = server.request("GET", "/request_status/long").json
    assert status["status"] == "cancelled" and status["finished"]


def test_cancelled_upload_stores_nothing(server: Server) -> None:
    before = object_paths(server.folder)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(server.upload, large_photo(), "cancelled", request_id="upload")
        assert server.cancel("upload").status == 200
        response = running.result()
    assert response.json["status"] == "cancelled"
    assert server.request("GET", "/splitted_images/by_original/cancelled").status == 404
    assert object_paths(server.folder) == before
    assert server.upload(PHOTO, "cancelled").json["success"] is True


def test_concurrent_uploads_of_the_same_photo_store_it_once(server: Server) -> None:
    with ThreadPoolExecutor(10) as pool:
        responses = list(pool.map(lambda _: server.upload(OTHER_PHOTO, "tenfold"), range(10)))
    assert {response.status for response in responses} == {200}
    assert all(response.json["data"] == responses[0].json["data"] for response in responses)
    assert server.upload(PHOTO, "tenfold").status == 409


def test_concurrent_searches_are_correct_or_rejected_with_retry_after(server: Server) -> None:
    server.upload(PHOTO, "crowd")
    expected = [match["id"] for match in server.search(PHOTO, include="none").json["results"]]
    with ThreadPoolExecutor(64) as pool:
        responses = list(pool.map(lambda _: server.search(PHOTO, include="none"), range(64)))
    assert {response.status for response in responses} <= {200, 429}
    for response in responses:
        if response.status == 429:
            assert response.headers["Retry-After"]
        else:
            assert [match["id"] for match in response.json["results"]] == expected


def test_index_built_by_another_process_is_loaded_without_losing_rows(server: Server) -> None:
    server.upload(PHOTO, "before")
    assert server.run("index", "build").returncode == 0, server.log("index")
    time.sleep(1.2)  # the server reads the pointer once a second
    after = server.search(PHOTO, num=100, include="none").json
    assert after["index"]["version"] and after["index"]["tail_rows"] == 0
    server.upload(OTHER_PHOTO, "late")
    later = server.search(OTHER_PHOTO, num=100, include="none").json
    assert later["index"]["version"] == after["index"]["version"] and later["index"]["tail_rows"] > 0
    assert "late" in {match["original_image_id"] for match in later["results"]}
    assert len(later["results"]) == later["index"]["rows"]


def test_page_is_served_and_objects_need_signed_urls(server: Server) -> None:
    page = server.request("GET", "/")
    assert page.status == 200 and b"<title>" in page.body
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    for asset in ("/web/js/main.js", "/web/style.css"):
        assert server.request("GET", asset).status == 200
    server.upload(PHOTO, "signed")
    url = server.search(PHOTO, include="url").json["results"][0]["url"]
    image = server.request("GET", url.replace("localhost", "127.0.0.1"))
    assert image.body.startswith(b"\x89PNG") and image.headers["Content-Type"] == "image/png"
    assert server.request("GET", url.split("?")[0]).status == 403
    assert server.request("GET", "/bucket/../lookalike.db").status in (403, 404, 422)


def test_photo_in_the_incoming_folder_is_ingested(server: Server) -> None:
    incoming = server.folder / ".lookalike" / "bucket" / "incoming" / "spring"
    incoming.mkdir(parents=True)
    (incoming / "Neues Kleid.jpg").write_bytes(jpeg(sample_photo(31)))
    (incoming / "broken.jpg").write_bytes(b"no photo")
    for _ in range(100):
        if server.request("GET", "/splitted_images/by_original/incoming-spring-Neues_Kleid").status == 200:
            break
        time.sleep(0.1)
    best = server.search(jpeg(sample_photo(31)), include="none").json["results"][0]
    assert best["original_image_id"] == "incoming-spring-Neues_Kleid"


def test_finished_jobs_are_listed_and_cleaned_up(server: Server) -> None:
    server.search(PHOTO, request_id="finished")
    listed = server.request("GET", "/request_status/recent").json["requests"]
    assert "finished" in [job["id"] for job in listed] and all(job["age"] >= 0 for job in listed)
    assert server.request("POST", "/cancel_request/finished").status == 409
    assert server.request("POST", "/cleanup_requests", {"max_age_seconds": 0}).json["status"] == "success"
    assert server.request("GET", "/request_status/finished").status == 404


def test_sigterm_lets_a_running_upload_finish(tmp_path: Path) -> None:
    server = Server(tmp_path / "term").start()
    with ThreadPoolExecutor() as pool:
        running = pool.submit(server.upload, large_photo(), "last")
        wait_for_stage(server, "detecting")
        assert server.stop(signal.SIGTERM) == 0
        response = running.result()
    assert response.json["success"] is True
    assert count_rows(server) > 0


def test_killed_upload_leaves_no_row_and_its_name_is_free(tmp_path: Path) -> None:
    server = Server(tmp_path / "kill").start()
    for stage in ("detecting", "storing"):
        thread = threading.Thread(target=upload_and_ignore_errors, args=(server, large_photo(), "killed"))
        thread.start()
        wait_for_stage(server, stage)
        server.stop(signal.SIGKILL)
        thread.join()
        assert count_rows(server) == 0
        server.start()
    response = server.upload(PHOTO, "killed")
    assert response.json["success"] is True
    paths = {segment["splitted_image_path"] for segment in response.json["data"]["segments"]}
    assert paths <= object_paths(server.folder)
    assert server.stop() == 0


def test_index_is_rebuilt_on_schedule_only_after_changes(tmp_path: Path) -> None:
    server = Server(tmp_path / "schedule", {"REINDEX_EVERY": "1", "REINDEX_AFTER": "1"}).start()
    server.upload(PHOTO, "first")
    versions = set()
    for _ in range(60):
        index = server.search(PHOTO, include="none").json["index"]
        if index["version"] and index["tail_rows"] == 0:
            versions.add(index["version"])
        if len(versions) == 1 and len(list((server.folder / ".lookalike/bucket/index/compact-6").iterdir())) > 1:
            break
        time.sleep(0.1)
    time.sleep(2.5)  # longer than REINDEX_EVERY: another build would be visible by now
    versions.add(server.search(PHOTO, include="none").json["index"]["version"])
    assert len(versions) == 1 and None not in versions
    assert server.stop() == 0


def test_invalid_setting_is_named_and_prevents_start(tmp_path: Path) -> None:
    server = Server(tmp_path / "wrong", {"REQUEST_TIMEOUT": "soon"})
    assert server.run("serve").returncode == 1
    assert "REQUEST_TIMEOUT" in server.log() and "Traceback" not in server.log()


def upload_and_ignore_errors(server: Server, photo: bytes, name: str) -> None:
    """Upload to a server that will be killed meanwhile."""
    try:
        server.upload(photo, name)
    except OSError:
        return


def wait_for_stage(server: Server, stage: str) -> None:
    """Poll the database until a job is in a stage."""
    database = server.folder / ".lookalike" / "lookalike.db"
    for _ in range(4000):
        with closing(sqlite3.connect(database)) as connection:
            if connection.execute("SELECT 1 FROM jobs WHERE stage = ? AND status = 'processing'", [stage]).fetchone():
                return
        time.sleep(0.002)
    raise AssertionError(f"No job reached the stage {stage}")


def count_rows(server: Server) -> int:
    """Return the number of stored segments."""
    with closing(sqlite3.connect(server.folder / ".lookalike" / "lookalike.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM splitted_images").fetchone()[0])


def object_paths(folder: Path) -> set[str]:
    """Return the paths of all objects in the bucket."""
    bucket = folder / ".lookalike" / "bucket"
    return {path.relative_to(bucket).as_posix() for path in bucket.rglob("*.*") if path.is_file()}


LOOKS = {f"look-{seed}": jpeg(sample_photo(seed)) for seed in range(6)}
SEARCHES: list[dict[str, object]] = [
    {"segment": True},
    {"num": 2},
    {"filter": '{"label": "top"}'},
    {"exclude_original": True, "num": 9},
]


def start_with_looks(folder: Path, **settings: str) -> Server:
    """Start a server and upload all looks."""
    server = Server(folder, {"REINDEX_EVERY": "0", **settings}).start()
    for name, photo in LOOKS.items():
        server.upload(photo, name)
    return server


def search_results(server: Server) -> list[list[tuple[str, float]]]:
    """Return names and similarities for each of the searches."""
    results = [server.search(PHOTO, include="none", **fields).json["results"] for fields in SEARCHES]
    return [[(match["splitted_image_id"], round(match["similarity"], 9)) for match in matches] for matches in results]


@pytest.fixture(scope="module")
def exact_results(tmp_path_factory: pytest.TempPathFactory) -> list[list[tuple[str, float]]]:
    """Results with the exact index."""
    server = start_with_looks(tmp_path_factory.mktemp("exact"))
    results = search_results(server)
    assert server.stop() == 0 and results[0]
    return results


@pytest.mark.parametrize(
    "index_settings", [{"APPROXIMATE_ABOVE": "1"}, {"INDEX_URL": "milvus:vectors.db"}], ids=["faiss", "milvus"]
)
def test_other_indexes_return_the_same_results(
    tmp_path: Path, index_settings: dict[str, str], exact_results: list[list[tuple[str, float]]]
) -> None:
    server = start_with_looks(tmp_path / "other", **index_settings)
    assert search_results(server) == exact_results
    built = server.request("POST", "/reindex", {"force": True}, server.admin_headers)
    assert built.status == 202 and built.json["data"]["rows"] >= 6
    if "APPROXIMATE_ABOVE" in index_settings:
        assert built.json["data"]["approximate"]["recall"] >= 0.99
        assert "vector_ivf.faiss" in built.json["data"]["parts"]
    # the server reads the pointer once a second
    time.sleep(1.2)
    index = server.search(PHOTO, include="none").json["index"]
    assert index["tail_rows"] == 0 and index["version"] == built.json["data"]["version"]
    assert search_results(server) == exact_results
    best = exact_results[0][0][0]
    assert server.request("DELETE", f"/splitted_images/{best}", None, server.admin_headers).status == 200
    assert best not in {name for matches in search_results(server) for name, _ in matches}
    assert server.stop() == 0
