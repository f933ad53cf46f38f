"""Search with `/relay_image`: results, filters, groups, images and explanations."""

import base64
import io
import json
import math
from typing import Any

import pytest

from lookalike import images
from lookalike.adapters.compact_embedder import CompactEmbedder
from lookalike.bootstrap import WEIGHTS, Services, services
from lookalike.domain.model import ProductDetails
from tests.conftest import jpeg
from tests.contracts.databases import execute
from tests.functions.harness import (
    OTHER_PHOTO,
    OWNED_PHOTOS,
    PHOTO,
    Client,
    search_photo,
    store_owned_photos,
    upload_photo,
)
from tests.sample_photos import sample_photo


def upload_samples(client: Client, admin: dict[str, str], *seeds: int) -> None:
    """Upload sample photos as "photo-<seed>"."""
    for seed in seeds:
        upload_photo(client, admin, jpeg(sample_photo(seed)), image_name=f"photo-{seed}")


def matching_photos(client: Client, **fields: Any) -> set[str]:
    """Return the names of the photos whose garments a search returns."""
    results = search_photo(client, num=100, include="none", **fields).get_json()["results"]
    return {result["splitted_image_id"].split("_")[0] for result in results}


def test_search_finds_a_new_upload_at_once(client: Client, admin: dict[str, str]) -> None:
    assert search_photo(client).get_json()["results"] == []
    upload_photo(client, admin, image_name="first")
    upload_photo(client, admin, OTHER_PHOTO, image_name="second")
    body = search_photo(client, num=5).get_json()
    best = body["results"][0]
    assert set(best) >= {"id", "similarity", "processed_image_base64"}
    assert best["splitted_image_id"] == "first_segment_0" and 0.3 < best["similarity"] <= 1
    assert images.read_image(base64.b64decode(best["processed_image_base64"])).size > (1, 1)
    assert body["index"]["tail_rows"] == len(body["results"])


def test_garments_of_another_model_are_counted_and_not_compared(
    client: Client, real: Services, admin: dict[str, str]
) -> None:
    count = len(upload_photo(client, admin).get_json()["data"]["segments"])
    execute(real.settings.database, "UPDATE splitted_images SET embedder = 'old-1'")
    services.cache_clear()
    body = search_photo(client).get_json()
    assert body["results"] == [] and body["index"]["rows"] == 0 and body["index"]["without_vector"] == count
    services().reembed.run()
    services.cache_clear()
    body = search_photo(client).get_json()
    assert len(body["results"]) == count and body["index"]["without_vector"] == 0


def test_segment_search_groups_results_by_query_garment(client: Client, admin: dict[str, str]) -> None:
    outfit = sample_photo(5, outfit=True)
    photo = jpeg(outfit)
    stored = upload_photo(client, admin, photo, image_name="worn").get_json()["data"]["segments"]
    body = search_photo(client, photo, segment=True, num=2, include="thumbnail").get_json()
    assert len(body["groups"]) == len(stored) and (body["width"], body["height"]) == outfit.size
    for group, segment in zip(body["groups"], stored, strict=True):
        assert group["bounding_box"] == segment["bounding_box"] and group["label"] == segment["label"]
        assert group["results"][0]["splitted_image_id"] == segment["splitted_image_id"]
        assert group["results"][0]["similarity"] > 0.999
        assert len(group["results"]) <= 2


@pytest.mark.parametrize(
    ("include", "field"),
    [("image", "processed_image_base64"), ("thumbnail", "thumbnail_base64"), ("url", "url"), ("none", None)],
)
def test_include_selects_the_image_field(
    client: Client, admin: dict[str, str], include: str, field: str | None
) -> None:
    upload_photo(client, admin, image_name="first")
    result = search_photo(client, include=include).get_json()["results"][0]
    image_fields = {"processed_image_base64", "thumbnail_base64", "url"} & set(result)
    assert image_fields == ({field} if field else set())


def test_min_similarity_drops_less_similar_results(client: Client, admin: dict[str, str]) -> None:
    upload_samples(client, admin, 3, 8, 9)
    similarities = [result["similarity"] for result in search_photo(client, num=100).get_json()["results"]]
    limit = similarities[1]
    response = search_photo(client, num=100, min_similarity=limit)
    remaining = [result["similarity"] for result in response.get_json()["results"]]
    assert 1 <= len(remaining) < len(similarities) and min(remaining) >= limit


def test_match_is_the_probability_of_the_same_garment(client: Client, admin: dict[str, str]) -> None:
    upload_samples(client, admin, 3, 8)
    (same, *_, other) = search_photo(client, num=100, segment=True).get_json()["results"]
    assert same["match"] > 0.95 > 0.5 > other["match"] >= 0


