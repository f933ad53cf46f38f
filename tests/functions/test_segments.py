"""Stored garments and their product details."""

import pytest

from lookalike import images
from lookalike.bootstrap import Services
from lookalike.domain.model import ProductDetails
from tests.functions.harness import Client, upload_photo


def test_details_are_found_by_name_and_row_id(client: Client, admin: dict[str, str], real: Services) -> None:
    row_id = upload_photo(client, admin, image_name="01").get_json()["data"]["segments"][0]["id"]
    real.segments.put_details([ProductDetails("01", brand="Marlow", tags=["casual"], rating=4.5)])
    for key in ("01_segment_0", row_id, str(row_id)):
        body = client("detail").post("/image_detail", json={"splitted_image_id": key}).get_json()
        assert body["success"] is True and body["message"]["brand"] == "Marlow"
        assert body["message"]["image_id"] == "01" and body["message"]["tags"] == ["casual"]
        assert set(body["message"]) >= {"store_name", "product_name", "rating", "size", "waist_type", "season"}


@pytest.mark.parametrize("key", ["nothing_segment_0", 4711, "4711", "../../etc/passwd", "x' OR '1'='1"])
def test_details_of_unknown_garment_are_not_found(client: Client, key: str | int) -> None:
    response = client("detail").post("/image_detail", json={"splitted_image_id": key})
    assert response.status_code == 404 and response.get_json()["error"]["code"] == "not_found"


def test_put_details_requires_admin_and_valid_fields(client: Client, admin: dict[str, str]) -> None:
    detail = client("detail")
    assert detail.put("/image_detail/shirt", json={"brand": "A"}).status_code == 401
    assert detail.put("/image_detail/shirt", json={"brand": "A", "size": ["S"]}, headers=admin).status_code == 200
    stored = detail.post("/image_detail", json={"splitted_image_id": "shirt"}).get_json()["message"]
    assert stored["size"] == ["S"]
    assert detail.put("/image_detail/shirt", json={"rating": "high"}, headers=admin).status_code == 422


def test_details_of_a_photo_name_with_underscores(client: Client, admin: dict[str, str], real: Services) -> None:
    upload_photo(client, admin, image_name="my_photo_1")
    real.segments.put_details([ProductDetails("my_photo_1", brand="right"), ProductDetails("my", brand="wrong")])
    response = client("detail").post("/image_detail", json={"splitted_image_id": "my_photo_1_segment_0"})
    assert response.get_json()["message"]["brand"] == "right"


def test_update_segment_changes_only_given_fields(client: Client, admin: dict[str, str]) -> None:
    before = upload_photo(client, admin, image_name="01").get_json()["data"]["segments"][0]
    detail, path = client("detail"), "/splitted_images/01_segment_0"
    for change in ({"label": "scarf"}, {"score": 0.5}, {"bounding_box": [1.0, 2.0, 30.0, 40.0]}, {}, {"label": None}):
        after = detail.put(path, json=change, headers=admin).get_json()["data"]
        assert after == before | change
        before = after


def test_update_segment_rejects_invalid_boxes(client: Client, admin: dict[str, str]) -> None:
    upload_photo(client, admin, image_name="one")
    detail, path = client("detail"), "/splitted_images/one_segment_0"
    change = {"bounding_box": [1, 2.5, 30, 40], "label": "hat", "score": 0.25}
    response = detail.put(path, json=change, headers=admin)
    assert response.get_json()["data"]["bounding_box"] == [1, 2.5, 30, 40]
    assert detail.get(path).get_json()["data"]["label"] == "hat"
    for invalid in ([1, 2, 3], [1, 2, 3, "4"], [1, 2, 3, None], "1,2,3,4", {"x1": 1}):
        assert detail.put(path, json={"bounding_box": invalid}, headers=admin).status_code == 422


def test_thumbnail_is_a_small_jpeg(client: Client, admin: dict[str, str]) -> None:
    upload_photo(client, admin, image_name="first")
    response = client("detail").get("/thumbnails/first_segment_0")
    assert response.mimetype == "image/jpeg" and max(images.read_image(response.data).size) <= 256
