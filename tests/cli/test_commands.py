"""The command line, on real models and files."""

import json
import pickle
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from sklearn.neighbors import NearestNeighbors

from lookalike import images
from lookalike.adapters.weights import RESNET50
from lookalike.bootstrap import Services, services
from lookalike.cli import main
from lookalike.domain.model import ORIGINAL_EMBEDDER, Caller
from lookalike.usecases.models import Models
from tests.conftest import drawn, jpeg
from tests.contracts.databases import execute
from tests.contracts.test_migrations import DETAILS, IMAGES, SQLITE
from tests.emulators.file_server import SUMS, WEIGHTS, file_server
from tests.emulators.storage_server import storage_server
from tests.fakes.models import FakeDetector, FakeEmbedder


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def folder(real: Services) -> Path:
    """Two photos, one broken, one of a format that is not accepted, and something else."""
    path = Path("photos")
    (path / "summer").mkdir(parents=True)
    (path / "dress.jpg").write_bytes(jpeg(drawn(3)))
    (path / "summer" / "dress.jpg").write_bytes(jpeg(drawn(8)))
    (path / "broken.jpg").write_bytes(jpeg(drawn(9))[:3000])
    drawn(4).save(path / "moving.gif")
    (path / "notes.txt").write_text("no photo")
    return path


def test_a_folder_is_ingested_once_and_what_is_broken_is_passed_over(folder: Path, real: Services) -> None:
    summary = json.loads(run("ingest", folder, "--json").output)
    assert (
        summary["stored"] == 2 and summary["garments"] >= 2 and set(summary["failed"]) == {"broken.jpg", "moving.gif"}
    )
    again = json.loads(run("ingest", folder, "--json").output)
    assert (again["stored"], again["known"], set(again["failed"])) == (0, 2, {"broken.jpg", "moving.gif"})
    (folder / "broken.jpg").write_bytes(jpeg(drawn(9)))
    mended = json.loads(run("ingest", folder, "--json").output)
    assert mended["stored"] == 1 and set(mended["failed"]) == {"moving.gif"}
    assert real.catalog.photo("dress") and real.catalog.photo("summer-dress")


def test_a_folder_ingested_after_a_crash_goes_on(folder: Path, real: Services) -> None:
    real.store.put("dress/claim", b"\njob 1", "text/plain")
    real.store.delete("dress/claim")
    real.store.put("dress/segment_0.png", b"half written", "image/png")
    assert json.loads(run("ingest", folder, "--json").output)["stored"] == 2
    assert real.store.get("dress/segment_0.png").startswith(b"\x89PNG")


def test_an_older_version_of_the_index_counts_again_and_old_ones_are_deleted(real: Services) -> None:
    first, second = (json.loads(run("index", "build", "--json").output)["version"] for _ in range(2))
    assert [line.split()[:2] for line in run("index", "list").output.splitlines()][-1] == ["*", second]
    assert f"{first} counts again" in run("index", "rollback").output
    starred = [line.split()[1] for line in run("index", "list").output.splitlines() if line.startswith("*")]
    assert starred == [first]
    nowhere = run("index", "rollback", "20200101T000000Z-abcdef")
    assert nowhere.exit_code == 1 and "Error: " in nowhere.output
    assert f"{second} counts again" in run("index", "rollback", second).output
    assert f"deleted {first}\n1 versions deleted" in run("index", "prune", "--keep", "1").output
    assert run("index", "list").output.split()[:2] == ["*", second]


def test_photos_are_ingested_side_by_side_where_the_models_take_several(folder: Path, real: Services) -> None:
    real.models.at_once = 4
    summary = json.loads(run("ingest", folder, "--json").output)
    assert (summary["stored"], summary["known"], len(summary["failed"])) == (2, 0, 2)
    summary = json.loads(run("ingest", folder, "--json").output)
    assert (summary["stored"], summary["known"], len(summary["failed"])) == (0, 2, 2)


def test_a_bucket_is_ingested_on_the_same_ledger_as_its_events(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with storage_server("shop") as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.address)
        monkeypatch.setenv("STORE_URL", "gs://shop")
        services.cache_clear()
        store = services().store
        for name, data in {
            "a.jpg": jpeg(drawn(3)),
            "b/c.jpg": jpeg(drawn(8)),
            "bad.png": b"x",
            "notes.txt": b"x",
        }.items():
            store.put(f"incoming/{name}", data, "image/jpeg")
        first = json.loads(run("ingest", "gs://shop/incoming/", "--json").output)
        again = json.loads(run("ingest", "gs://shop/incoming/", "--json").output)
        assert (first["stored"], set(first["failed"])) == (2, {"incoming/bad.png"})
        assert (again["stored"], again["known"]) == (0, 2)
        dropped = store.stat("incoming/a.jpg")
        assert dropped is not None
        (entry,) = services().catalog.ledger_entries("shop", ["incoming/a.jpg"])
        assert (entry.generation, entry.photo) == (str(dropped.generation), "incoming-a")
        assert store.get("incoming-a/segment_0.png").startswith(b"\x89PNG")


