"""Draw the contact sheet of `lookalike evaluate`: queries that failed, their wrong results and what was missed."""

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from lookalike import images
from lookalike.batch.result_image import (
    GAP,
    MARGIN,
    MUTED_TEXT,
    Match,
    add_margin,
    blank_card,
    font,
    join_horizontally,
    join_vertically,
    match_card,
    note_card,
    row_color,
    strip_title,
    wrap_name,
)
from lookalike.domain.errors import LookalikeError
from lookalike.usecases.evaluation import EvaluationReport, JudgedPhotos, RankedPhoto, RankedQuery, SystemResult

MAX_CASES = 20
"""Queries on the sheet."""
CARD_SIDE = 300
"""Sides in pixels down to which a photo may be scaled while decoding."""
QUERY_COLOR, WRONG_COLOR, MISSED_COLOR = row_color(9), row_color(8), row_color(2)

Reader = Callable[[str], Image.Image]
"""Returns the photo of that name."""


def write_worst_cases(report: EvaluationReport, judged: JudgedPhotos, out: Path) -> int:
    """Write the sheet of the worst queries; return how many it has. Writes nothing if no query failed."""
    positions = report.worst_queries(MAX_CASES)
    if positions:
        draw_worst_cases(report, positions, photo_reader(judged)).save(out, quality=88)
    return len(positions)


def photo_reader(judged: JudgedPhotos) -> Reader:
    """Return a function that reads a photo of the evaluation by its name, as large as a card needs it."""
    photos = {photo.name: photo for photo in judged.photos}

    def read(name: str) -> Image.Image:
        try:
            return images.read_image(photos[name].read(), CARD_SIDE)
        except LookalikeError:
            # deleted since the evaluation; the sheet is still useful without it
            return Image.new("RGB", (CARD_SIDE, CARD_SIDE), "white")

    return read


def draw_worst_cases(report: EvaluationReport, positions: list[int], read: Reader) -> Image.Image:
    """Return the sheet: for each query, one line of cards for each system."""
    strips = []
    for position in positions:
        lines = [_system_line(system, system.rankings[position], read) for system in report.systems]
        query = _photo_card(read(report.queries[position]), "query", report.queries[position], QUERY_COLOR)
        body = join_horizontally([query, join_vertically(lines, GAP)], GAP)
        strips.append(join_vertically([strip_title(report.queries[position], QUERY_COLOR, body.width), body], 0))
    return add_margin(join_vertically(strips, MARGIN), MARGIN)


def _system_line(system: SystemResult, ranking: RankedQuery, read: Reader) -> Image.Image:
    """Draw the wrong results of a system and the relevant photo that it ranked last."""
    cards = [note_card("all found first")]
    if ranking.wrong:
        missed = ranking.missed
        cards = [_result_card(one, read, WRONG_COLOR) for one in ranking.wrong]
        cards.append(_photo_card(read(missed.name), f"missed: #{missed.rank}", missed.name, MISSED_COLOR))
    line = join_horizontally(cards, GAP)
    return join_vertically([strip_title(f"{system.embedder} ({system.name})", WRONG_COLOR, line.width), line], 0)


def _result_card(result: RankedPhoto, read: Reader, color: str) -> Image.Image:
    return match_card(Match(read(result.name), f"#{result.rank} {result.name}", result.similarity), color)


def _photo_card(photo: Image.Image, caption: str, name: str, color: str) -> Image.Image:
    """Draw a framed photo with a caption and its name."""
    card, draw = blank_card(photo)
    side = card.width
    draw.rectangle((0, 0, side - 1, side - 1), outline=color, width=4)
    draw.text((0, side + 14), caption, color, font(14), anchor="lm")
    for number, line in enumerate(wrap_name(name, 13, side)):
        draw.text((0, side + 36 + 16 * number), line, MUTED_TEXT, font(13), anchor="lm")
    return card
