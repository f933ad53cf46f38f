"""The contact sheet of an evaluation, and the text about a switch between two systems."""

from pathlib import Path

import pytest
from PIL import Image

from lookalike import images
from lookalike.batch.evaluation_report import Switch, text_lines, to_json
from lookalike.batch.result_image import row_color
from lookalike.batch.worst_cases import MISSED_COLOR, draw_worst_cases, photo_reader, write_worst_cases
from lookalike.domain.errors import NotFound
from lookalike.usecases.evaluation import EvaluationPhoto, EvaluationReport, JudgedPhotos
from tests.batch.test_result_image import pixels_of
from tests.usecases.test_evaluation import (
    BLUE,
    DARK_GREEN,
    DARK_RED,
    GREEN,
    RED,
    ConstantEmbedder,
    evaluate,
    photo,
    products,
    system,
)

Compared = tuple[JudgedPhotos, EvaluationReport]


@pytest.fixture
def compared() -> Compared:
    """Two products. The first system finds both, the second none."""
    judged = products([photo("a", RED), photo("b", DARK_RED)], [photo("c", GREEN), photo("d", DARK_GREEN)])
    return judged, evaluate(judged, system(), system(embedder=ConstantEmbedder()))


def test_sheet_has_a_line_for_each_system(compared: Compared) -> None:
    judged, report = compared
    sheet = draw_worst_cases(report, report.worst_queries(2), photo_reader(judged))
    # the missed photo is framed in the lines of the second system only
    frame = pixels_of(draw_worst_cases(report, report.worst_queries(1), photo_reader(judged)), MISSED_COLOR)
    assert frame > 500 and pixels_of(sheet, MISSED_COLOR) > 1.9 * frame
    assert pixels_of(sheet, row_color(8)) > 500 and pixels_of(sheet, RED) > 1000


def test_sheet_is_written_only_if_a_query_failed(tmp_path: Path, compared: Compared) -> None:
    judged, report = compared
    assert write_worst_cases(report, judged, tmp_path / "worst.png") == 4
    with Image.open(tmp_path / "worst.png") as sheet:
        assert sheet.height > 4 * 2 * 200
    assert write_worst_cases(evaluate(judged), judged, tmp_path / "none.png") == 0
    assert not (tmp_path / "none.png").exists()


def test_photo_that_was_deleted_since_is_left_blank() -> None:
    def read() -> bytes:
        if data:
            return data.pop()
        raise NotFound("The file is gone")

    data = [images.png(Image.new("RGB", (30, 40), BLUE))]
    judged = products([EvaluationPhoto("a", read), photo("b", RED)], [photo("c", GREEN)])
    report = evaluate(judged)
    assert draw_worst_cases(report, [0], photo_reader(judged)).width > 300


def switch_text(report: EvaluationReport, missing: int | None) -> str:
    return "\n".join(text_lines(report, Switch(missing, "lookalike reembed --models full")))


def test_text_says_what_a_switch_would_change(compared: Compared) -> None:
    text = switch_text(compared[1], 153)
    assert "Switching from fake-1 to constant-1:" in text
    assert "R@1 changes by -1.000 (-1.000 to -1.000), significant" in text
    assert "R@10 changes by +0.000 (+0.000 to +0.000), not significant" in text
    assert "0 queries get better, 4 worse, 0 stay equal" in text
    assert "each garment takes 12 bytes instead of 12" in text
    assert "153 stored garments need a new vector: run `lookalike reembed --models full`" in text


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (0, "no stored garment needs a new vector"),
        (1, "1 stored garment needs a new vector: run"),
        (None, "every stored garment needs a new vector: run `lookalike reembed --models full` (the database"),
    ],
)
def test_text_says_whether_stored_garments_need_vectors(compared: Compared, missing: int | None, message: str) -> None:
    assert message in switch_text(compared[1], missing)


def test_json_has_the_values_of_the_worst_queries(compared: Compared) -> None:
    fields = to_json(compared[1], Switch(3, "lookalike reembed"))
    assert fields["switch"]["worse"] == 4 and fields["switch"]["significant"]["R@1"]
    first, second = fields["worst"][0]["systems"]
    assert (first["R@1"], second["R@1"], first["wrong"]) == (1, 0, [])
    assert second["missed"]["rank"] == 3 and len(second["wrong"]) == 2
