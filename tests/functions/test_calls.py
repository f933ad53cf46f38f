"""The original's calls, through functions-framework, on the real parts: requests and answers as its description shows."""

import base64
import io
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from lookalike import images
from lookalike.adapters.catalog import SqlCatalog
from lookalike.adapters.compact_embedder import CompactEmbedder
from lookalike.bootstrap import WEIGHTS, Services
from lookalike.domain.errors import NotFound
from lookalike.domain.model import Caller, JobStatus, ProductDetails, User
from tests.conftest import bearer_header, jpeg
from tests.contracts.databases import execute
from tests.sample_photos import sample_photo

Client = Callable[[str], FlaskClient]
PHOTO = jpeg(sample_photo(3))


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def upload(client: Client, admin: dict[str, str], photo: bytes = PHOTO, **fields: Any) -> Any:
    body = {"image_base64": text(photo), **fields}
    return client("upload").post("/upload_image", json=body, headers=admin)


def relay(client: Client, photo: bytes = PHOTO, **fields: Any) -> Any:
    return client("relay").post("/relay_image", json={"image_base64": text(photo), **fields})


def test_upload_answers_as_the_original_did(client: Client, admin: dict[str, str]) -> None:
    said = upload(client, admin, image_name="dress", force_process=True)
    body = said.get_json()
    assert said.status_code == 200 and body["success"] is True
    count = len(body["data"]["segments"])
    plural = "s" if count > 1 else ""
    assert body["message"] == f"Successfully processed and uploaded image, detected {count} clothing segment{plural}"
    assert body["data"]["original_image_id"] == "dress"
    first = body["data"]["segments"][0]
    assert first["splitted_image_id"] == "dress_segment_0"
    assert first["splitted_image_path"] == "dress/segment_0.png"
    assert len(first["bounding_box"]) == 4 and {"label", "score"} <= set(first)
    assert said.headers["X-Request-Id"] == body["request_id"]


def test_an_upload_is_found_by_the_next_search(client: Client, admin: dict[str, str]) -> None:
    assert relay(client).get_json()["results"] == []
    upload(client, admin, image_name="first")
    upload(client, admin, jpeg(sample_photo(8)), image_name="second")
    body = relay(client, num=5).get_json()
    best = body["results"][0]
    assert set(best) >= {"id", "similarity", "processed_image_base64"}
    assert best["splitted_image_id"] == "first_segment_0" and 0.3 < best["similarity"] <= 1
    assert images.read_image(base64.b64decode(best["processed_image_base64"])).size > (1, 1)
    assert body["index"]["tail_rows"] == len(body["results"])


def test_a_deleted_garment_is_in_no_later_answer(client: Client, admin: dict[str, str], real: Services) -> None:
    upload(client, admin, image_name="first")
    client("reindex").post("/reindex")
    gone = client("detail").delete("/splitted_images/first_segment_0", headers=admin)
    assert gone.get_json()["data"]["splitted_image_id"] == "first_segment_0"
    assert "first_segment_0" not in [one["splitted_image_id"] for one in relay(client).get_json()["results"]]
    assert client("detail").get("/splitted_images/first_segment_0").status_code == 404
    with pytest.raises(NotFound):
        real.store.get("first/segment_0.png")


def test_segments_are_searched_one_by_one(client: Client, admin: dict[str, str]) -> None:
    worn = jpeg(sample_photo(5, outfit=True))
    stored = upload(client, admin, worn, image_name="worn").get_json()["data"]["segments"]
    body = relay(client, worn, segment=True, num=2, include="thumbnail").get_json()
    assert len(body["groups"]) == len(stored) and (body["width"], body["height"]) == sample_photo(5, outfit=True).size
    for group, segment in zip(body["groups"], stored, strict=True):
        assert group["bounding_box"] == segment["bounding_box"] and group["label"] == segment["label"]
        assert group["results"][0]["splitted_image_id"] == segment["splitted_image_id"]
        assert group["results"][0]["similarity"] > 0.999
        assert len(group["results"]) <= 2


