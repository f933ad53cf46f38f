"""Erased for good: gone from the catalog, the bucket, searches, histories and the next index; and told in a receipt."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from lookalike.bootstrap import Services
from lookalike.domain.model import Caller, JobStatus, ProductDetails, User
from tests.cli.conftest import run
from tests.conftest import bearer_header, jpeg
from tests.sample_photos import sample_photo

Client = Callable[[str], FlaskClient]
PHOTOS = {name: jpeg(sample_photo(seed)) for name, seed in {"one": 3, "two": 8, "three": 5}.items()}


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture
def house(client: Client, real: Services) -> Services:
    """Three photos, two of them anna's and one bert's, of which one is by Marlow; anna has searched."""
    for name, photo in PHOTOS.items():
        owner = User("bert" if name == "three" else "anna", "x@example.org", "admin")
        body = {"image_base64": text(photo), "image_name": name}
        assert client("upload").post("/upload_image", json=body, headers=bearer_header(real, owner)).status_code == 200
    real.segments.put_details([ProductDetails("two", brand="Marlow")])
    real.reindex.build()
    anna = bearer_header(real, User("anna", "a@example.org"))
    client("relay").post(
        "/relay_image", json={"image_base64": text(PHOTOS["one"]), "num": 50, "request_id": "mine"}, headers=anna
    )
    return real


def erased(client: Client, admin: dict[str, str], method: str, path: str, **body: Any) -> dict[str, Any]:
    said = client("detail").open(path, method=method, json=body, headers=admin)
    assert said.status_code == 200 and said.get_json()["success"], said.get_data(as_text=True)
    data: dict[str, Any] = said.get_json()["data"]
    return data


def shows_nothing_of(client: Client, real: Services, admin: dict[str, str], name: str) -> bool:
    """Neither the bucket nor any answer, and no index built from now on."""
    stored = [one.path for one in real.store.list() if one.path.startswith(f"{name}/")]
    relay = client("relay")
    found = relay.post(
        "/relay_image", json={"image_base64": text(PHOTOS[name]), "num": 100, "include": "none"}
    ).get_data(as_text=True)
    past = relay.get("/search_history/mine", headers=bearer_header(real, User("anna", "a@example.org"))).get_data(
        as_text=True
    )
    read = [
        client("detail").get(path.format(name)).status_code
        for path in ("/splitted_images/{}_segment_0", "/splitted_images/by_original/{}", "/thumbnails/{}_segment_0")
    ]
    assert real.reindex.build().rows == len(real.catalog.changes("compact-3", 0).row_ids)
    return not stored and f'"{name}' not in found and f'"{name}' not in past and read == [404] * 3


def test_a_photo_goes_with_all_its_garments(client: Client, house: Services, admin: dict[str, str]) -> None:
    segments = [one.name for one in house.segments.list_segments_of_photo("one")]
    data = erased(client, admin, "DELETE", "/splitted_images/by_original/one")
    assert data["segments"] == segments and data["receipt_id"] and data["at"]
    counts = data["counts"]
    assert (counts["garments"], counts["photos"], counts["remaining"]) == (len(segments), 1, 0)
    assert counts["objects"] == 2 * len(segments) + 1, "pictures, thumbnails, and the photo"
    assert shows_nothing_of(client, house, admin, "one") and not shows_nothing_of(client, house, admin, "two")
    assert client("detail").delete("/splitted_images/by_original/one", headers=admin).status_code == 404


def test_garments_go_one_by_one_and_the_photo_with_the_last(
    client: Client, house: Services, admin: dict[str, str]
) -> None:
    segments = [one.name for one in house.segments.list_segments_of_photo("one")]
    receipts = [erased(client, admin, "DELETE", f"/splitted_images/{name}") for name in segments]
    assert [one["splitted_image_id"] for one in receipts] == segments
    assert [one["counts"]["photos"] for one in receipts] == [0] * (len(segments) - 1) + [1]
    assert shows_nothing_of(client, house, admin, "one")


def test_what_fulfils_a_filter_goes(client: Client, house: Services, admin: dict[str, str]) -> None:
    wanted = {"brand": "Marlow"}
    would = erased(client, admin, "POST", "/erase", filter=wanted, dry_run=True)
    assert (
        would["segments"] == [one.name for one in house.segments.list_segments_of_photo("two")]
        and would["counts"]["garments"] == 0
    )
    data = erased(client, admin, "POST", "/erase", filter=wanted)
    assert data["segments"] == would["segments"] and data["counts"]["photos"] == 1
    assert shows_nothing_of(client, house, admin, "two") and not shows_nothing_of(client, house, admin, "one")
    assert erased(client, admin, "POST", "/erase", filter=wanted)["counts"]["garments"] == 0
    assert house.catalog.details(["two"]), "what the shop says is the shop's"


def test_what_a_user_left_goes(client: Client, house: Services, admin: dict[str, str]) -> None:
    house.catalog.start_job("running", "search", Caller("anna"))
    data = erased(client, admin, "POST", "/erase", owner="anna")
    assert data["counts"]["photos"] == 2 and data["counts"]["searches"] == 1 and data["counts"]["jobs"] >= 3
    assert shows_nothing_of(client, house, admin, "one") and shows_nothing_of(client, house, admin, "two")
    assert not shows_nothing_of(client, house, admin, "three")
    assert [one.id for one in house.catalog.list_jobs(Caller("anna"))] == ["running"]
    house.catalog.finish_job("running", JobStatus.COMPLETED)


def test_filters_reach_garments_of_every_embedder(client: Client, house: Services, admin: dict[str, str]) -> None:
    from tests.contracts.databases import execute

    execute(house.settings.database, "UPDATE splitted_images SET embedder = 'old-1' WHERE original_image_id = 'two'")
    assert erased(client, admin, "POST", "/erase", filter={"brand": "Marlow"})["counts"]["photos"] == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"filter": {}},
        {"owner": ""},
        {"filter": {"label": "top"}, "owner": "anna"},
        {"filter": {"id": 1}},
        {"owner": 5},
    ],
)
def test_nothing_goes_that_was_not_named(
    client: Client, house: Services, admin: dict[str, str], body: dict[str, Any]
) -> None:
    rows = house.catalog.changes("compact-3", 0).row_ids.size
    assert client("detail").post("/erase", json=body, headers=admin).status_code == 422
    assert house.catalog.changes("compact-3", 0).row_ids.size == rows


def test_what_there_was_no_time_for_is_told(client: Client, house: Services, admin: dict[str, str]) -> None:
    house.built["erase"] = replace(house.erase, time_limit=-1)
    data = erased(client, admin, "POST", "/erase", owner="anna")
    assert data["counts"]["garments"] == 0 and data["counts"]["remaining"] > 0 and data["counts"]["searches"] == 0
    house.built["erase"] = replace(house.erase, time_limit=60)
    assert erased(client, admin, "POST", "/erase", owner="anna")["counts"]["remaining"] == 0


def test_the_vectors_too_leave_the_bucket_when_an_operator_says_so(house: Services) -> None:
    from click.testing import CliRunner

    from lookalike.cli import main

    before = {one.path for one in house.store.list("index/")}
    said = CliRunner().invoke(main, ["erase", "--photo", "one", "--yes", "--now"])
    receipt = json.loads(said.stdout)
    assert said.exit_code == 0 and receipt["photos"] == 1 and receipt["segments"][0].startswith("one_segment_")
    left = {one.path for one in house.store.list("index/")}
    assert left & before == {house.versions.pointer_path}
    for wrong in (
        ["--yes"],
        ["--photo", "a", "--owner", "b", "--yes"],
        ["--filter", "{", "--yes"],
        ["--filter", "{}", "--yes"],
    ):
        assert CliRunner().invoke(main, ["erase", *wrong]).exit_code != 0
    assert CliRunner().invoke(
        main, ["erase", "--photo", "two"], input="n\n"
    ).exit_code == 1 and house.segments.list_segments_of_photo("two")


@pytest.mark.parametrize(
    "what",
    [["--segment", "two_segment_0"], ["--photo", "two"], ["--owner", "anna"], ["--filter", '{"brand": "Marlow"}']],
)
def test_a_dry_run_only_tells(house: Services, what: list[str]) -> None:
    before = house.catalog.changes("compact-3", 0).row_ids.tolist()
    would = run("erase", *what, "--dry-run", "--now")
    receipt = json.loads(would.stdout)
    assert would.exit_code == 0 and "two_segment_0" in receipt["segments"] and receipt["remaining"] > 0
    assert receipt["garments"] == 0 and house.catalog.changes("compact-3", 0).row_ids.tolist() == before


def test_an_operator_is_told_that_some_remain(house: Services) -> None:
    house.built["erase"] = replace(house.erase, time_limit=-1)
    assert run("erase", "--photo", "two", "--yes").exit_code == 1


def test_what_shops_say_comes_with_the_answer(client: Client, house: Services) -> None:
    asked = {"image_base64": text(PHOTOS["two"]), "num": 50, "include": "none"}
    plain = client("relay").post("/relay_image", json=asked).get_json()["results"]
    assert not any("details" in one for one in plain)
    before = house.catalog.changes("compact-3", 0).last_commit
    house.segments.put_details([ProductDetails("two_segment_0", brand="Own")])
    found = client("relay").post("/relay_image", json={**asked, "include_details": True}).get_json()["results"]
    brands = {one["splitted_image_id"]: (one.get("details") or {}).get("brand") for one in found}
    assert brands["two_segment_0"] == "Own" and brands["one_segment_0"] is None
    assert all(
        brand == "Marlow" for name, brand in brands.items() if name.startswith("two_") and name != "two_segment_0"
    )
    assert house.catalog.changes("compact-3", 0).last_commit == before, "nothing is embedded anew"


def test_a_garment_is_added_to_a_photo_that_is_stored(client: Client, house: Services, admin: dict[str, str]) -> None:
    upload, count = client("upload"), len(house.segments.list_segments_of_photo("one"))
    cut = text(jpeg(sample_photo(8).crop((0, 0, 200, 200))))
    body = {
        "image_base64": cut,
        "original_image_id": "one",
        "bounding_box": [1, 2, 201, 202],
        "label": "bag",
        "score": 0.5,
    }
    said = upload.post("/splitted_images", json=body, headers=admin).get_json()["data"]
    assert said["splitted_image_id"] == f"one_segment_{count}" and said["label"] == "bag"
    assert said["bounding_box"] == [1, 2, 201, 202] and said["score"] == 0.5
    assert upload.post("/splitted_images", json={**body, "segment_id": count}, headers=admin).status_code == 409
    assert (
        upload.post("/splitted_images", json={**body, "original_image_id": "nowhere"}, headers=admin).status_code == 404
    )
    assert upload.post("/splitted_images", json={**body, "image_base64": "!"}, headers=admin).status_code == 400
    assert upload.post("/splitted_images", json={**body, "score": 2}, headers=admin).status_code == 422
    best = client("relay").post("/relay_image", json={"image_base64": cut, "num": 1}).get_json()["results"][0]
    assert best["splitted_image_id"] == said["splitted_image_id"]


def test_a_garment_is_described_anew(client: Client, house: Services, admin: dict[str, str]) -> None:
    detail, path = client("detail"), "/splitted_images/one_segment_0"
    said = detail.put(path, json={"bounding_box": [1, 2.5, 30, 40], "label": "hat", "score": 0.25}, headers=admin)
    assert said.get_json()["data"]["bounding_box"] == [1, 2.5, 30, 40]
    assert detail.get(path).get_json()["data"]["label"] == "hat"
    for wrong in ([1, 2, 3], [1, 2, 3, "4"], [1, 2, 3, None], "1,2,3,4", {"x1": 1}):
        assert detail.put(path, json={"bounding_box": wrong}, headers=admin).status_code == 422
