"""The picture that `lookalike search PHOTO` writes: the photo with its garments marked, and beside it what resembles each."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from lookalike.domain.model import Box

Image_ = Image.Image
Size = tuple[int, int]
Area = tuple[float, float, float, float]

COLORS = (
    *("#c2410c", "#1d4ed8", "#047857", "#7c3aed", "#be185d"),
    *("#0e7490", "#92600a", "#4d6b0f", "#b91c1c", "#475569"),
)
"""The same ten as on the web page: white text is readable on each. Rows take them in turn."""
GROUND, TILE_GROUND, INK, MUTED, TRACK = "#faf7f2", "#ffffff", "#211d19", "#6a6158", "#e4dcd0"

WIDTH, MARGIN, GAP = 1600, 28, 14
PHOTO, LARGEST_ZOOM = (600, 900), 3.0
"""The most room that the photo takes, and how much a small one is enlarged."""
TILE, INSET, CAPTION, TITLE = 140, 6, 62, 38
FRAME = 4
LONGEST_NAME = 300


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """A garment of the closet that resembles the row's. `image` may be transparent."""

    image: Image_
    name: str
    similarity: float


@dataclass(frozen=True, slots=True, eq=False)
class GarmentRow:
    """A garment of the photo and its matches, best first. Without a box it is the whole photo."""

    box: Box | None
    label: str
    score: float | None
    matches: Sequence[Match]

    @property
    def title(self) -> str:
        return self.label if self.score is None else f"{self.label} {self.score:.0%}"


def draw_result_image(query: Image_, rows: Sequence[GarmentRow]) -> Image_:
    """At most 1600 pixels wide, RGB; as high as the rows need."""
    query = to_opaque_rgb(query)
    photo = draw_photo_with_boxes(query, rows)
    columns = (WIDTH - 3 * MARGIN - photo.width + GAP) // (TILE + GAP)
    strips = [garment_strip(query, row, row_color(number), columns) for number, row in enumerate(rows)]
    parts = [photo, join_vertically(strips, MARGIN)] if strips else [photo]
    return add_margin(join_horizontally(parts, MARGIN), MARGIN)


def row_color(number: int) -> str:
    """The colour of that row and of its box."""
    return COLORS[number % len(COLORS)]


def draw_photo_with_boxes(query: Image_, rows: Sequence[GarmentRow]) -> Image_:
    """The photo at its size in the picture, with boxes, and above them their labels."""
    photo = fit_into(query, PHOTO, LARGEST_ZOOM)
    boxes = [(number, row, scale_box(row.box, query.size, photo.size)) for number, row in enumerate(rows) if row.box]
    draw = ImageDraw.Draw(photo)
    for number, _, area in boxes:
        draw_box(draw, area, row_color(number))
    taken: list[Area] = []
    for number, row, area in boxes:
        taken.append(draw_label(draw, photo.size, row.title, area, row_color(number), taken))
    return photo


def scale_box(box: Box, old: Size, new: Size) -> Area:
    """Where the box lies in a photo of another size, all of it inside."""
    across, down = new[0] / old[0], new[1] / old[1]
    left, top, right, bottom = box.pixels(*old)
    area = left * across, top * down, right * across - 1, bottom * down - 1
    return area[0], area[1], max(area[2], area[0]), max(area[3], area[1])


def draw_box(draw: ImageDraw.ImageDraw, area: Area, colour: str) -> None:
    """White on both sides keeps the colour apart from any photo."""
    left, top, right, bottom = area
    if right - left > 4 * FRAME and bottom - top > 4 * FRAME:
        draw.rectangle(area, outline="white", width=FRAME + 2)
        area = left + 1, top + 1, right - 1, bottom - 1
    draw.rectangle(area, outline=colour, width=FRAME)


def draw_label(draw: ImageDraw.ImageDraw, room: Size, text: str, area: Area, colour: str, taken: Sequence[Area]) -> Area:
    """Standing on its box, inside the photo, and below tags that are there already."""
    text = shorten_middle(text, 15, room[0] - 12)
    width, height = text_width(text, 15) + 12, 22
    left = max(0.0, min(area[0], room[0] - width))
    top = find_free_top((left, max(0.0, area[1] - height), left + width, max(0.0, area[1] - height) + height), taken)
    top = min(top, max(0.0, room[1] - height))
    spot = left, top, left + width, top + height
    draw.rounded_rectangle(spot, 5, fill=colour, outline="white")
    draw.text((left + 6, top + height / 2), text, "white", font(15), anchor="lm")
    return spot


def find_free_top(spot: Area, taken: Sequence[Area]) -> float:
    """Where the spot's top comes to lie when it moves down past everything that it touches."""
    left, top, right, bottom = spot
    for other in sorted(taken, key=lambda area: area[1]):
        if left < other[2] and other[0] < right and top < other[3] and other[1] < bottom:
            top, bottom = other[3] + 2, other[3] + 2 + bottom - top
    return top


def garment_strip(query: Image_, row: GarmentRow, colour: str, columns: int) -> Image_:
    """One garment: its title, its cut-out, and its matches in as many lines as they need."""
    own = query_card(query, row, colour)
    across = max(1, columns - 1)
    cards = [match_card(match, colour) for match in row.matches] or [note_card("no matches")]
    lines = [join_horizontally(cards[start : start + across], GAP) for start in range(0, len(cards), across)]
    body = join_horizontally([own, join_vertically(lines, GAP)], GAP)
    return join_vertically([strip_title(row.title, colour, body.width), body], 0)


