"""Draw docs/images/flow.svg: how an upload and a search work."""

from html import escape
from pathlib import Path

OUTPUT = Path("docs/images/flow.svg")
WIDTH, HEIGHT = 1000, 424
COLUMN_X = (110, 266, 422, 578, 734, 890)
"""Centers of the six columns, in pixels."""
UPLOAD_Y, STORAGE_Y, SEARCH_Y = 92, 224, 356
"""Centers of the three rows, in pixels."""
BOX_WIDTH, BOX_HEIGHT = 128, 58
CYLINDER_HEIGHT, CYLINDER_CURVE = 74, 9
ARROW_GAP = 4
"""Pixels between the tip of an arrow and the box it points to."""
STYLE = """
  .panel { fill: #faf7f2; stroke: #ddd5c9 }
  .box { fill: #ffffff; stroke: #8c8276; stroke-width: 1.25 }
  .model { fill: #f8e4da; stroke: #a3431f }
  .storage { fill: #e4ecf5; stroke: #45658a; stroke-width: 1.25 }
  .arrow { fill: none; stroke: #6a6158; stroke-width: 1.5 }
  .head { fill: #6a6158 }
  text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif; fill: #211d19 }
  .title { font-size: 15px; font-weight: 600; text-anchor: middle }
  .detail { font-size: 12px; fill: #6a6158; text-anchor: middle }
  .note { font-size: 12px; fill: #6a6158 }
  .lane { font-size: 17px; font-weight: 700; fill: #a3431f }
  @media (prefers-color-scheme: dark) {
    .panel { fill: #171513; stroke: #3a352f }
    .box { fill: #2a2622; stroke: #857a6e }
    .model { fill: #43271b; stroke: #f0926b }
    .storage { fill: #1e2b3a; stroke: #84a9d3 }
    .arrow { stroke: #b0a598 }
    .head { fill: #b0a598 }
    text { fill: #f2ece4 }
    .detail, .note { fill: #b0a598 }
    .lane { fill: #f0926b }
  }
"""
"""The panel is opaque, so the text stays legible on any page background."""


