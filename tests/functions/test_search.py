"""Search with `/search`: examples, conditions, groups, facets and pages, in JSON and in forms."""

import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image
from werkzeug.test import TestResponse

from lookalike.adapters.compact_embedder import CompactEmbedder
from lookalike.bootstrap import Services, services
from lookalike.domain.color import parse_hex
from lookalike.domain.model import Box, NewSegment, Photo, ProductDetails, User
from tests.conftest import bearer_header, jpeg
from tests.functions.harness import (
    OTHER_PHOTO,
    OWNED_PHOTOS,
    PHOTO,
    Client,
    encode_base64,
    search_photo,
    store_owned_photos,
    upload_photo,
)
from tests.sample_photos import sample_photo

RED, GREEN = "#c01020", "#20a040"


def post_search(client: Client, headers: dict[str, str] | None = None, **fields: Any) -> TestResponse:
    """Send a request to `/search`."""
    return client("relay").post("/search", json=fields, headers=headers or {})


def found(response: TestResponse) -> list[str]:
    """Return the names of the garments of a successful response."""
    assert response.status_code == 200, response.get_data(as_text=True)
    return [result["splitted_image_id"] for result in response.get_json()["results"]]


def store_color(real: Services, name: str, color: str) -> None:
    """Store a dress with that mean color, with images and a random vector."""
    image = jpeg(Image.new("RGB", (12, 16), color))
    path, thumbnail = f"{name}/segment_0.png", f"{name}/segment_0.jpg"
    for object_path in (path, thumbnail):
        real.store.put(object_path, image, "image/jpeg")
    vector = np.random.default_rng(len(name)).normal(size=CompactEmbedder.dim)
    segment = NewSegment(
        f"{name}_segment_0",
        path,
        thumbnail,
        Box(0, 0, 12, 16),
        "dress",
        0.9,
        np.asarray(vector / np.linalg.norm(vector), np.float32),
        parse_hex(color),
    )
    real.catalog.add_photo(Photo(name, "0" * 64, 12, 16), [segment], CompactEmbedder.name)


def test_a_garment_finds_the_same_as_its_photo(client: Client, admin: dict[str, str]) -> None:
    upload_photo(client, admin, image_name="one")
    upload_photo(client, admin, OTHER_PHOTO, image_name="two")
    body = post_search(client, query=[{"id": "one_segment_0"}], include="none", request_id="mine").get_json()
    best = body["results"][0]
    assert best["splitted_image_id"] == "one_segment_0" and best["similarity"] == pytest.approx(1, abs=1e-5)
    assert best["match"] > 0.95 and body["search_id"] == body["request_id"] == "mine"
    assert body["understood"] == [] == body["ignored"] and body["facets"] == {} and body["next_cursor"] is None
    assert found(post_search(client, query=[{"id": best["id"]}])) == [
        one["splitted_image_id"] for one in body["results"]
    ]
    assert "one_segment_0" not in found(post_search(client, query=[{"id": best["id"]}], exclude_original=True))


def test_a_search_by_id_loads_no_model(client: Client, admin: dict[str, str], real: Services) -> None:
    upload_photo(client, admin, image_name="one")
    services.cache_clear()
    assert found(post_search(client, query=[{"id": "one_segment_0"}]))
    assert "models" not in services().lazy_values


def test_relay_image_and_search_find_the_same(client: Client, admin: dict[str, str]) -> None:
    for name, photo in OWNED_PHOTOS.items():
        upload_photo(client, admin, photo, image_name=name)
    box = [5, 10, 120.5, 200]
    for options in ({"segment": True}, {"min_similarity": 0.2}, {"bounding_box": box}, {"collapse": True}):
        relayed = search_photo(client, num=10, include="none", **options).get_json()
        example: dict[str, Any] = {"image_base64": encode_base64(PHOTO)}
        if "bounding_box" in options:
            example, options = {**example, "bounding_box": box}, {}
        searched = post_search(client, query=[example], include="none", limit=10, **options).get_json()
        assert searched["results"] == relayed["results"] and searched.get("groups") == relayed.get("groups")
        assert relayed["results"]