def test_a_database_of_the_original_is_adopted(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'original.db'}"
    execute(url, IMAGES.format(**SQLITE), DETAILS.format(**SQLITE))
    picture = images.png(drawn(3)).hex()
    execute(
        url,
        "INSERT INTO splitted_images (splitted_image_id, splitted_image_path, original_image_id, vector, "
        f"splitted_image_data) VALUES ('01_segment_0', '01/segment_0.png', '01', '[3, 4]', X'{picture}')",
    )
    monkeypatch.setenv("DATABASE_URL", url)
    services.cache_clear()
    assert run("db", "upgrade").exit_code == 0
    assert "1 rows adopted, 0 left" in run("db", "adopt").output
    assert "0 rows adopted, 0 left" in run("db", "adopt").output
    assert services().store.get("01/segment_0.png").startswith(b"\x89PNG")


def test_index_search_and_its_picture(folder: Path) -> None:
    run("ingest", folder)
    assert "garments" in run("index", "build").output
    assert len(run("index", "list").output.splitlines()) == 1
    said = run("search", folder / "dress.jpg", "--out", "found.png", "--num", "2")
    assert said.exit_code == 0 and "dress_segment_0" in said.output
    with Image.open("found.png") as picture:
        assert picture.width > 500
    groups = json.loads(run("search", folder / "dress.jpg", "--whole", "--json").output)["groups"]
    assert len(groups) == 1 and groups[0]["label"] is None and groups[0]["results"]


def test_detect_writes_a_line_a_photo(folder: Path) -> None:
    said = run("detect", folder / "dress.jpg", folder / "broken.jpg", folder / "summer" / "dress.jpg", "--json")
    first, broken, last = (json.loads(line) for line in said.stdout.splitlines())
    assert said.exit_code == 1 and broken["error"]["code"] == "invalid_image"
    assert (first["width"], first["height"]) == drawn(3).size and first["path"].endswith("dress.jpg")
    assert set(first["detections"][0]) == {"box", "label", "score"} and last["detections"]
    assert "x" in run("detect", folder / "dress.jpg").output


def test_embed_writes_unit_rows_in_order(folder: Path) -> None:
    photos = [folder / "dress.jpg", folder / "summer" / "dress.jpg", folder / "dress.jpg"]
    for options in ([], ["--garment"]):
        assert run("embed", *photos, "--out", "rows.npz", *options).exit_code == 0
        with np.load("rows.npz") as found:
            names, vectors = found["names"].tolist(), found["vectors"]
        assert names == [str(photo) for photo in photos]
        assert vectors.dtype == np.float32 and vectors.shape[0] == 3
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        assert np.allclose(vectors[0], vectors[2], atol=1e-5)


def test_embed_of_a_broken_photo_writes_nothing(folder: Path) -> None:
    said = run("embed", folder / "broken.jpg", "--out", "rows.npz")
    assert said.exit_code == 1 and not Path("rows.npz").exists() and "broken" in said.output


def test_the_token_is_an_administrators(real: Services) -> None:
    assert real.auth.user(run("token").output.strip()).is_admin