@pytest.mark.parametrize(
    ("include", "holds"),
    [("image", "processed_image_base64"), ("thumbnail", "thumbnail_base64"), ("url", "url"), ("none", None)],
)
def test_pictures_come_as_asked(client: Client, admin: dict[str, str], include: str, holds: str | None) -> None:
    upload(client, admin, image_name="first")
    result = relay(client, include=include).get_json()["results"][0]
    pictures = {"processed_image_base64", "thumbnail_base64", "url"} & set(result)
    assert pictures == ({holds} if holds else set())


def test_min_similarity_leaves_out_what_is_less_alike(client: Client, admin: dict[str, str]) -> None:
    for seed in (3, 8, 9):
        upload(client, admin, jpeg(sample_photo(seed)), image_name=f"photo-{seed}")
    alike = [one["similarity"] for one in relay(client, num=100).get_json()["results"]]
    bound = alike[1]
    some = [one["similarity"] for one in relay(client, num=100, min_similarity=bound).get_json()["results"]]
    assert 1 <= len(some) < len(alike) and min(some) >= bound


def test_a_match_says_how_likely_it_is_the_same_garment(client: Client, admin: dict[str, str]) -> None:
    for seed in (3, 8):
        upload(client, admin, jpeg(sample_photo(seed)), image_name=f"photo-{seed}")
    (same, *_, other) = relay(client, num=100, segment=True).get_json()["results"]
    assert same["match"] > 0.95 > 0.5 > other["match"] >= 0


def test_a_match_says_what_it_has_in_common(client: Client, admin: dict[str, str], real: Services) -> None:
    for name, seed in (("one", 3), ("two", 8)):
        upload(client, admin, jpeg(sample_photo(seed)), image_name=name)
    real.segments.put_details(
        [ProductDetails("one", brand="Marlow", tags=["a"]), ProductDetails("two", brand="Marlow")]
    )
    body = relay(client, segment=True, num=10, include="none").get_json()
    (group,) = body["groups"]
    whys = {one["original_image_id"]: one["why"] for one in group["results"]}
    assert whys["one"] == {"same_label": True, "colour_distance": 0.0, "shared_details": ["brand", "tags"]}
    assert whys["two"]["colour_distance"] > 0 and whys["two"]["shared_details"] == ["brand"]
    assert [one["why"] for one in body["results"]] == [one["why"] for one in group["results"]]
    whole = relay(client, jpeg(sample_photo(9)), include="none").get_json()["results"]
    assert [one["why"] for one in whole] == [{}, {}]


def test_the_photo_itself_and_its_copies_may_be_left_out(client: Client, admin: dict[str, str]) -> None:
    for seed, name in ((3, "photo"), (3, "copy"), (8, "other")):
        upload(client, admin, jpeg(sample_photo(seed)), image_name=name)
    small = sample_photo(3).resize([round(0.8 * side) for side in sample_photo(3).size])
    upload(client, admin, jpeg(small), image_name="small")

    def photos(**fields: Any) -> set[str]:
        results = relay(client, num=100, segment=True, include="none", **fields).get_json()["results"]
        return {one["splitted_image_id"].split("_")[0] for one in results}

    assert photos() == {"photo", "copy", "small", "other"}
    assert photos(exclude_original=True) == {"small", "other"}
    assert photos(collapse=True) == {"photo", "other"}


def test_the_calibration_is_the_built_in_embedders() -> None:
    """A new embedder needs a new one: `infra/training/calibrate.py`."""
    assert json.loads((WEIGHTS / "calibration.json").read_text())["embedder"] == CompactEmbedder.name


