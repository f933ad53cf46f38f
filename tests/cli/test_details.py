"""`lookalike details` and `lookalike users`."""

import csv
import json
from pathlib import Path

import pytest

from lookalike.bootstrap import Services
from lookalike.domain.model import Caller
from tests.cli.conftest import run
from tests.conftest import jpeg
from tests.sample_photos import sample_photo


def test_import_stores_valid_lines_and_reports_invalid_ones(real: Services) -> None:
    Path("details.csv").write_text(
        "image_id,brand,rating,tags,size\n"
        'a,Marlow,4.5,"[""casual"", ""summer""]",S; M\n'
        "b,Marlow,much,,\n"
        ",nobody,,,\n"
        "c,Marlow\n"
        'd,"Étoile, Paris",,,\n'
    )
    result = run("details", "import", "details.csv")
    assert result.exit_code == 1 and "2 product details stored, 3 lines skipped" in result.output
    assert (
        "line 3: rating" in result.output
        and "line 4: image_id" in result.output
        and "line 5: has 2 fields" in result.output
    )
    found = real.catalog.details(["a", "b", "c", "d"])
    assert set(found) == {"a", "d"} and found["d"].brand == "Étoile, Paris"
    assert found["a"].tags == ["casual", "summer"] and found["a"].size == ["S", "M"]
    Path("details.jsonl").write_text(
        '{"image_id": "a", "brand": "Ost", "rating": 4.5, "tags": ["linen"]}\n\n'
        '{"image_id": "e", "rating": "4.5"}\n{"image_id": "e", "colour": "red"}\n[1]\n{"image_id": 5}\n{\n'
        '{"image_id": "e", "brand": "half \\ud800"}\n{"image_id": "f", "brand": "Étoile"}\n'
    )
    result = run("details", "import", "details.jsonl")
    assert result.exit_code == 1 and "2 product details stored, 6 lines skipped" in result.output
    for line, problem in {
        3: "rating",
        4: "unknown fields: colour",
        5: "not a JSON object",
        6: "image_id",
        7: "not valid JSON",
        8: "brand",
    }.items():
        assert f"line {line}: {problem}" in result.output, (line, result.output)
    found = real.catalog.details(["a", "e", "f"])
    assert found["a"].brand == "Ost" and found["a"].size is None and found["f"].brand == "Étoile" and "e" not in found
    Path("details.csv").write_text("image_id,colour\na,red\n")
    assert "unknown columns: colour" in run("details", "import", "details.csv").output


def test_import_keeps_the_last_line_of_an_id(real: Services) -> None:
    for lines in ("a,Marlow,1\na,Ost,2\n", "a,Marlow,1\na,Ost,2\n" + f"b,{'x' * 300},\n"):
        Path("details.csv").write_text("image_id,brand,rating\n" + lines)
        run("details", "import", "details.csv")
        assert real.catalog.details(["a"])["a"].brand == "Ost"


def test_import_does_not_embed_again(real: Services) -> None:
    with real.jobs.run_job("upload", Caller(), "any") as job:
        real.upload.upload_photo(jpeg(sample_photo(3)), "look", None, True, job)
    before = real.catalog.changes("compact-6", 0)
    Path("details.csv").write_text("image_id,brand\nlook,Marlow\nlook_segment_0,Ost\n")
    assert run("details", "import", "details.csv").exit_code == 0
    assert real.catalog.changes("compact-6", before.last_commit).row_ids.size == 0
    assert real.segments.get_details("look_segment_0").brand == "Ost"


@pytest.mark.parametrize("file_format", ["csv", "jsonl"])
def test_import_of_20000_details(real: Services, file_format: str) -> None:
    rows = [
        {"image_id": f"look-{number}", "brand": f"Brand, {number % 7}", "rating": str(number % 5)}
        for number in range(20_000)
    ]
    path = Path(f"details.{file_format}")
    with path.open("w", newline="") as file:
        if file_format == "csv":
            writer = csv.DictWriter(file, ["image_id", "brand", "rating"])
            writer.writeheader()
            writer.writerows(rows)
        else:
            file.writelines(json.dumps({**row, "rating": float(row["rating"])}) + "\n" for row in rows)
    with path.open("a") as file:
        file.write(",nobody,1\n" if file_format == "csv" else '{"brand": "nobody"}\n')
    line = 20_002 if file_format == "csv" else 20_001
    for _ in range(2):
        result = run("details", "import", path)
        assert (
            "20000 product details stored, 1 lines skipped" in result.output
            and f"line {line}: image_id" in result.output
        )
    found = real.catalog.details(["look-0", "look-19999"])
    assert found["look-19999"].brand == "Brand, 0" and found["look-19999"].rating == 4


def test_grant_changes_the_role(real: Services) -> None:
    assert run("users", "grant", "anna@example.com", "admin").exit_code == 1
    real.accounts.register("anna@example.com", "correct horse")
    assert "is an administrator" in run("users", "grant", "Anna@example.com", "admin").output
    assert real.accounts.sign_in("anna@example.com", "correct horse").user.is_admin
    assert "is a user" in run("users", "grant", "anna@example.com", "user").output
    assert not real.accounts.sign_in("anna@example.com", "correct horse").user.is_admin
    assert run("users", "grant", "anna@example.com", "king").exit_code == 2
