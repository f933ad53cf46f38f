"""Draw the image that `lookalike search` writes: the photo with its garments marked, and their matches next to it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from lookalike.domain.model import Box

Size = tuple[int, int]
Area = tuple[float, float, float, float]

COLORS = (
    *("#c2410c", "#1d4ed8", "#047857", "#7c3aed", "#be185d"),
    *("#0e7490", "#92600a", "#4d6b0f", "#b91c1c", "#475569"),
)
"""One color per garment, the same as on the web page. White text is readable on each."""
BACKGROUND, TILE_BACKGROUND, TEXT, MUTED_TEXT, BAR_BACKGROUND = "#faf7f2", "#ffffff", "#211d19", "#6a6158", "#e4dcd0"

WIDTH, MARGIN, GAP = 1600, 28, 14
PHOTO_SIZE, MAX_ZOOM = (600, 900), 3.0
"""Largest size of the photo in pixels, and how much a small photo is enlarged at most."""
TILE, INSET, CAPTION, TITLE = 140, 6, 62, 38
FRAME = 4
MAX_NAME_LENGTH = 300


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """A stored garment. `image` may be transparent; `similarity` is the cosine, -1 to 1."""

    image: Image.Image
    name: str
    similarity: float


@dataclass(frozen=True, slots=True, eq=False)
class GarmentRow:
    """A garment of the photo and its matches, best first. `box` is None for the whole photo."""

    box: Box | None
    label: str
    score: float | None
    matches: Sequence[Match]

    @property
    def title(self) -> str:
        """Label and score, as shown."""
        return self.label if self.score is None else f"{self.label} {self.score:.0%}"


def draw_result_image(query: Image.Image, rows: Sequence[GarmentRow]) -> Image.Image:
    """Return an RGB image at most 1600 pixels wide and as high as the rows need."""
    query = to_opaque_rgb(query)
    photo = draw_photo_with_boxes(query, rows)
    columns = (WIDTH - 3 * MARGIN - photo.width + GAP) // (TILE + GAP)
    strips = [garment_strip(query, row, row_color(number), columns) for number, row in enumerate(rows)]
    parts = [photo, join_vertically(strips, MARGIN)] if strips else [photo]
    return add_margin(join_horizontally(parts, MARGIN), MARGIN)


def row_color(number: int) -> str:
    """Return the color of a row and of its box."""
    return COLORS[number % len(COLORS)]


def draw_photo_with_boxes(query: Image.Image, rows: Sequence[GarmentRow]) -> Image.Image:
    """Return the scaled photo with boxes and labels."""
    photo = fit_into(query, PHOTO_SIZE, MAX_ZOOM)
    boxes = [(number, row, scale_box(row.box, query.size, photo.size)) for number, row in enumerate(rows) if row.box]
    draw = ImageDraw.Draw(photo)
    for number, _, area in boxes:
        draw_box(draw, area, row_color(number))
    taken: list[Area] = []
    for number, row, area in boxes:
        taken.append(draw_label(draw, photo.size, row.title, area, row_color(number), taken))
    return photo


def scale_box(box: Box, old: Size, new: Size) -> Area:
    """Scale a box from a photo of size `old` to one of size `new`, clipped to it."""
    x_scale, y_scale = new[0] / old[0], new[1] / old[1]
    left, top, right, bottom = box.pixel_bounds(*old)
    area = left * x_scale, top * y_scale, right * x_scale - 1, bottom * y_scale - 1
    return area[0], area[1], max(area[2], area[0]), max(area[3], area[1])


def draw_box(draw: ImageDraw.ImageDraw, area: Area, color: str) -> None:
    """Draw a colored frame between white lines, so that it stands out from any photo."""
    left, top, right, bottom = area
    if right - left > 4 * FRAME and bottom - top > 4 * FRAME:
        draw.rectangle(area, outline="white", width=FRAME + 2)
        area = left + 1, top + 1, right - 1, bottom - 1
    draw.rectangle(area, outline=color, width=FRAME)


def draw_label(
    draw: ImageDraw.ImageDraw, canvas_size: Size, text: str, area: Area, color: str, taken: Sequence[Area]
) -> Area:
    """Draw a label on top of its box: inside the photo, and below the labels in `taken`. Returns its area."""
    text = shorten_middle(text, 15, canvas_size[0] - 12)
    width, height = text_width(text, 15) + 12, 22
    left = max(0.0, min(area[0], canvas_size[0] - width))
    top = find_free_top((left, max(0.0, area[1] - height), left + width, max(0.0, area[1] - height) + height), taken)
    top = min(top, max(0.0, canvas_size[1] - height))
    spot = left, top, left + width, top + height
    draw.rounded_rectangle(spot, 5, fill=color, outline="white")
    draw.text((left + 6, top + height / 2), text, "white", font(15), anchor="lm")
    return spot


def find_free_top(spot: Area, taken: Sequence[Area]) -> float:
    """Return the top of `spot` after moving it down past all areas that it overlaps."""
    left, top, right, bottom = spot
    for other in sorted(taken, key=lambda area: area[1]):
        if left < other[2] and other[0] < right and top < other[3] and other[1] < bottom:
            top, bottom = other[3] + 2, other[3] + 2 + bottom - top
    return top


def garment_strip(query: Image.Image, row: GarmentRow, color: str, columns: int) -> Image.Image:
    """Draw one garment: title, crop from the photo, and its matches in as many lines as they need."""
    query_image = query_card(query, row, color)
    per_line = max(1, columns - 1)
    cards = [match_card(match, color) for match in row.matches] or [note_card("no matches")]
    lines = [join_horizontally(cards[start : start + per_line], GAP) for start in range(0, len(cards), per_line)]
    body = join_horizontally([query_image, join_vertically(lines, GAP)], GAP)
    return join_vertically([strip_title(row.title, color, body.width), body], 0)


def strip_title(text: str, color: str, width: int) -> Image.Image:
    """Draw the title above a line in the garment's color."""
    canvas = Image.new("RGB", (width, TITLE), BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    draw.text((0, 12), shorten_middle(text, 20, width), color, font(20), anchor="lm")
    draw.rectangle((0, 27, width, 29), fill=color)
    return canvas


def query_card(query: Image.Image, row: GarmentRow, color: str) -> Image.Image:
    """Draw the garment as it is in the photo, framed in its color."""
    cut = query if row.box is None else query.crop(row.box.pixel_bounds(*query.size))
    card, draw = blank_card(cut)
    draw.rectangle((0, 0, TILE - 1, TILE - 1), outline=color, width=FRAME)
    draw.text((0, TILE + 14), "in your photo", MUTED_TEXT, font(14), anchor="lm")
    return card


def match_card(match: Match, color: str) -> Image.Image:
    """Draw a match with its similarity as number and bar, and its name on one or two lines."""
    card, draw = blank_card(match.image)
    draw.text((0, TILE + 14), f"{match.similarity:.2f}", TEXT, font(17), anchor="lm")
    draw_bar(draw, (46, TILE + 11, TILE - 1, TILE + 16), match.similarity, color)
    for number, line in enumerate(wrap_name(match.name, 13, TILE)):
        draw.text((0, TILE + 36 + 16 * number), line, MUTED_TEXT, font(13), anchor="lm")
    return card


def note_card(text: str) -> Image.Image:
    """Draw a card with text only."""
    card = Image.new("RGB", (TILE, TILE + CAPTION), BACKGROUND)
    ImageDraw.Draw(card).text((TILE / 2, TILE / 2), text, MUTED_TEXT, font(16), anchor="mm")
    return card


def blank_card(image: Image.Image) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """Draw an image centered in a square, with space for a caption below. Returns the card and its drawing context."""
    card = Image.new("RGB", (TILE, TILE + CAPTION), BACKGROUND)
    card.paste(TILE_BACKGROUND, (0, 0, TILE, TILE))
    side = TILE - 2 * INSET
    small = fit_into(to_opaque_rgb(image), (side, side), MAX_ZOOM)
    card.paste(small, ((TILE - small.width) // 2, (TILE - small.height) // 2))
    return card, ImageDraw.Draw(card)


def draw_bar(draw: ImageDraw.ImageDraw, area: tuple[int, int, int, int], share: float, color: str) -> None:
    """Draw a horizontal bar filled to `share` (0 to 1) of its width."""
    left, top, right, bottom = area
    draw.rectangle(area, fill=BAR_BACKGROUND)
    if share > 0:
        draw.rectangle((left, top, left + min(share, 1.0) * (right - left), bottom), fill=color)


def to_opaque_rgb(image: Image.Image) -> Image.Image:
    """Convert to RGB, transparent parts on white."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    white = Image.new("RGB", image.size, TILE_BACKGROUND)
    clear = image.convert("RGBA")
    white.paste(clear, mask=clear.getchannel("A"))
    return white


def fit_into(image: Image.Image, max_size: Size, max_zoom: float) -> Image.Image:
    """Resize to fit into `max_size`, enlarging at most `max_zoom` times. Each side has at least one pixel."""
    zoom = min(max_size[0] / image.width, max_size[1] / image.height, max_zoom)
    size = max(1, round(image.width * zoom)), max(1, round(image.height * zoom))
    return image.resize(size, Image.Resampling.LANCZOS)


def join_horizontally(images: Sequence[Image.Image], gap: int) -> Image.Image:
    """Place images side by side, aligned at the top, `gap` pixels apart."""
    width = sum(image.width for image in images) + gap * (len(images) - 1)
    canvas = Image.new("RGB", (width, max(image.height for image in images)), BACKGROUND)
    left = 0
    for image in images:
        canvas.paste(image, (left, 0))
        left += image.width + gap
    return canvas


def join_vertically(images: Sequence[Image.Image], gap: int) -> Image.Image:
    """Place images below each other, aligned at the left, `gap` pixels apart."""
    height = sum(image.height for image in images) + gap * (len(images) - 1)
    canvas = Image.new("RGB", (max(image.width for image in images), height), BACKGROUND)
    top = 0
    for image in images:
        canvas.paste(image, (0, top))
        top += image.height + gap
    return canvas


def add_margin(image: Image.Image, margin: int) -> Image.Image:
    """Surround an image with background, `margin` pixels wide."""
    canvas = Image.new("RGB", (image.width + 2 * margin, image.height + 2 * margin), BACKGROUND)
    canvas.paste(image, (margin, margin))
    return canvas


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's built-in font at this size in pixels."""
    return ImageFont.load_default(size)


def text_width(text: str, size: int) -> float:
    """Return the width of a text in pixels."""
    return font(size).getlength(text)


def to_printable(text: str) -> str:
    """Replace what cannot be drawn: file names may contain line breaks and bytes that are not valid text."""
    return " ".join(text[:MAX_NAME_LENGTH].encode(errors="replace").decode().split())


def shorten_middle(text: str, size: int, width: float) -> str:
    """Shorten a text to `width` pixels by leaving out its middle: names usually differ at their ends."""
    text = to_printable(text)
    if text_width(text, size) <= width:
        return text
    cuts = (f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}" for kept in range(len(text) - 1, 0, -1))
    return next((cut for cut in cuts if text_width(cut, size) <= width), "")


def wrap_name(text: str, size: int, width: float) -> list[str]:
    """Split a name into one or two lines, after `-`, `_`, a dot or a space if possible. The second line is shortened."""
    text = to_printable(text)
    if text_width(text, size) <= width:
        return [text]
    longest = max((kept for kept in range(1, len(text)) if text_width(text[:kept], size) <= width), default=1)
    break_points = [match.end() for match in re.finditer(r"[-_. ]", text[:longest])]
    cut = break_points[-1] if break_points and break_points[-1] > longest // 2 else longest
    return [text[:cut], shorten_middle(text[cut:], size, width)]
