"""Validation of request bodies, fields and photos."""

import base64
import io
from typing import Any

import pytest
from PIL import Image

from lookalike.bootstrap import Services
from lookalike.domain.model import ProductDetails
from tests.functions.harness import PHOTO, Client, encode_base64, upload_photo


def encode_blank(mode: str, side: int, image_format: str) -> str:
    """Return a black square in base64."""
    file = io.BytesIO()
    Image.new(mode, (side, side)).save(file, image_format)
    return base64.b64encode(file.getvalue()).decode()


BAD_IMAGES = {
    "not base64": ("what? no!", 400, "invalid_image"),
    "not an image": (encode_base64(b"hello"), 400, "invalid_image"),
    "empty": ("", 400, "invalid_image"),
    "truncated": (encode_base64(PHOTO[:-2000]), 400, "invalid_image"),
    "over 40 megapixels": (encode_blank("1", 7000, "PNG"), 413, "too_large"),
    "over 16 MB": (encode_base64(PHOTO + bytes(17 * 1024**2)), 413, "too_large"),
    "another format": (encode_blank("RGB", 9, "GIF"), 415, "unsupported_format"),
    "a number": (5, 422, "invalid_field"),
    "null": (None, 422, "invalid_field"),
}


@pytest.mark.parametrize("defect", BAD_IMAGES)
@pytest.mark.parametrize("function", ["upload", "relay"])
def test_bad_photo_is_rejected_and_nothing_stored(
    client: Client, admin: dict[str, str], real: Services, defect: str, function: str
) -> None:
    photo, status, code = BAD_IMAGES[defect]
    path = {"upload": "/upload_image", "relay": "/relay_image"}[function]
    response = client(function).post(path, json={"image_base64": photo, "image_name": "bad"}, headers=admin)
    body = response.get_json()
    assert (response.status_code, body["error"]["code"], body["success"]) == (status, code, False)
    assert body["message"] and body["request_id"]
    assert list(real.store.list()) == [] and real.catalog.photo("bad") is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num", 0),
        ("num", -1),
        ("num", 10**9),
        ("num", "five"),
        ("num", 2.5),
        ("num", True),
        ("segment", "yes"),
        ("include", "everything"),
        ("min_similarity", 2),
        ("filter", "dress"),
        ("filter", "[" * 100_000),
        ("filter", ["label"]),
        ("filter", {"colour": "red"}),
        ("filter", {"vector": "1"}),
        ("filter", {"label": None}),
        ("filter", {"label": []}),
        ("filter", {"label": {"is": "dress"}}),
        ("filter", {"rating": {}}),
        ("filter", {"rating": {"min": "four"}}),
        ("filter", {"rating": {"min": 1, "between": 2}}),
        ("filter", {"brand": ["x"] * 101}),
        ("request_id", 5),
        ("request_id", "a/b"),
        ("request_id", "x" * 300),
    ],
)
def test_search_error_names_the_invalid_field(client: Client, field: str, value: Any) -> None:
    body = {"image_base64": encode_base64(PHOTO), field: value}
    response = client("relay").post("/relay_image", json=body)
    assert response.status_code == 422 and response.get_json()["error"]["details"]["field"] == field


@pytest.mark.parametrize(
    "name", ["../x", "a/b", ".hidden", "x" * 201, "a\0b", "ä", "a b", 5, "..", "C:\\x", "index", "incoming"]
)
def test_upload_rejects_unsafe_image_names(client: Client, admin: dict[str, str], name: Any) -> None:
    body = {"image_base64": encode_base64(PHOTO), "image_name": name}
    response = client("upload").post("/upload_image", json=body, headers=admin)
    assert response.status_code == 422 and response.get_json()["error"]["details"]["field"] == "image_name"


def test_upload_treats_empty_image_name_as_absent(client: Client, admin: dict[str, str]) -> None:
    body = {"image_base64": encode_base64(PHOTO), "image_name": ""}
    assert client("upload").post("/upload_image", json=body, headers=admin).status_code == 200


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [
        (b"", None, 422),
        (b"{", "application/json", 422),
        (b"[1]", "application/json", 422),
        (b"\xff\xfe", "application/json", 422),
        (b"[" * 100_000, "application/json", 422),
        (b"num=5", "application/x-www-form-urlencoded", 415),
        (b"hello", "text/plain", 415),
        (b"x", "multipart/form-data; boundary=y", 422),
        (b"no photo", "image/jpeg", 400),
    ],
)
def test_malformed_body_is_rejected(client: Client, data: bytes, content_type: str | None, status: int) -> None:
    response = client("relay").post("/relay_image", data=data, content_type=content_type)
    assert response.status_code == status and response.get_json()["error"]["code"]


def test_body_over_24_megabytes_is_rejected(client: Client) -> None:
    response = client("relay").post("/relay_image", data=bytes(25 * 1024**2), content_type="image/jpeg")
    assert response.status_code == 413 and response.get_json()["error"]["code"] == "too_large"


@pytest.mark.parametrize(
    ("function", "path"),
    [("upload", "/upload_image"), ("detail", "/erase"), ("detail", "/image_detail"), ("relay", "/search")],
)
@pytest.mark.parametrize("query", ["", "?image_name=look&splitted_image_id=look"])
def test_missing_body_is_rejected_where_the_document_requires_one(
    client: Client, admin: dict[str, str], function: str, path: str, query: str
) -> None:
    response = client(function).post(path + query, headers=admin)
    assert response.status_code == 422 and response.get_json()["error"]["details"] == {"field": "body"}


@pytest.mark.parametrize("content_type", ["application/json", "image/jpeg", "multipart/form-data; boundary=x", None])
def test_details_are_not_erased_by_a_request_without_a_body(
    client: Client, admin: dict[str, str], real: Services, content_type: str | None
) -> None:
    """`PUT /image_detail/<id>` replaces all details: omitted fields become null."""
    upload_photo(client, admin, image_name="look")
    real.segments.put_details([ProductDetails("look", brand="Marlow")])
    response = client("detail").put("/image_detail/look?season=summer", headers=admin, content_type=content_type)
    assert response.status_code in (415, 422)
    assert real.segments.get_details("look_segment_0").brand == "Marlow"


def test_missing_body_has_default_values_where_it_is_optional(client: Client, admin: dict[str, str]) -> None:
    assert client("cancel").post("/cleanup_requests").status_code == 200
    assert client("upload").post("/ingestions/retry", headers=admin).status_code == 200
    assert client("reindex").post("/reindex", headers=admin).status_code == 202