def strip_title(text: str, colour: str, width: int) -> Image_:
    """The garment's kind and score on a line in its colour."""
    canvas = Image.new("RGB", (width, TITLE), GROUND)
    draw = ImageDraw.Draw(canvas)
    draw.text((0, 12), shorten_middle(text, 20, width), colour, font(20), anchor="lm")
    draw.rectangle((0, 27, width, 29), fill=colour)
    return canvas


def query_card(query: Image_, row: GarmentRow, colour: str) -> Image_:
    """The garment as it is in the photo, framed in its colour."""
    cut = query if row.box is None else query.crop(row.box.pixels(*query.size))
    card, draw = blank_card(cut)
    draw.rectangle((0, 0, TILE - 1, TILE - 1), outline=colour, width=FRAME)
    draw.text((0, TILE + 14), "in your photo", MUTED, font(14), anchor="lm")
    return card


def match_card(match: Match, colour: str) -> Image_:
    """A match, its similarity as a number and a bar, and its name in one line or two."""
    card, draw = blank_card(match.image)
    draw.text((0, TILE + 14), f"{match.similarity:.2f}", INK, font(17), anchor="lm")
    draw_bar(draw, (46, TILE + 11, TILE - 1, TILE + 16), match.similarity, colour)
    for number, line in enumerate(wrap_name(match.name, 13, TILE)):
        draw.text((0, TILE + 36 + 16 * number), line, MUTED, font(13), anchor="lm")
    return card


def note_card(text: str) -> Image_:
    card = Image.new("RGB", (TILE, TILE + CAPTION), GROUND)
    ImageDraw.Draw(card).text((TILE / 2, TILE / 2), text, MUTED, font(16), anchor="mm")
    return card


def blank_card(image: Image_) -> tuple[Image_, ImageDraw.ImageDraw]:
    """A picture in the middle of a square, with room for a caption beneath."""
    card = Image.new("RGB", (TILE, TILE + CAPTION), GROUND)
    card.paste(TILE_GROUND, (0, 0, TILE, TILE))
    side = TILE - 2 * INSET
    small = fit_into(to_opaque_rgb(image), (side, side), LARGEST_ZOOM)
    card.paste(small, ((TILE - small.width) // 2, (TILE - small.height) // 2))
    return card, ImageDraw.Draw(card)


def draw_bar(draw: ImageDraw.ImageDraw, area: tuple[int, int, int, int], share: float, colour: str) -> None:
    left, top, right, bottom = area
    draw.rectangle(area, fill=TRACK)
    if share > 0:
        draw.rectangle((left, top, left + min(share, 1.0) * (right - left), bottom), fill=colour)


def to_opaque_rgb(image: Image_) -> Image_:
    """The picture in RGB, on white where it is transparent."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    white = Image.new("RGB", image.size, TILE_GROUND)
    clear = image.convert("RGBA")
    white.paste(clear, mask=clear.getchannel("A"))
    return white


def fit_into(image: Image_, room: Size, largest_zoom: float) -> Image_:
    """A copy as large as the room allows, each side at least one pixel."""
    zoom = min(room[0] / image.width, room[1] / image.height, largest_zoom)
    size = max(1, round(image.width * zoom)), max(1, round(image.height * zoom))
    return image.resize(size, Image.Resampling.LANCZOS)


def join_horizontally(images: Sequence[Image_], gap: int) -> Image_:
    """The pictures from left to right, their tops on a line."""
    width = sum(image.width for image in images) + gap * (len(images) - 1)
    canvas = Image.new("RGB", (width, max(image.height for image in images)), GROUND)
    left = 0
    for image in images:
        canvas.paste(image, (left, 0))
        left += image.width + gap
    return canvas


def join_vertically(images: Sequence[Image_], gap: int) -> Image_:
    """The pictures from top to bottom, their left sides on a line."""
    height = sum(image.height for image in images) + gap * (len(images) - 1)
    canvas = Image.new("RGB", (max(image.width for image in images), height), GROUND)
    top = 0
    for image in images:
        canvas.paste(image, (0, top))
        top += image.height + gap
    return canvas


def add_margin(image: Image_, margin: int) -> Image_:
    canvas = Image.new("RGB", (image.width + 2 * margin, image.height + 2 * margin), GROUND)
    canvas.paste(image, (margin, margin))
    return canvas


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def text_width(text: str, size: int) -> float:
    return font(size).getlength(text)


def to_printable(text: str) -> str:
    """Names of files may hold line breaks and bytes that are no text: neither can be drawn."""
    return " ".join(text[:LONGEST_NAME].encode(errors="replace").decode().split())


def shorten_middle(text: str, size: int, width: float) -> str:
    """On one line, with the middle left out where it is too long: names differ at their ends."""
    text = to_printable(text)
    if text_width(text, size) <= width:
        return text
    cuts = (f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}" for kept in range(len(text) - 1, 0, -1))
    return next((cut for cut in cuts if text_width(cut, size) <= width), "")


def wrap_name(text: str, size: int, width: float) -> list[str]:
    """One line, or two parted after a `-`, `_`, dot or space if there is one; the second is shortened."""
    text = to_printable(text)
    if text_width(text, size) <= width:
        return [text]
    most = max((kept for kept in range(1, len(text)) if text_width(text[:kept], size) <= width), default=1)
    ends = [place.end() for place in re.finditer(r"[-_. ]", text[:most])]
    cut = ends[-1] if ends and ends[-1] > most // 2 else most
    return [text[:cut], shorten_middle(text[cut:], size, width)]