def test_examples_are_combined_by_weight(client: Client, admin: dict[str, str]) -> None:
    for name, photo in OWNED_PHOTOS.items():
        upload_photo(client, admin, photo, image_name=name)
    both = [{"id": "one_segment_0"}, {"id": "two_segment_0"}]
    names = found(post_search(client, query=both, limit=2))
    assert set(names) == {"one_segment_0", "two_segment_0"}
    against = [{"id": "one_segment_0"}, {"id": "two_segment_0", "weight": -0.9}]
    body = post_search(client, query=against).get_json()
    assert body["results"][0]["splitted_image_id"] == "one_segment_0"
    assert body["results"][-1]["splitted_image_id"] == "two_segment_0" and "match" not in body["results"][0]


class TestPhotos:
    """Photos as files of a form, as base64, and as objects of the bucket."""

    def test_a_form_names_its_files(self, client: Client, admin: dict[str, str]) -> None:
        upload_photo(client, admin, image_name="one")
        upload_photo(client, admin, OTHER_PHOTO, image_name="two")
        request = {"query": [{"image": "first"}, {"image": "second", "weight": 0.1}], "include": "none"}
        form = {
            "request": json.dumps(request),
            "first": (io.BytesIO(OTHER_PHOTO), "a.jpg"),
            "second": (io.BytesIO(PHOTO), "b"),
        }
        response = client("relay").post("/search", data=form)
        assert found(response)[0] == "two_segment_0"

    @pytest.mark.parametrize(
        ("form", "field"),
        [
            ({"first": (io.BytesIO(PHOTO), "a.jpg")}, "request"),
            ({"request": "no JSON"}, "body"),
            ({"request": "[1]"}, "body"),
            ({"request": json.dumps({"query": [{"image": "missing"}]})}, "query[0].image"),
        ],
    )
    def test_a_form_without_what_it_names_is_refused(self, client: Client, form: dict[str, Any], field: str) -> None:
        response = client("relay").post("/search", data=form, content_type="multipart/form-data")
        assert response.status_code == 422 and response.get_json()["error"]["details"]["field"] == field

    def test_a_photo_in_the_bucket(self, client: Client, admin: dict[str, str], real: Services) -> None:
        upload_photo(client, admin, image_name="one")
        real.store.put("incoming/new.jpg", PHOTO, "image/jpeg")
        bucket = real.settings.bucket
        address = f"gs://{bucket}/incoming/new.jpg"
        assert found(post_search(client, query=[{"image": address}]))[0] == "one_segment_0"
        for other, status in (
            (f"gs://{bucket}/incoming/other.jpg", 404),
            ("gs://another/incoming/new.jpg", 422),
            (f"gs://{bucket}/index/current.json", 422),
            (f"gs://{bucket}/../secret.jpg", 422),
            ("gs://", 422),
        ):
            response = post_search(client, query=[{"image": other}])
            assert response.status_code == status, other
            assert response.get_json()["error"]["details"]["field"] == "query[0].image"

    @pytest.mark.parametrize(
        ("example", "status", "field"),
        [
            ({"image_base64": encode_base64(b"no photo")}, 400, "query[0].image"),
            ({"image_base64": "!"}, 400, "query[0].image_base64"),
            ({"image_base64": encode_base64(PHOTO), "bounding_box": [9000, 0, 9100, 9]}, 422, "query[0].bounding_box"),
            ({"id": "unknown"}, 404, "query[0].id"),
            ({"id": 2**80}, 404, "query[0].id"),
        ],
    )
    def test_the_field_of_a_wrong_example_is_named(
        self, client: Client, example: dict[str, Any], status: int, field: str
    ) -> None:
        response = post_search(client, query=[example])
        assert response.status_code == status, response.get_data(as_text=True)
        assert response.get_json()["error"]["details"]["field"] == field


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "send at least one example"),
        ({"query": []}, "send at least one example"),
        ({"query": [{"id": 1, "weight": -0.5}]}, "at least one example with a positive weight"),
        ({"query": [{"id": 1, "weight": 0}]}, "weight must not be 0"),
        ({"query": [{"id": 1, "weight": 1.5}]}, r"query[0].weight"),
        ({"query": [{"id": 1, "text": "dress"}]}, "exactly one of"),
        ({"query": [{}]}, "exactly one of"),
        ({"query": [{"id": 1, "bounding_box": [0, 0, 1, 1]}]}, "bounding_box belongs to a picture"),
        ({"query": [{"id": 1}, {"image": "a", "bounding_box": [0, 0, 1]}]}, "query[1].bounding_box"),
        ({"query": [{"id": 1}] * 17}, "query: List should have at most 16 items"),
        ({"query": [{"id": 1}], "limit": 0}, "limit"),
        ({"query": [{"id": 1}], "segment": True}, "segment: needs exactly one example"),
        ({"query": [{"id": 1}], "segment": True, "cursor": "x"}, "cursor cannot be combined"),
        ({"query": [{"id": 1}], "cursor": "x"}, "cursor: not a cursor"),
        ({"query": [{"id": 1}], "group_by": "tags"}, "group_by"),
        ({"query": [{"id": 1}], "facets": ["score"]}, "facets"),
        ({"query": [{"id": 1}], "diversity": 2}, "diversity"),
        ({"color": {"near": "red"}}, "color"),
        ({"color": {"near": "#12345"}}, "color"),
        ({"color": {"near": RED, "within": 101}}, "color"),
    ],
)
def test_an_invalid_request_is_explained(client: Client, fields: dict[str, Any], message: str) -> None:
    response = post_search(client, **fields)
    assert response.status_code == 422 and message in response.get_json()["message"], response.get_data(as_text=True)


