"""`lookalike evaluate` with the built-in models on photos of the sample closet."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from lookalike.batch.sample_closet import closet_photos
from lookalike.bootstrap import Services, services
from lookalike.usecases.evaluation import METRICS
from tests.cli.conftest import run
from tests.model_folders import write_clip

KINDS = ("dress", "hat", "shoes")


@pytest.fixture
def products(real: Services) -> Path:
    """Three photos of each of three kinds of garments, and one that cannot be read."""
    folder = Path("products")
    for kind in KINDS:
        (folder / kind).mkdir(parents=True)
        for path in [one for one in closet_photos() if one.stem.startswith(f"{kind}-")][:3]:
            (folder / kind / path.name).write_bytes(path.read_bytes())
    (folder / "hat" / "broken.jpg").write_bytes(b"no photo")
    return folder


def test_report_names_figures_cost_and_skipped_photos(products: Path) -> None:
    result = run("evaluate", products)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0].startswith("  skipped hat/broken.jpg: ")
    assert lines[1] == "9 photos, 9 queries of 3 products; skipped: 1 photo and 1 query"
    assert lines[2].split() == ["95", "%", "intervals", "compact-6"]
    for metric, line in zip(METRICS, lines[3:8], strict=True):
        assert re.fullmatch(metric + r" +\d\.\d{3} \(\d\.\d{3} to \d\.\d{3}\)", line)
    assert "442 numbers, 1,768 bytes for each garment" in lines[8] and "ms for each photo" in lines[8]
    assert lines[9] == "Note: 3 products only, so the intervals are rough." and len(lines) == 10


def test_queries_of_one_folder_search_the_photos_of_another(products: Path) -> None:
    for kind, photo in (("dress", "dress-001.jpg"), ("hat", "hat-001.jpg")):
        (Path("queries") / kind).mkdir(parents=True)
        (products / kind / photo).rename(Path("queries") / kind / photo)
    report = json.loads(run("evaluate", "queries", "--gallery", products, "--json").stdout)
    assert (report["photos"], report["queries"]) == (9, 2)
    assert report["systems"][0]["metrics"]["P@5"]["mean"] == 0.4, "two of the five nearest are of the query's kind"


def test_json_has_the_figures_of_both_systems_and_the_switch(products: Path) -> None:
    run("ingest", products)
    report = json.loads(run("evaluate", products, "--against", "compact", "--json").stdout)
    first, second = report["systems"]
    assert first["metrics"] == second["metrics"] and first["metrics"].keys() == set(METRICS)
    assert 0.5 < first["metrics"]["mAP"]["low"] <= first["metrics"]["mAP"]["mean"] <= 1
    assert (first["embedder"], first["dim"], first["bytes_per_garment"]) == ("compact-6", 442, 1768)
    assert first["milliseconds_per_photo"] > 0 and first["garments_per_photo"] >= 1
    assert list(report["skipped"]) == ["hat/broken.jpg"] and report["skipped_queries"] == 1
    switch = report["switch"]
    assert (switch["better"], switch["worse"], switch["equal"], switch["missing_vectors"]) == (0, 0, 9, 0)
    assert not any(switch["significant"].values()) and switch["differences"]["R@1"]["mean"] == 0


def test_switch_to_the_same_embedder_needs_no_vectors(products: Path) -> None:
    output = run("evaluate", products, "--against", "compact", "--whole-photo").output
    assert "0 queries get better, 0 worse, 9 stay equal" in output
    assert "both use the same embedder" in output and "not significant" in output


def test_switch_to_a_model_folder_says_what_it_needs(products: Path) -> None:
    write_clip(Path("tiny"), has_texts=False)
    assert run("models", "add", "tiny").exit_code == 0
    run("ingest", products)
    result = run("evaluate", products, "--against", "folder:tiny", "--worst", "worst.png")
    assert result.exit_code == 0, result.output
    assert "R@1 changes by -0." in result.output and "queries get better" in result.output
    assert "each garment takes 64 bytes instead of 1,768" in result.output
    command = "`lookalike reembed --models compact --embedder folder:tiny`"
    assert re.search(rf"(9|1\d) stored garments need a new vector: run {command}", result.output)
    assert Path("worst.png").exists()


def test_evaluation_needs_no_database(products: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clip(Path("tiny"), has_texts=False)
    run("models", "add", "tiny")
    monkeypatch.setenv("DATABASE_URL", "mysql+pymysql://user@localhost:9/nothing")
    services.cache_clear()
    result = run("evaluate", products, "--against", "folder:tiny")
    assert result.exit_code == 0, result.output
    assert "every stored garment needs a new vector" in result.output


def test_worst_cases_are_drawn(products: Path) -> None:
    """A hat among the dresses is never found by dresses."""
    (products / "hat" / "hat-001.jpg").rename(products / "dress" / "odd.jpg")
    result = run("evaluate", products, "--worst", "worst.jpg")
    assert "worst.jpg: the " in result.output
    with Image.open("worst.jpg") as sheet:
        assert sheet.width > 700 and sheet.height > 250
    worst = json.loads(run("evaluate", products, "--json").stdout)["worst"]
    assert worst[0]["query"] == "dress/odd.jpg"
    case = worst[0]["systems"][0]
    assert case["wrong"][0]["rank"] == 1 and case["missed"]["name"].startswith("dress/") and case["R@1"] == 0


def test_csv_of_pairs(products: Path) -> None:
    first, second = sorted(path.relative_to(products) for path in (products / "dress").iterdir())[:2]
    lines = ["query,image", f"{first},{second}", f"{first},gone.jpg", f"{second},{first}"]
    (products / "pairs.csv").write_text("\n".join(lines))
    result = run("evaluate", products / "pairs.csv")
    assert "skipped gone.jpg: The file cannot be read" in result.output
    assert "2 photos, 2 queries; skipped: 1 photo and 0 queries" in result.output


def test_clicks_without_feedback_are_an_error(real: Services) -> None:
    result = run("evaluate", "--clicks")
    assert result.exit_code == 1 and "No search has a chosen result yet" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either a CSV file or folder, or --clicks"),
        (["products", "--clicks"], "give either"),
        (["--clicks", "--worst", "x.jpg"], "--clicks reads past searches: it has none"),
        (["products", "--against", "large"], "use compact, full:EMBEDDER or folder:PATH"),
        (["products", "--against", "compact:dinov2"], "use compact, full:EMBEDDER or folder:PATH"),
        (["products", "--against", "full:clip"], "not a value of EMBEDDER"),
        (["products", "--worst", "worst.txt"], "name a .jpg, .png or .webp file in an existing folder"),
        (["products", "--worst", "nowhere/worst.jpg"], "in an existing folder"),
        (["nowhere"], "does not exist"),
        (["products", "--against", "folder:nowhere"], "nowhere"),
    ],
)
def test_wrong_arguments_are_explained(products: Path, arguments: list[str], message: str) -> None:
    result = run("evaluate", *arguments)
    assert result.exit_code != 0 and message in result.output, result.output