def text(x: float, y: float, content: str, style: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{style}">{escape(content)}</text>'


def captions(x: float, y: float, title: str, detail: str) -> str:
    return text(x, y - 3, title, "title") + text(x, y + 16, detail, "detail")


def box(column: int, y: float, title: str, detail: str, style: str = "box") -> str:
    """Return a rounded box with two lines of text."""
    x = COLUMN_X[column]
    shape = (
        f'<rect x="{x - BOX_WIDTH / 2:g}" y="{y - BOX_HEIGHT / 2:g}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}"'
        f' rx="10" class="box {style}"/>'
    )
    return shape + captions(x, y, title, detail)


def cylinder(column: int, title: str, detail: str) -> str:
    """Return a storage symbol in the middle row."""
    x, half, curve = COLUMN_X[column], BOX_WIDTH / 2, CYLINDER_CURVE
    left, right = x - half, x + half
    top, bottom = STORAGE_Y - CYLINDER_HEIGHT / 2 + curve, STORAGE_Y + CYLINDER_HEIGHT / 2 - curve
    body = f"M{left:g} {top:g} V{bottom:g} A{half:g} {curve} 0 0 0 {right:g} {bottom:g} V{top:g}"
    lid = f'<ellipse cx="{x}" cy="{top:g}" rx="{half:g}" ry="{curve}" class="storage"/>'
    return f'<path d="{body}" class="storage"/>{lid}{captions(x, STORAGE_Y + 8, title, detail)}'


def arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<path d="M{x1:g} {y1:g} L{x2:g} {y2:g}" class="arrow" marker-end="url(#head)"/>'


def horizontal_arrow(start: int, end: int, y: float) -> str:
    """Return an arrow between the boxes of two columns."""
    direction = 1 if end > start else -1
    edge = direction * BOX_WIDTH / 2
    return arrow(COLUMN_X[start] + edge, y, COLUMN_X[end] - edge - direction * ARROW_GAP, y)


def draw_lane(y: float, name: str, boxes: list[tuple[str, str, str]]) -> str:
    """Return a row of boxes (title, detail, style), connected from left to right."""
    parts = [text(COLUMN_X[0] - BOX_WIDTH / 2, y - BOX_HEIGHT / 2 - 14, name, "lane")]
    parts += [box(column, y, *content) for column, content in enumerate(boxes)]
    parts += [horizontal_arrow(column, column + 1, y) for column in range(len(boxes) - 1)]
    return "\n".join(parts)


def draw_storage() -> str:
    """Return the middle row and the arrows between it and the two lanes."""
    bucket_x, middle_x, catalog_x = COLUMN_X[3:]
    above, below = STORAGE_Y - CYLINDER_HEIGHT / 2, STORAGE_Y + CYLINDER_HEIGHT / 2
    upload_bottom, search_top = UPLOAD_Y + BOX_HEIGHT / 2, SEARCH_Y - BOX_HEIGHT / 2
    parts = [
        cylinder(3, "Bucket", "images, index"),
        box(4, STORAGE_Y, "Build index", "on a schedule"),
        cylinder(5, "Catalog", "SQL: rows, vectors"),
        horizontal_arrow(5, 4, STORAGE_Y),
        horizontal_arrow(4, 3, STORAGE_Y),
        arrow(middle_x - 40, upload_bottom, bucket_x + 40, above - ARROW_GAP),
        arrow(middle_x + 40, upload_bottom, catalog_x - 40, above - ARROW_GAP),
        arrow(bucket_x + 40, below, middle_x - 40, search_top - ARROW_GAP),
        arrow(catalog_x - 40, below, middle_x + 40, search_top - ARROW_GAP),
        text(bucket_x - 12, upload_bottom + 24, "1. images", "detail"),
        text(catalog_x + 12, upload_bottom + 24, "2. rows", "detail"),
        text(bucket_x - 12, below + 34, "index snapshot", "detail"),
        text(catalog_x + 12, below + 26, "newer rows,", "detail"),
        text(catalog_x + 12, below + 42, "deleted ids", "detail"),
    ]
    return "\n".join(parts)


def draw_notes() -> str:
    """Return the explanation in the free space on the left."""
    lines = [
        "An upload writes the images first, then all rows in one transaction.",
        "A search combines the last index snapshot with newer rows,",
        "without deleted ones. The next request finds a new upload.",
        "Colored steps run a neural network.",
    ]
    left = COLUMN_X[0] - BOX_WIDTH / 2
    return "\n".join(text(left, STORAGE_Y - 26 + 20 * number, line, "note") for number, line in enumerate(lines))


def draw() -> str:
    """Return the figure as SVG."""
    models = [
        ("Detect", "boxes and masks", "model"),
        ("Cut out", "on white", "box"),
        ("Embed", "unit vectors", "model"),
    ]
    upload = draw_lane(
        UPLOAD_Y, "Upload", [("Photo", "any garments", "box"), *models, ("Store", "in two steps", "box")]
    )
    steps = [*models, ("Compare", "cosine similarity", "box"), ("Matches", "best first", "box")]
    search = draw_lane(SEARCH_Y, "Search", [("Photo", "the query", "box"), *steps])
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">
<title>How lookalike works</title>
<desc>Upload: detect garments, cut them out, embed them, store images in the bucket and rows in the catalog.
Search: detect, cut out and embed the query, compare with the index snapshot and newer rows, return the matches.</desc>
<style>{STYLE}</style>
<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0 L8 4 L0 8 Z" class="head"/></marker></defs>
<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="16" class="panel"/>
{upload}
{draw_storage()}
{search}
{draw_notes()}
</svg>
"""


if __name__ == "__main__":
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(draw())