class TestConditions:
    """Conditions without examples, which list garments, and together with examples."""

    @pytest.fixture(autouse=True)
    def colored(self, real: Services) -> None:
        """Store garments of different colors, with product details of some."""
        for name, color in {"red": RED, "pink": "#d04a60", "green": GREEN, "dark": "#181818"}.items():
            store_color(real, name, color)
        real.segments.put_details(
            [
                ProductDetails("red", brand="Marlow", season="summer", tags=["linen"]),
                ProductDetails("pink", brand="Ost", season="summer"),
                ProductDetails("green", brand="Marlow", store_description="a striped dress for long evenings"),
            ]
        )

    def test_a_color_lists_garments_by_distance(self, client: Client) -> None:
        body = post_search(client, color={"near": RED, "within": 30}, include="none").get_json()
        assert [one["original_image_id"] for one in body["results"]] == ["red", "pink"]
        distances = [one["why"]["color_distance"] for one in body["results"]]
        assert distances[0] < 2 < distances[1] <= 30 and "similarity" not in body["results"][0]
        assert found(post_search(client, color={"near": RED, "within": 2})) == ["red_segment_0"]

    def test_a_filter_alone_lists_garments_by_id(self, client: Client) -> None:
        assert found(post_search(client, filter={"season": "summer"})) == ["red_segment_0", "pink_segment_0"]

    def test_conditions_restrict_a_search_by_example(self, client: Client) -> None:
        example = [{"id": "red_segment_0"}]
        response = post_search(client, query=example, filter={"brand": "Marlow"}, color={"near": GREEN})
        assert found(response) == ["green_segment_0"] and "similarity" in response.get_json()["results"][0]

    def test_words_are_understood_as_conditions(self, client: Client) -> None:
        body = post_search(client, query=[{"text": "red Marlow frock"}], include="none").get_json()
        assert [one["original_image_id"] for one in body["results"]] == ["red"]
        assert {(one["as"], one["value"]) for one in body["understood"]} == {
            ("color", "red"),
            ("brand", "Marlow"),
            ("label", "dress"),
        }
        assert body["ignored"] == []

    def test_words_of_the_details_are_found_and_others_are_reported(self, client: Client) -> None:
        body = post_search(client, query=[{"text": "striped gown with xylophones"}], include="none").get_json()
        assert [one["original_image_id"] for one in body["results"]] == ["green"]
        assert {one["as"] for one in body["understood"]} == {"pattern", "label"}
        assert set(body["ignored"]) == {"with", "xylophones"}

    def test_words_and_an_example_are_one_request(self, client: Client) -> None:
        query = [{"id": "red_segment_0"}, {"text": "green"}]
        body = post_search(client, query=query).get_json()
        (result,) = body["results"]
        assert result["original_image_id"] == "green" and -1 < result["similarity"] < 1
        assert result["why"]["color_distance"] < 25

    def test_words_with_a_negative_weight_exclude(self, client: Client) -> None:
        query = [{"id": "red_segment_0"}, {"text": "Marlow", "weight": -1}]
        assert set(found(post_search(client, query=query))) == {"pink_segment_0", "dark_segment_0"}

    def test_words_without_any_meaning_are_refused(self, client: Client) -> None:
        response = post_search(client, query=[{"id": "red_segment_0"}, {"text": "xylophone"}])
        assert response.status_code == 422
        assert response.get_json()["error"]["details"]["field"] == "query[1].text"

    def test_facets_count_all_garments_that_satisfy_the_conditions(self, client: Client) -> None:
        facets = ["label", "brand", "season", "color", "tags"]
        body = post_search(client, query=[{"id": "red_segment_0"}], facets=facets, limit=1).get_json()
        counts = {name: {one["value"]: one["count"] for one in values} for name, values in body["facets"].items()}
        assert counts["label"] == {"dress": 4} and counts["brand"] == {"Marlow": 2, "Ost": 1}
        assert counts["season"] == {"summer": 2} and counts["tags"] == {"linen": 1}
        assert sum(counts["color"].values()) == 4 and counts["color"]["green"] == 1
        filtered = post_search(client, filter={"brand": "Marlow"}, color={"near": RED}, facets=["brand", "season"])
        assert filtered.get_json()["facets"] == {
            "brand": [{"value": "Marlow", "count": 1}],
            "season": [{"value": "summer", "count": 1}],
        }

    def test_groups_have_their_value_and_size(self, client: Client) -> None:
        query = [{"id": "red_segment_0"}]
        body = post_search(client, query=query, group_by="season", include_details=True).get_json()
        by_season = {one["group"]["key"]: one["group"]["size"] for one in body["results"]}
        assert by_season == {"summer": 2, None: 1} and len(body["results"]) == 3
        assert body["results"][0]["details"]["brand"] == "Marlow"

    def test_pages_follow_the_cursor(self, client: Client) -> None:
        request: dict[str, Any] = {"query": [{"id": "red_segment_0"}], "limit": 3, "include": "none"}
        first = post_search(client, **request)
        cursor = first.get_json()["next_cursor"]
        second = post_search(client, **request, cursor=cursor)
        assert len(found(first)) == 3 and len(found(second)) == 1 and not set(found(first)) & set(found(second))
        assert second.get_json()["next_cursor"] is None
        other = post_search(client, **{**request, "filter": {"season": "summer"}}, cursor=cursor)
        assert other.status_code == 422 and other.get_json()["error"]["details"]["field"] == "cursor"


