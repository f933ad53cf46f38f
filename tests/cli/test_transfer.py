"""`lookalike export` and `lookalike import`: the same answers in another system."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.adapters.catalog import upgrade
from lookalike.adapters.product_feeds import parse_feed
from lookalike.batch.catalog_export import CatalogExport
from lookalike.batch.photos import run_search
from lookalike.bootstrap import Services, services
from lookalike.domain.duplicates import Decision
from lookalike.domain.filter import Condition
from lookalike.domain.model import Caller, ProductDetails
from lookalike.domain.product import FeedLine
from lookalike.usecases.jobs import validate_or_create_job_id
from lookalike.usecases.search import ColorCondition, GarmentExample, Include, PhotoExample, SearchRequest, TextExample
from tests.cli.conftest import run
from tests.conftest import jpeg
from tests.contracts.databases import temporary_database
from tests.emulators.web_server import WebServer, web_server
from tests.sample_photos import sample_photo

FEED = """id,title,price,sale_price,availability,brand,product_type,image_link,season_note
A,Linen dress,79.99 EUR,59.99 EUR,in stock,Ost,Dresses,{base}/1.jpg,summer
B,Wool skirt,120.00 EUR,,out of stock,Marlow,Skirts,{base}/2.jpg,winter
"""


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    with web_server() as server:
        for number in (1, 2):
            data = jpeg(sample_photo(number + 2))
            server.responses[f"/{number}.jpg"] = lambda handler, data=data: handler.reply(  # type: ignore[misc]
                200, data, Content_Type="image/jpeg", ETag=f'"{hashlib.md5(data).hexdigest()}"'
            )
        monkeypatch.setenv("PICTURE_HOSTS", f"127.0.0.1:{server.server_port},127.0.0.0/8")
        yield server


@pytest.fixture
def filled(web: WebServer, real: Services) -> Services:
    """A system with products, details, decisions, an owner, deleted garments and vectors of two embedders."""
    Path("shop.csv").write_text(FEED.format(base=f"http://127.0.0.1:{web.server_port}"))
    assert run("catalog", "sync", "shop.csv").exit_code == 0
    for number, name in enumerate(["zebra", "look", "deleted", "ant"]):
        with real.jobs.run_job("upload", Caller("anna"), validate_or_create_job_id(None)) as job:
            real.upload.upload_photo(jpeg(sample_photo(number, outfit=True)), name, "anna", True, job)
    for segment in [*real.catalog.segments_of_photo("deleted"), real.catalog.segments_of_photo("look")[0]]:
        real.segments.delete_segment(segment.name)
    real.catalog.put_details([ProductDetails("zebra", brand="Ost", tags=["linen"]), ProductDetails("unknown")])
    first, second = real.catalog.segments_of_photo("zebra")[:2]
    real._sql_catalog.decide_duplicate(first.row_id, second.row_id, Decision.REJECTED)
    real._sql_catalog.add_vectors("another-model", {first.row_id: np.array([0.6, 0.8], np.float32)})
    return real


@pytest.fixture(params=["sqlite", pytest.param("mysql", marks=pytest.mark.slow)])
def other_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with ExitStack() as stack:
        (tmp_path / "other").mkdir()
        url = stack.enter_context(temporary_database(request.param, tmp_path / "other"))
        upgrade(url)
        yield url


def open_other(monkeypatch: pytest.MonkeyPatch, database: str) -> Services:
    monkeypatch.setenv("LOOKALIKE_HOME", str(Path("other-home").absolute()))
    monkeypatch.setenv("DATABASE_URL", database)
    services.cache_clear()
    return services()


def test_other_system_gives_the_same_answers(
    filled: Services, monkeypatch: pytest.MonkeyPatch, other_database: str, web: WebServer
) -> None:
    expected = answers(filled)
    exported = run("export", "out")
    assert exported.exit_code == 0 and exported.output.startswith("Exported out: 5 photos, "), exported.output
    there = open_other(monkeypatch, other_database)
    imported = run("import", "out")
    assert imported.exit_code == 0, imported.output
    assert imported.output.startswith("Photos: 5 stored, 0 unchanged, 0 conflicts, 0 failed; ")
    assert "models" not in there.lazy_values and "note" not in imported.output.lower()
    assert_equal_answers(answers(there), expected)
    again = json.loads(run("import", "out", "--json").output)
    assert {again[kind]["stored"] for kind in ("photos", "details", "products", "decisions")} == {0}
    assert (again["photos"]["unchanged"], again["products"]["unchanged"], again["problems"]) == (5, 2, [])
    # the next synchronization knows the pictures
    web.received.clear()
    report = json.loads(run("catalog", "sync", "shop.csv", "--json").output)
    assert (report["unchanged"], report["pictures_unchanged"], report["pictures_stored"]) == (2, 2, 0)
    assert "models" in there.lazy_values and len(there.catalog.vectors("another-model", all_rows(there))) == 1


def all_rows(system: Services) -> list[int]:
    return [int(row_id) for row_id in system.catalog.matching_row_ids(None, {})]


def answers(system: Services) -> dict[str, Any]:
    """Everything that is stored, by name, and the results of searches of each kind."""
    segments = system.catalog.segments(all_rows(system)).values()
    names = {one.row_id: one.name for one in segments}
    photos = {one.photo: system.catalog.photo(one.photo) for one in segments}
    red, photo = (60.0, 30.0, 10.0), jpeg(sample_photo(0, outfit=True))
    requests = {
        "photo": SearchRequest([PhotoExample(photo)], 20, collapse=True),
        "garments of a photo": SearchRequest([PhotoExample(photo)], 20, segment=True),
        "id": SearchRequest([GarmentExample("ant_segment_0")], 20),
        "words": SearchRequest([TextExample("Ost")], 20),
        "price": SearchRequest([TextExample("under 80 EUR")], 20),
        "filter": SearchRequest([], 20, filter={"price": Condition((), 59.99, 79.99)}, group_by="product"),
        "color": SearchRequest([], 20, color=ColorCondition(red, 100)),
        "facets": SearchRequest([], 100, color=ColorCondition(red, 100), facets=["label", "brand", "photo", "tags"]),
    }
    products = system._sql_catalog.products(["A", "B"])
    return {
        "segments": {one.name: {**asdict(one), "row_id": 0} for one in segments},
        "photos": photos,
        "details": system.catalog.details([*names.values(), *photos, "unknown"]),
        "products": {name: {**asdict(one), "created": None, "updated": None} for name, one in products.items()},
        "images": {path: system.store.get(path) for one in segments for path in (one.path, str(one.thumbnail))},
        "decisions": sorted(
            (names[first], names[second], decision)
            for (first, second), decision in system._sql_catalog.duplicate_decisions([*names]).items()
        ),
        **{name: search(system, request) for name, request in requests.items()},
    }


def search(system: Services, request: SearchRequest) -> tuple[list[tuple[str, float | None]], object]:
    found = run_search(system, replace(request, include=Include.NONE))
    matches = [(one.segment.name, one.similarity) for group in found.groups for one in group.matches]
    assert matches
    return matches, found.facets


def assert_equal_answers(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, answer in expected.items():
        if not isinstance(answer, tuple):
            assert found[name] == answer, name
            continue
        (matches, facets), (expected_matches, expected_facets) = found[name], answer
        assert [one for one, _ in matches] == [one for one, _ in expected_matches], name
        for (_, similarity), (_, expected_similarity) in zip(matches, expected_matches, strict=True):
            assert similarity == pytest.approx(expected_similarity, abs=1e-6), name
        assert facets == expected_facets, name


def test_feed_and_rows_of_an_export(filled: Services) -> None:
    manifest = json.loads(run("export", "out", "--without-images", "--json").output)
    folder = Path("out")
    with (folder / "feed.tsv").open("rb") as file:
        products = [line.product for line in parse_feed(file, "feed.tsv") if isinstance(line, FeedLine)]
    assert products == [one.product for one in filled._sql_catalog.products(["A", "B"]).values()]
    garments = [json.loads(line)["name"] for line in (folder / "garments.jsonl").read_text().splitlines()]
    assert len(garments) == manifest["counts"]["garments"] == len(all_rows(filled))
    (own,) = [one for one in manifest["embedders"] if one["name"] == filled.models.embedder]
    with np.load(folder / own["files"][0]) as content:
        assert content["names"].tolist() == garments and content["vectors"].shape == (len(garments), own["dimension"])
    assert not (folder / "images").exists() and not manifest["has_images"]
    for name, entry in manifest["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == entry["sha256"]


def test_import_without_images_needs_those_of_the_bucket(filled: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = {one.path: filled.store.get(one.path) for one in filled.store.list()}
    assert run("export", "out", "--without-images").exit_code == 0
    there = open_other(monkeypatch, f"sqlite:///{Path('other.db').absolute()}")
    missing = run("import", "out")
    assert missing.exit_code == 1 and "5 failed" in missing.output
    assert "is neither in the export nor in the bucket" in missing.output and not all_rows(there)
    for path, data in stored.items():
        there.store.put(path, data, "image/jpeg")
    imported = run("import", "out")
    assert imported.exit_code == 0, imported.output
    assert len(all_rows(there)) == len(all_rows(filled))


def test_other_embedder_needs_reembed(filled: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    with filled._sql_catalog.transaction(writes=True) as tx:
        tx.exec_driver_sql("UPDATE splitted_images SET embedder = 'older-model'")
    assert run("export", "out").exit_code == 0
    there = open_other(monkeypatch, f"sqlite:///{Path('other.db').absolute()}")
    imported = run("import", "out")
    assert imported.exit_code == 0 and "Run `lookalike reembed`" in imported.output
    assert len(all_rows(there)) == there.missing_vectors.count()


def test_interrupted_export_is_not_imported(filled: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stop(BaseException):
        pass

    def stop(path: str) -> Iterator[bytes]:
        raise Stop

    export = CatalogExport(filled.transfer, filled.store, Path("out"), True)
    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(filled.store, "read", stop)
        export.run()
    assert Path("out/garments.jsonl").exists()
    refused = run("import", "out")
    assert refused.exit_code == 1 and "the export was interrupted; repeat it" in refused.output
    assert run("export", "out").exit_code == 0 and run("import", "out").exit_code == 0
    again = run("export", "out")
    assert again.exit_code == 1 and "complete export: choose another folder" in again.output
