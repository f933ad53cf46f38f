"""Uploading and splitting photos. The responses have the form of the original system's."""

import base64
import io

from PIL import Image

from lookalike.bootstrap import Services
from tests.conftest import jpeg
from tests.functions.harness import OTHER_PHOTO, PHOTO, Client, encode_base64, upload_photo
from tests.sample_photos import sample_photo


def test_upload_response_has_the_original_form(client: Client, admin: dict[str, str]) -> None:
    response = upload_photo(client, admin, image_name="dress", force_process=True)
    body = response.get_json()
    assert response.status_code == 200 and body["success"] is True
    count = len(body["data"]["segments"])
    plural = "s" if count > 1 else ""
    assert body["message"] == f"Successfully processed and uploaded image, detected {count} clothing segment{plural}"
    assert body["data"]["original_image_id"] == "dress"
    first = body["data"]["segments"][0]
    assert first["splitted_image_id"] == "dress_segment_0"
    assert first["splitted_image_path"] == "dress/segment_0.png"
    assert len(first["bounding_box"]) == 4 and {"label", "score"} <= set(first)
    assert response.headers["X-Request-Id"] == body["request_id"]


def test_upload_accepts_form_file_raw_body_and_data_url(client: Client, admin: dict[str, str], real: Services) -> None:
    upload = client("upload")
    form = {"image": (io.BytesIO(PHOTO), "x.jpg"), "image_name": "file", "force_process": "true"}
    response = upload.post("/upload_image", data=form, headers=admin)
    assert response.get_json()["data"]["original_image_id"] == "file"
    response = upload.post("/upload_image?image_name=raw", data=PHOTO, content_type="image/jpeg", headers=admin)
    assert response.get_json()["data"]["original_image_id"] == "raw"
    data_url = {"image_base64": "data:image/jpeg;base64," + encode_base64(PHOTO), "image_name": "url"}
    assert upload.post("/upload_image", json=data_url, headers=admin).get_json()["success"] is True
    boxes = [[segment.box for segment in real.catalog.segments_of_photo(name)] for name in ("file", "raw", "url")]
    assert boxes[0] == boxes[1] == boxes[2] != []


def test_repeated_upload_returns_the_same_segments(client: Client, admin: dict[str, str]) -> None:
    first, repeated = (upload_photo(client, admin, image_name="dress").get_json()["data"] for _ in range(2))
    assert first == repeated


def test_upload_of_another_photo_under_the_same_name_conflicts(client: Client, admin: dict[str, str]) -> None:
    upload_photo(client, admin, image_name="dress")
    response = upload_photo(client, admin, OTHER_PHOTO, image_name="dress")
    assert response.status_code == 409 and response.get_json()["error"]["code"] == "conflict"


def test_upload_without_detections_stores_the_whole_photo_or_nothing(
    client: Client, admin: dict[str, str], real: Services
) -> None:
    blank = jpeg(Image.new("RGB", (300, 300), "white"))
    response = upload_photo(client, admin, blank, image_name="blank", force_process=False)
    assert response.status_code == 200 and response.get_json()["success"] is False
    assert list(real.store.list()) == [] and real.catalog.photo("blank") is None
    segment = upload_photo(client, admin, blank, image_name="blank").get_json()["data"]["segments"][0]
    assert segment["bounding_box"] == [0, 0, 300, 300] and segment["label"] is None


def test_upload_stores_photo_upright_and_without_metadata(
    client: Client, admin: dict[str, str], real: Services
) -> None:
    photo, exif = sample_photo(3), Image.Exif()
    orientation, maker = 0x0112, 0x010F
    exif[orientation], exif[maker] = 6, "Secret camera"
    rotated = io.BytesIO()
    photo.rotate(90, expand=True).save(rotated, "JPEG", exif=exif, quality=95)
    upload_photo(client, admin, rotated.getvalue(), image_name="turned")
    stored = Image.open(io.BytesIO(real.store.get("turned/original.jpg")))
    assert stored.size == photo.size and not stored.getexif()
    assert all(b"Secret camera" not in real.store.get(entry.path) for entry in real.store.list())


def test_split_returns_segments_and_stores_nothing(client: Client, real: Services) -> None:
    request = {"image_base64": encode_base64(jpeg(sample_photo(5, outfit=True)))}
    body = client("upload").post("/split_image", json=request).get_json()
    assert body["success"] is True and body["data"]["segments"]
    first = body["data"]["segments"][0]
    assert first["segment_id"] == "segment_0" and {"bounding_box", "label", "score"} <= set(first)
    assert base64.b64decode(first["segment_base64"]).startswith(b"\x89PNG")
    other_route = client("upload").post("/image/split", json=request).get_json()
    assert other_route["segments"][0]["image_base64"] == first["segment_base64"]
    assert list(real.store.list()) == []


def test_upload_single_image_stores_a_split_segment_once(client: Client, admin: dict[str, str]) -> None:
    upload = client("upload")
    split = upload.post("/split_image", json={"image_base64": encode_base64(PHOTO)}).get_json()
    segment = split["data"]["segments"][0]
    body = {
        "image_base64": "data:image/png;base64," + segment["segment_base64"],
        "original_image_id": "by-hand",
        "segment_id": segment["segment_id"],
    }
    stored = upload.post("/upload_single_image", json=body, headers=admin).get_json()["data"]
    assert stored["splitted_image_id"] == "by-hand_segment_0"
    assert stored["splitted_image_path"] == "by-hand/segment_0.png"
    assert upload.post("/upload_single_image", json=body, headers=admin).status_code == 409
    assert upload.post("/upload_single_image", json={**body, "segment_id": 1}, headers=admin).status_code == 200
    listed = client("detail").get("/splitted_images/by_original/by-hand").get_json()["data"]
    assert [segment["splitted_image_id"] for segment in listed] == ["by-hand_segment_0", "by-hand_segment_1"]


def test_add_segment_extends_a_stored_photo(client: Client, real: Services, admin: dict[str, str]) -> None:
    upload_photo(client, admin, image_name="one")
    upload, count = client("upload"), len(real.segments.list_segments_of_photo("one"))
    cutout = encode_base64(jpeg(sample_photo(8).crop((0, 0, 200, 200))))
    body = {
        "image_base64": cutout,
        "original_image_id": "one",
        "bounding_box": [1, 2, 201, 202],
        "label": "bag",
        "score": 0.5,
    }
    added = upload.post("/splitted_images", json=body, headers=admin).get_json()["data"]
    assert added["splitted_image_id"] == f"one_segment_{count}" and added["label"] == "bag"
    assert added["bounding_box"] == [1, 2, 201, 202] and added["score"] == 0.5
    for change, status in (
        ({"segment_id": count}, 409),
        ({"original_image_id": "nowhere"}, 404),
        ({"image_base64": "!"}, 400),
        ({"score": 2}, 422),
    ):
        assert upload.post("/splitted_images", json=body | change, headers=admin).status_code == status
    best = client("relay").post("/relay_image", json={"image_base64": cutout, "num": 1}).get_json()["results"][0]
    assert best["splitted_image_id"] == added["splitted_image_id"]