def test_the_history_has_the_request_without_photos(client: Client, real: Services) -> None:
    store_owned_photos(client, real)
    anna = bearer_header(real, User("anna", "a@example.org"))
    example = {"image_base64": encode_base64(PHOTO), "bounding_box": [0, 0, 50, 60]}
    query = [example, {"id": "two_segment_0", "weight": -0.5}]
    response = post_search(client, anna, query=query, diversity=0.5, limit=2, request_id="found-it")
    data = client("relay").get("/search_history/found-it", headers=anna).get_json()["data"]
    assert data["query"] == [{"bounding_box": [0, 0, 50, 60]}, {"id": "two_segment_0", "weight": -0.5}]
    assert data["diversity"] == 0.5 and data["limit"] == 2
    assert [one["splitted_image_id"] for one in data["results"]] == found(response)
    listed = client("relay").get("/search_history", headers=anna).get_json()["data"]
    assert {one["search_id"] for one in listed} == {"found-it", "mine"}


def test_a_box_on_relay_image_searches_for_that_part(client: Client, admin: dict[str, str]) -> None:
    photo = sample_photo(5, outfit=True)
    stored = upload_photo(client, admin, jpeg(photo), image_name="worn").get_json()["data"]["segments"]
    for segment in stored:
        response = search_photo(client, jpeg(photo), bounding_box=segment["bounding_box"], include="none")
        assert found(response)[0] == segment["splitted_image_id"]
    form = {"image": (io.BytesIO(jpeg(photo)), "a.jpg"), "bounding_box": json.dumps(stored[0]["bounding_box"])}
    assert found(client("relay").post("/relay_image", data=form))[0] == stored[0]["splitted_image_id"]
    both = search_photo(client, jpeg(photo), bounding_box=[0, 0, 50, 50], segment=True)
    outside = search_photo(client, jpeg(photo), bounding_box=[-9, -9, 0, 0])
    assert both.status_code == outside.status_code == 422
    assert outside.get_json()["error"]["details"]["field"] == "bounding_box"
