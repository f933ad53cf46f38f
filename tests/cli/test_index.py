"""`lookalike index` and `lookalike reembed`, on the built-in models and real files."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from lookalike.bootstrap import Services, services
from lookalike.domain.model import ORIGINAL_EMBEDDER
from lookalike.usecases.models import Models
from tests.cli.conftest import run
from tests.contracts.databases import execute
from tests.fakes.models import FakeDetector, FakeEmbedder


def test_index_rollback_list_and_prune(real: Services) -> None:
    first, second = (json.loads(run("index", "build", "--json").output)["version"] for _ in range(2))
    assert [line.split()[:2] for line in run("index", "list").output.splitlines()][-1] == ["*", second]
    assert f"{first} is current again" in run("index", "rollback").output
    starred = [line.split()[1] for line in run("index", "list").output.splitlines() if line.startswith("*")]
    assert starred == [first]
    nowhere = run("index", "rollback", "20200101T000000Z-abcdef")
    assert nowhere.exit_code == 1 and "Error: " in nowhere.output
    assert f"{second} is current again" in run("index", "rollback", second).output
    assert f"deleted {first}\n1 versions deleted" in run("index", "prune", "--keep", "1").output
    assert run("index", "list").output.split()[:2] == ["*", second]


def test_index_import_of_the_original_system(folder: Path, real: Services) -> None:
    run("ingest", folder)
    row_ids = real.catalog.changes("compact-6", 0).row_ids.tolist()
    vectors = np.random.default_rng(1).normal(size=(len(row_ids), 2048)).astype(np.float32)
    original = Path("original")
    original.mkdir()
    result = run("index", "import", original)
    assert result.exit_code == 2 and "does not exist" in result.output
    (original / "vector_nn_index.pkl").write_bytes(pickle.dumps(NearestNeighbors(metric="cosine").fit(vectors)))
    (original / "vector_id_map.json").write_text(json.dumps({str(at): row_id for at, row_id in enumerate(row_ids)}))
    result = run("index", "import", original)
    assert result.exit_code == 1 and "No garment has a vector to compare" in result.output
    result = run("index", "import", original, "--unchecked")
    assert f"{len(row_ids)} vectors imported, 0 already present, 0 of unknown rows ignored" in result.output
    assert real.import_index.reindex.versions.list_manifests()[-1].rows == len(row_ids)
    (original / "vector_nn_index.pkl").write_bytes(pickle.dumps(print))
    result = run("index", "import", original)
    assert result.exit_code == 1 and "the pickle uses builtins.print" in result.output


def test_reembed_converts_garments_to_other_models(folder: Path, real: Services) -> None:
    run("ingest", folder)
    execute(real.settings.database, "UPDATE splitted_images SET embedder = 'old-1'")
    count = real.catalog.changes("old-1", 0).row_ids.size
    result = run("reembed")
    assert result.exit_code == 0 and f"{count} garments embedded, 0 skipped" in result.output
    assert real.catalog.changes("old-1", 0).row_ids.size == count
    assert real.index.warm_up().rows == real.versions.list_manifests()[-1].rows == count
    assert "Every garment has a vector of compact-6; index" in run("reembed", "--models", "compact").output
    assert (
        f"{count} garments now have only vectors of compact-6" in run("reembed", "--models=compact", "--settle").output
    )
    assert real.catalog.changes("old-1", 0).row_ids.size == 0


def test_settle_refuses_models_that_are_not_in_use(folder: Path, real: Services) -> None:
    run("ingest", folder)
    count = real.catalog.changes("compact-6", 0).row_ids.size
    result = run("reembed", "--models=full", "--embedder=dinov2", "--settle")
    assert result.exit_code == 1 and "set MODELS=full EMBEDDER=dinov2 everywhere first" in result.output
    assert real.catalog.changes("compact-6", 0).row_ids.size == count > 0


def test_settle_keeps_the_vector_of_a_broken_image_only(folder: Path, real: Services) -> None:
    run("ingest", folder)
    execute(real.settings.database, "UPDATE splitted_images SET embedder = 'old-1'")
    broken, *others = real.catalog.changes("old-1", 0).row_ids.tolist()
    segment = real.catalog.segment(broken)
    assert segment and others
    there = real.store.stat(segment.path)
    assert there
    real.store.put(segment.path, b"no picture", "image/png", there.generation)
    result = run("reembed", "--models=compact", "--settle")
    assert result.exit_code == 0 and f"skipped {segment.name}: " in result.output
    assert f"{len(others)} garments now have only vectors of compact-6; 1 skipped garments keep" in result.output
    assert real.catalog.changes("old-1", 0).row_ids.tolist() == [broken]
    assert real.catalog.changes("compact-6", 0).row_ids.tolist() == others


def test_settle_refuses_to_delete_vectors_in_use(folder: Path, real: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    run("ingest", folder)
    execute(real.settings.database, f"UPDATE splitted_images SET embedder = '{ORIGINAL_EMBEDDER}'")
    before = real.catalog.changes(ORIGINAL_EMBEDDER, 0)
    monkeypatch.setenv("MODELS", "full")
    services.cache_clear()
    result = run("reembed", "--models=compact", "--settle")
    assert (
        result.exit_code == 1
        and "MODELS=full EMBEDDER=resnet50, which is in use; set MODELS=compact everywhere first" in result.output
    )
    assert real.catalog.changes("compact-6", before.last_commit).row_ids.size == 0
    result = run("reembed", "--models=compact")
    assert result.exit_code == 0 and "Set MODELS=compact to search" in result.output
    after = real.catalog.changes(ORIGINAL_EMBEDDER, 0)
    assert after.row_ids.tolist() == before.row_ids.tolist() and before.row_ids.size > 0


def test_reembed_names_the_settings_to_switch_to(real: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELS", "full")
    services.cache_clear()
    chosen = services().with_models("full", "dinov2")
    chosen.lazy_values["models"] = Models(FakeDetector(), FakeEmbedder(), max_waiting=4)
    monkeypatch.setattr(services(), "with_models", lambda models, embedder: chosen)
    result = run("reembed", "--models=full", "--embedder=dinov2")
    assert result.exit_code == 0 and "Set MODELS=full EMBEDDER=dinov2 to search" in result.output


def test_reembed_without_weights_changes_nothing(folder: Path, real: Services) -> None:
    run("ingest", folder)
    result = run("reembed", "--models", "full")
    assert result.exit_code == 1 and "Error: " in result.output and "Traceback" not in result.output