def test_a_filter_narrows_the_search(client: Client, admin: dict[str, str], real: Services) -> None:
    for seed in (3, 8, 9):
        upload(client, admin, jpeg(sample_photo(seed)), image_name=f"photo-{seed}")
    real.segments.put_details([ProductDetails("photo-8", brand="Marlow", rating=4.5, tags=["summer", "linen"])])

    def photos(wanted: object) -> set[str]:
        results = relay(client, num=100, filter=wanted, include="none").get_json()["results"]
        return {one["splitted_image_id"].split("_")[0] for one in results}

    for wanted in ({"brand": "Marlow"}, {"tags": ["wool", "linen"]}, {"rating": {"min": 4}}, {"rating": 4.5}):
        assert photos(wanted) == {"photo-8"}
    assert photos({"brand": "Marlow", "rating": {"max": 4}}) == photos({"label": "no such"}) == set()
    assert photos({}) == {"photo-3", "photo-8", "photo-9"}
    form = {"image": (io.BytesIO(PHOTO), "photo.jpg"), "filter": '{"brand": "Marlow"}', "include": "none"}
    found = client("relay").post("/relay_image", data=form).get_json()["results"]
    assert found and all(one["splitted_image_id"].startswith("photo-8") for one in found)


def test_details_by_name_and_by_number(client: Client, admin: dict[str, str], real: Services) -> None:
    number = upload(client, admin, image_name="01").get_json()["data"]["segments"][0]["id"]
    real.segments.put_details([ProductDetails("01", brand="Marlow", tags=["casual"], rating=4.5)])
    for key in ("01_segment_0", number, str(number)):
        body = client("detail").post("/image_detail", json={"splitted_image_id": key}).get_json()
        assert body["success"] is True and body["message"]["brand"] == "Marlow"
        assert body["message"]["image_id"] == "01" and body["message"]["tags"] == ["casual"]
        assert set(body["message"]) >= {"store_name", "product_name", "rating", "size", "waist_type", "season"}


@pytest.mark.parametrize("key", ["nothing_segment_0", 4711, "4711", "../../etc/passwd", "x' OR '1'='1"])
def test_details_of_nothing_are_not_found(client: Client, key: str | int) -> None:
    said = client("detail").post("/image_detail", json={"splitted_image_id": key})
    assert said.status_code == 404 and said.get_json()["error"]["code"] == "not_found"


def test_details_are_written_by_an_administrator(client: Client, admin: dict[str, str]) -> None:
    call = client("detail")
    assert call.put("/image_detail/shirt", json={"brand": "A"}).status_code == 401
    assert call.put("/image_detail/shirt", json={"brand": "A", "size": ["S"]}, headers=admin).status_code == 200
    assert call.post("/image_detail", json={"splitted_image_id": "shirt"}).get_json()["message"]["size"] == ["S"]
    assert call.put("/image_detail/shirt", json={"rating": "high"}, headers=admin).status_code == 422


def test_what_is_not_said_of_a_garment_stays(client: Client, admin: dict[str, str]) -> None:
    before = upload(client, admin, image_name="01").get_json()["data"]["segments"][0]
    call = client("detail")
    for change in ({"label": "scarf"}, {"score": 0.5}, {"bounding_box": [1.0, 2.0, 30.0, 40.0]}, {}):
        after = call.put("/splitted_images/01_segment_0", json=change, headers=admin).get_json()["data"]
        assert after == before | change
        before = after
    assert (
        call.put("/splitted_images/01_segment_0", json={"label": None}, headers=admin).get_json()["data"]["label"]
        is None
    )