def test_the_doctor_tells_what_is_well_and_what_is_not(real: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    well = run("doctor")
    assert well.exit_code == 0 and "BAD" not in well.output and "compact-3" in well.output
    monkeypatch.setenv("DATABASE_URL", "mysql+pymysql://root@127.0.0.1:1/nowhere")
    services.cache_clear()
    ill = run("doctor", "--json")
    findings = {one["what"]: one for one in json.loads(ill.output)}
    assert ill.exit_code == 1 and not findings["database"]["well"] and findings["models"]["well"]


def test_the_database_is_made_when_asked(home: Path) -> None:
    assert run("db", "upgrade").exit_code == 0
    services().catalog.start_job("job", "search", Caller())


def test_a_wrong_setting_is_one_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONCURRENCY", "many")
    services.cache_clear()
    said = run("doctor")
    assert said.exit_code == 1 and "CONCURRENCY" in said.output and "Traceback" not in said.output


def test_a_closet_is_drawn(home: Path) -> None:
    assert run("closet", "closet", "--count", "3", "--query", "query.jpg").exit_code == 0
    assert len(list(Path("closet").glob("*.jpg"))) == 3 and Path("query.jpg").exists()


@pytest.mark.parametrize(
    "arguments", [["search", "missing.jpg"], ["ingest", "nowhere"], ["search"], ["token", "--days", "0"]]
)
def test_wrong_use_is_told(home: Path, arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_weights_are_fetched_listed_and_not_fetched_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELS_SHA256", SUMS)
    services.cache_clear()
    listed = run("models", "list")
    assert listed.exit_code == 1 and listed.output.count(f"are not in {home / 'models'}") == 3
    with file_server(WEIGHTS) as server:
        server.breaks = [5000]
        fetched = run("models", "fetch", "--mirror", f"{server.address}/")
        assert fetched.exit_code == 0 and fetched.output.count("fetched") == 3 and len(server.asked) == 4
        assert run("models", "fetch", "--mirror", server.address).output.count("was there") == 3
        assert len(server.asked) == 4
    listed = run("models", "list")
    assert listed.exit_code == 0 and listed.output.count(": ok") == 3
    assert {path.name: path.read_bytes() for path in (home / "models").iterdir()} == WEIGHTS


def test_others_than_the_published_weights_are_refused(home: Path) -> None:
    services.cache_clear()
    with file_server(WEIGHTS) as server:
        refused = run("models", "fetch", "--mirror", server.address)
    assert refused.exit_code == 1 and "groundingdino_swint_ogc.pth as published" in refused.output


def test_weights_are_fetched_into_a_bucket(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with storage_server("weights") as bucket, file_server(WEIGHTS) as server:
        monkeypatch.setenv("MODELS_SHA256", SUMS)
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.address)
        monkeypatch.setenv("MODELS_DIR", "gs://weights/full")
        services.cache_clear()
        assert run("models", "list").output.count("are not in gs://weights/full") == 3
        part = home / "models" / f"{RESNET50.name}.part"
        part.parent.mkdir(parents=True)
        part.write_bytes(WEIGHTS[RESNET50.name][:7])
        assert run("models", "fetch", "--mirror", server.address).output.count("fetched") == 3
        assert run("models", "fetch", "--mirror", server.address).output.count("was there") == 3
        assert run("models", "list").exit_code == 0
        assert "bytes=7-" in server.asked and not [*part.parent.iterdir()]
        there = services().weights_bucket
        assert there and {one.path: there.get(one.path) for one in there.list()} == WEIGHTS


def test_the_full_models_without_their_weights_or_libraries_say_what_to_do(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELS", "full")
    services.cache_clear()
    said = run("doctor").output
    assert "BAD  models" in said and ("lookalike models fetch" in said or "lookalike[full]" in said)


def test_garments_change_to_other_models(folder: Path, real: Services) -> None:
    run("ingest", folder)
    execute(real.settings.database, "UPDATE splitted_images SET embedder = 'old-1'")
    count = real.catalog.changes("old-1", 0).row_ids.size
    said = run("reembed", "--models", "compact")
    assert said.exit_code == 0 and f"{count} garments embedded, 0 passed over" in said.output
    assert real.catalog.changes("old-1", 0).row_ids.size == count
    assert real.index.warm().rows == real.versions.list()[-1].rows == count
    assert "0 garments embedded" in run("reembed", "--models", "compact").output
    assert (
        f"{count} garments have the vectors of compact-3 alone" in run("reembed", "--models=compact", "--settle").output
    )
    assert real.catalog.changes("old-1", 0).row_ids.size == 0


def test_what_is_searched_with_is_not_given_up(folder: Path, real: Services) -> None:
    run("ingest", folder)
    count = real.catalog.changes("compact-3", 0).row_ids.size
    said = run("reembed", "--models=full", "--embedder=dinov2", "--settle")
    assert said.exit_code == 1 and "set MODELS=full EMBEDDER=dinov2 first" in said.output
    assert real.catalog.changes("compact-3", 0).row_ids.size == count > 0


def test_a_broken_picture_keeps_its_vector_and_nobody_else_from_settling(folder: Path, real: Services) -> None:
    run("ingest", folder)
    execute(real.settings.database, "UPDATE splitted_images SET embedder = 'old-1'")
    broken, *others = real.catalog.changes("old-1", 0).row_ids.tolist()
    segment = real.catalog.segment(broken)
    assert segment and others
    there = real.store.stat(segment.path)
    assert there
    real.store.put(segment.path, b"no picture", "image/png", there.generation)
    said = run("reembed", "--models=compact", "--settle")
    assert said.exit_code == 0 and f"passed over {segment.name}: " in said.output
    assert f"{len(others)} garments have the vectors of compact-3 alone, 1 passed over keep" in said.output
    assert real.catalog.changes("old-1", 0).row_ids.tolist() == [broken]
    assert real.catalog.changes("compact-3", 0).row_ids.tolist() == others


def test_what_others_search_with_is_not_given_up(folder: Path, real: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    run("ingest", folder)
    execute(real.settings.database, f"UPDATE splitted_images SET embedder = '{ORIGINAL_EMBEDDER}'")
    before = real.catalog.changes(ORIGINAL_EMBEDDER, 0)
    monkeypatch.setenv("MODELS", "full")
    services.cache_clear()
    said = run("reembed", "--models=compact", "--settle")
    assert said.exit_code == 1 and "MODELS=full EMBEDDER=resnet50: set MODELS=compact first" in said.output
    assert real.catalog.changes("compact-3", before.last_commit).row_ids.size == 0
    said = run("reembed", "--models=compact")
    assert said.exit_code == 0 and "Start with MODELS=compact to search" in said.output
    after = real.catalog.changes(ORIGINAL_EMBEDDER, 0)
    assert after.row_ids.tolist() == before.row_ids.tolist() and before.row_ids.size > 0


def test_another_of_the_full_embedders_is_named(real: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELS", "full")
    services.cache_clear()
    chosen = services().with_models("full", "dinov2")
    chosen.built["models"] = Models(FakeDetector(), FakeEmbedder(), max_waiting=4)
    monkeypatch.setattr(services(), "with_models", lambda models, embedder: chosen)
    said = run("reembed", "--models=full", "--embedder=dinov2")
    assert said.exit_code == 0 and "Start with MODELS=full EMBEDDER=dinov2 to search" in said.output


def test_models_without_weights_change_nothing(folder: Path, real: Services) -> None:
    run("ingest", folder)
    said = run("reembed", "--models", "full")
    assert said.exit_code == 1 and "Error: " in said.output and "Traceback" not in said.output


def test_an_index_of_the_original_is_imported(folder: Path, real: Services) -> None:
    run("ingest", folder)
    row_ids = real.catalog.changes("compact-3", 0).row_ids.tolist()
    vectors = np.random.default_rng(1).normal(size=(len(row_ids), 2048)).astype(np.float32)
    theirs = Path("theirs")
    theirs.mkdir()
    said = run("index", "import", theirs)
    assert said.exit_code == 2 and "does not exist" in said.output
    (theirs / "vector_nn_index.pkl").write_bytes(pickle.dumps(NearestNeighbors(metric="cosine").fit(vectors)))
    (theirs / "vector_id_map.json").write_text(json.dumps({str(at): row_id for at, row_id in enumerate(row_ids)}))
    said = run("index", "import", theirs)
    assert said.exit_code == 1 and "No garment has a vector to compare" in said.output
    said = run("index", "import", theirs, "--unchecked")
    assert f"{len(row_ids)} vectors taken over, 0 known, 0 of rows that are not there" in said.output
    assert real.import_index.reindex.versions.list()[-1].rows == len(row_ids)
    (theirs / "vector_nn_index.pkl").write_bytes(pickle.dumps(print))
    said = run("index", "import", theirs)
    assert said.exit_code == 1 and "builtins.print in a pickle" in said.output


def test_garments_are_found_in_milvus(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("milvus_lite")
    monkeypatch.setenv("INDEX_URL", "milvus:vectors.db")
    services.cache_clear()
    assert json.loads(run("ingest", folder, "--json").output)["stored"] == 2
    found = run("search", folder / "dress.jpg", "--whole", "--num", "1", "--json")
    best = json.loads(found.output)["groups"][0]["results"][0]
    assert best["splitted_image_id"].startswith("dress_segment_")
    info = services().index.warm()
    assert info.version and info.rows >= 2 and info.tail_rows == 0, "uploads are written to it"
    services().segments.delete(best["splitted_image_id"])
    # the count follows the mark, which is looked at every second
    time.sleep(1.1)
    assert services().index.warm().rows == info.rows - 1
    manifest = services().reindex.build()
    assert manifest and manifest.rows == info.rows - 1
    refused = run("index", "list")
    assert refused.exit_code == 1 and "Milvus" in refused.output
    assert "vectors.db" in run("doctor").output
    services()._external_index.index.close()  # type: ignore[attr-defined]