def test_why_lists_what_garments_have_in_common(client: Client, admin: dict[str, str], real: Services) -> None:
    for name, seed in (("one", 3), ("two", 8)):
        upload_photo(client, admin, jpeg(sample_photo(seed)), image_name=name)
    real.segments.put_details(
        [ProductDetails("one", brand="Marlow", tags=["a"]), ProductDetails("two", brand="Marlow")]
    )
    body = search_photo(client, segment=True, num=10, include="none").get_json()
    (group,) = body["groups"]
    explanations = {result["original_image_id"]: result["why"] for result in group["results"]}
    assert explanations["one"] == {"same_label": True, "colour_distance": 0.0, "shared_details": ["brand", "tags"]}
    assert explanations["two"]["colour_distance"] > 0 and explanations["two"]["shared_details"] == ["brand"]
    assert [result["why"] for result in body["results"]] == [result["why"] for result in group["results"]]
    whole_photo = search_photo(client, jpeg(sample_photo(9)), include="none").get_json()["results"]
    assert [result["why"] for result in whole_photo] == [{}, {}]


def test_search_can_exclude_the_query_photo_and_its_duplicates(client: Client, admin: dict[str, str]) -> None:
    for seed, name in ((3, "photo"), (3, "copy"), (8, "other")):
        upload_photo(client, admin, jpeg(sample_photo(seed)), image_name=name)
    photo = sample_photo(3)
    upload_photo(client, admin, jpeg(photo.resize([round(0.8 * side) for side in photo.size])), image_name="small")
    assert matching_photos(client, segment=True) == {"photo", "copy", "small", "other"}
    assert matching_photos(client, segment=True, exclude_original=True) == {"small", "other"}
    assert matching_photos(client, segment=True, collapse=True) == {"photo", "other"}


def test_calibration_belongs_to_the_built_in_embedder() -> None:
    """A new embedder needs a new calibration: `infra/training/calibrate.py`."""
    assert json.loads((WEIGHTS / "calibration.json").read_text())["embedder"] == CompactEmbedder.name


def test_filter_restricts_results(client: Client, admin: dict[str, str], real: Services) -> None:
    upload_samples(client, admin, 3, 8, 9)
    real.segments.put_details([ProductDetails("photo-8", brand="Marlow", rating=4.5, tags=["summer", "linen"])])
    for conditions in ({"brand": "Marlow"}, {"tags": ["wool", "linen"]}, {"rating": {"min": 4}}, {"rating": 4.5}):
        assert matching_photos(client, filter=conditions) == {"photo-8"}
    assert matching_photos(client, filter={"brand": "Marlow", "rating": {"max": 4}}) == set()
    assert matching_photos(client, filter={"label": "no such"}) == set()
    assert matching_photos(client, filter={}) == {"photo-3", "photo-8", "photo-9"}


def test_filter_in_a_form_is_json_text(client: Client, admin: dict[str, str], real: Services) -> None:
    upload_samples(client, admin, 3, 8, 9)
    real.segments.put_details([ProductDetails("photo-8", brand="Marlow")])
    form = {"image": (io.BytesIO(PHOTO), "photo.jpg"), "filter": '{"brand": "Marlow"}', "include": "none"}
    results = client("relay").post("/relay_image", data=form).get_json()["results"]
    assert results and all(result["splitted_image_id"].startswith("photo-8") for result in results)


def test_include_details_adds_product_details(client: Client, real: Services) -> None:
    store_owned_photos(client, real)
    query = OWNED_PHOTOS["two"]
    results = search_photo(client, query, num=50, include="none").get_json()["results"]
    assert not any("details" in result for result in results)
    before = real.catalog.changes("compact-6", 0).last_commit
    real.segments.put_details([ProductDetails("two_segment_0", brand="Own")])
    response = search_photo(client, query, num=50, include="none", include_details=True)
    results = response.get_json()["results"]
    brands = {result["splitted_image_id"]: (result.get("details") or {}).get("brand") for result in results}
    assert brands["two_segment_0"] == "Own" and brands["one_segment_0"] is None
    others = {name for name in brands if name.startswith("two_") and name != "two_segment_0"}
    assert all(brands[name] == "Marlow" for name in others)
    assert real.catalog.changes("compact-6", 0).last_commit == before, "details must not change index rows"


def test_boxes_of_a_downscaled_photo_are_in_its_own_pixels(
    client: Client, real: Services, admin: dict[str, str]
) -> None:
    photo = sample_photo(3)
    scale = math.ceil(3000 / min(photo.size))
    large = photo.resize((photo.width * scale, photo.height * scale))
    upload_photo(client, admin, jpeg(photo))
    small_body, large_body = (search_photo(client, jpeg(image), segment=True).get_json() for image in (photo, large))
    assert (large_body["width"], large_body["height"]) == large.size
    small_group, large_group = small_body["groups"][0], large_body["groups"][0]
    assert [value / scale for value in large_group["bounding_box"]] == pytest.approx(small_group["bounding_box"], abs=4)
    assert large_group["results"][0]["similarity"] > 0.98