@pytest.mark.parametrize("path", ["/relay_image", "/split_image"])
def test_what_was_cancelled_is_told_as_no_error(
    client: Client, real: Services, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """By another process, while it runs."""
    finish = SqlCatalog.finish_job

    def cancelled_before(self: SqlCatalog, job: str, status: JobStatus) -> JobStatus:
        real.jobs.cancel_job(job, Caller())
        return finish(self, job, status)

    monkeypatch.setattr(SqlCatalog, "finish_job", cancelled_before)
    function = "relay" if path == "/relay_image" else "upload"
    said = client(function).post(path, json={"image_base64": text(PHOTO), "request_id": "mine"})
    body = said.get_json()
    assert (said.status_code, body["success"], body["status"], body["request_id"]) == (200, False, "cancelled", "mine")
    assert "results" not in body and "data" not in body


def test_a_name_with_underscores_keeps_its_details(client: Client, admin: dict[str, str], real: Services) -> None:
    upload(client, admin, image_name="my_photo_1")
    real.segments.put_details([ProductDetails("my_photo_1", brand="right"), ProductDetails("my", brand="wrong")])
    found = client("detail").post("/image_detail", json={"splitted_image_id": "my_photo_1_segment_0"}).get_json()
    assert found["message"]["brand"] == "right"


def test_photos_come_as_files_and_as_bodies_too(client: Client, admin: dict[str, str], real: Services) -> None:
    import io

    call = client("upload")
    form = {"image": (io.BytesIO(PHOTO), "x.jpg"), "image_name": "file", "force_process": "true"}
    assert call.post("/upload_image", data=form, headers=admin).get_json()["data"]["original_image_id"] == "file"
    body = call.post("/upload_image?image_name=raw", data=PHOTO, content_type="image/jpeg", headers=admin)
    assert body.get_json()["data"]["original_image_id"] == "raw"
    url = {"image_base64": "data:image/jpeg;base64," + text(PHOTO), "image_name": "url"}
    assert call.post("/upload_image", json=url, headers=admin).get_json()["success"] is True
    boxes = [[one.box for one in real.catalog.segments_of_photo(name)] for name in ("file", "raw", "url")]
    assert boxes[0] == boxes[1] == boxes[2] != []


def test_split_stores_nothing(client: Client, real: Services) -> None:
    worn = {"image_base64": text(jpeg(sample_photo(5, outfit=True)))}
    body = client("upload").post("/split_image", json=worn).get_json()
    assert body["success"] is True and body["data"]["segments"]
    first = body["data"]["segments"][0]
    assert first["segment_id"] == "segment_0" and {"bounding_box", "label", "score"} <= set(first)
    assert base64.b64decode(first["segment_base64"]).startswith(b"\x89PNG")
    same = client("upload").post("/image/split", json=worn).get_json()
    assert same["segments"][0]["image_base64"] == first["segment_base64"]
    assert list(real.store.list()) == []


def test_a_split_segment_is_stored_by_the_clients_call(client: Client, admin: dict[str, str]) -> None:
    piece = client("upload").post("/split_image", json={"image_base64": text(PHOTO)}).get_json()["data"]["segments"][0]
    body = {
        "image_base64": "data:image/png;base64," + piece["segment_base64"],
        "original_image_id": "by-hand",
        "segment_id": piece["segment_id"],
    }
    call = client("upload")
    said = call.post("/upload_single_image", json=body, headers=admin).get_json()
    assert said["data"]["splitted_image_id"] == "by-hand_segment_0"
    assert said["data"]["splitted_image_path"] == "by-hand/segment_0.png"
    assert call.post("/upload_single_image", json=body, headers=admin).status_code == 409
    another = {**body, "segment_id": 1}
    assert call.post("/upload_single_image", json=another, headers=admin).status_code == 200
    by_photo = client("detail").get("/splitted_images/by_original/by-hand").get_json()["data"]
    assert [one["splitted_image_id"] for one in by_photo] == ["by-hand_segment_0", "by-hand_segment_1"]


def test_the_same_photo_again_is_the_same_answer_and_another_is_a_conflict(
    client: Client, admin: dict[str, str]
) -> None:
    once, again = (upload(client, admin, image_name="dress").get_json()["data"] for _ in range(2))
    assert once == again
    other = upload(client, admin, jpeg(sample_photo(8)), image_name="dress")
    assert other.status_code == 409 and other.get_json()["error"]["code"] == "conflict"


def test_nothing_found_is_stored_whole_or_not_at_all(client: Client, admin: dict[str, str], real: Services) -> None:
    from PIL import Image

    blank = jpeg(Image.new("RGB", (300, 300), "white"))
    refused = upload(client, admin, blank, image_name="blank", force_process=False)
    assert refused.status_code == 200 and refused.get_json()["success"] is False
    assert list(real.store.list()) == [] and real.catalog.photo("blank") is None
    segment = upload(client, admin, blank, image_name="blank").get_json()["data"]["segments"][0]
    assert segment["bounding_box"] == [0, 0, 300, 300] and segment["label"] is None


def test_what_is_stored_is_upright_and_without_metadata(client: Client, admin: dict[str, str], real: Services) -> None:
    import io

    from PIL import Image

    photo, exif = sample_photo(3), Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Secret camera"
    turned = io.BytesIO()
    photo.rotate(90, expand=True).save(turned, "JPEG", exif=exif, quality=95)
    upload(client, admin, turned.getvalue(), image_name="turned")
    kept = Image.open(io.BytesIO(real.store.get("turned/original.jpg")))
    assert kept.size == photo.size and not kept.getexif()
    assert all(b"Secret camera" not in real.store.get(one.path) for one in real.store.list())


def test_a_thumbnail_is_a_small_jpeg(client: Client, admin: dict[str, str]) -> None:
    upload(client, admin, image_name="first")
    said = client("detail").get("/thumbnails/first_segment_0")
    assert said.mimetype == "image/jpeg" and max(images.read_image(said.data).size) <= 256


def test_who_is_signed_in(client: Client, admin: dict[str, str], real: Services) -> None:
    call = client("auth")
    data = call.get("/api/auth/user", headers=admin).get_json()["data"]
    assert data == {"user_id": "anna", "email": "anna@example.org", "role": "admin", "is_admin": True}
    user = bearer_header(real, User("bert", "bert@example.org"))
    assert call.get("/api/auth/user", headers=user).get_json()["data"]["is_admin"] is False
    assert call.get("/api/auth/user").status_code == 401


def test_every_function_says_that_it_is_alive_and_ready(client: Client) -> None:
    for name in ("upload", "relay", "detail", "cancel", "auth", "ingest", "reindex"):
        assert client(name).get("/healthz").status_code == 200
        assert client(name).get("/readyz").get_json()["status"] == "ready"


def test_reindexing_publishes_and_sweeps(client: Client, admin: dict[str, str], real: Services, home: Path) -> None:
    upload(client, admin, image_name="kept")
    old = home / "bucket" / "left" / "segment_0.png"
    real.store.put("left/segment_0.png", b"of an upload that died", "image/png")
    os.utime(old, (0, 0))
    said = client("reindex").post("/reindex")
    assert said.status_code == 202 and said.get_json()["data"]["rows"] == len(real.catalog.segments_of_photo("kept"))
    assert real.store.stat("left/segment_0.png") is None and real.store.stat("kept/segment_0.png")
    assert relay(client).get_json()["index"]["tail_rows"] == 0


def test_reindexing_forgets_old_attempts_to_sign_in(client: Client, real: Services) -> None:
    now = datetime.now(UTC)
    real.attempts.add_attempt(["old", "new"], now - timedelta(hours=1))
    execute(
        real.settings.database,
        "UPDATE attempts SET create_time = '2026-01-01 00:00:00' WHERE key = (SELECT min(key) FROM attempts)",
    )
    client("reindex").post("/reindex")
    found = real.attempts.add_attempt(["old", "new"], datetime(2025, 1, 1, tzinfo=UTC))
    assert sorted(found.values()) == [1, 2]


def test_reindexing_from_elsewhere_needs_an_administrator(client: Client, admin: dict[str, str]) -> None:
    away = {"REMOTE_ADDR": "203.0.113.9"}
    assert client("reindex").post("/reindex", environ_overrides=away).status_code == 401
    assert client("reindex").post("/reindex", environ_overrides=away, headers=admin).status_code == 202


def test_boxes_of_a_very_large_photo_are_in_its_own_pixels(
    client: Client, real: Services, admin: dict[str, str]
) -> None:
    plain = sample_photo(3)
    large = plain.resize((plain.width * 8, plain.height * 8))
    client("upload").post("/upload_image", json={"image_base64": base64.b64encode(jpeg(plain)).decode()}, headers=admin)
    found = [
        client("relay")
        .post("/relay_image", json={"image_base64": base64.b64encode(jpeg(one)).decode(), "segment": True})
        .get_json()
        for one in (plain, large)
    ]
    assert (found[1]["width"], found[1]["height"]) == large.size and min(large.size) >= 3000
    first, second = (one["groups"][0] for one in found)
    assert [value / 8 for value in second["bounding_box"]] == pytest.approx(first["bounding_box"], abs=4)
    assert second["results"][0]["similarity"] > 0.98
