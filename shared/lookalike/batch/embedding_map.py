"""The map of a catalog report: garments at the positions of their vectors, drawn by a script on a canvas."""

import io
import json
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike import images
from lookalike.batch.html_page import Thumbnails, data_url
from lookalike.batch.result_image import to_opaque_rgb
from lookalike.domain.errors import LookalikeError
from lookalike.domain.model import Segment

ATLAS_SIDE = 2200
"""Side of the atlas, in pixels. The image of all thumbnails then has some megabytes at most."""
MIN_CELL, MAX_CELL = 32, 96
"""Side of a garment in the atlas, in pixels."""
HELP = "Drag to move, turn the wheel or pinch to zoom, point at a garment to see its name."
MAP_STYLE = """
#map{width:100%;height:640px;background:#fff;border:1px solid var(--line);border-radius:8px;touch-action:none;
cursor:grab;display:block}#map:focus-visible{outline:3px solid var(--accent)}.tools{display:flex;gap:8px;align-items:center;
margin:8px 0;min-height:40px}.tools button{font:inherit;flex:none;width:40px;height:40px;border:1px solid var(--line);border-radius:6px;
background:#fff}#map-note{overflow-wrap:anywhere}@media(max-width:600px){#map{height:420px}}
"""
SCRIPT = Path(__file__).with_name("embedding_map.js")


def map_parts(segments: Sequence[Segment], thumbnails: Thumbnails) -> list[str]:
    """Return the HTML of the map."""
    atlas = draw_atlas(segments, thumbnails)
    return [
        '<div class="tools"><button id="zoom-in" aria-label="Zoom in">+</button>',
        '<button id="zoom-out" aria-label="Zoom out">−</button>',
        f'<span id="map-note" class="muted" aria-live="polite" data-help="{escape(HELP)}">{escape(HELP)}</span></div>',
        '<canvas id="map" tabindex="0" role="img" aria-label="Map of the garments by similarity"></canvas>',
        f'<img id="atlas" hidden alt="" src="{data_url(atlas)}">',
    ]


def map_script(segments: Sequence[Segment], positions: NDArray[np.float32], thumbnails: Thumbnails) -> str:
    """Return the script with its data."""
    data = {
        "cell": cell_size(len(segments)),
        "columns": atlas_columns(len(segments)),
        "x": [round(float(value), 4) for value in positions[:, 0]],
        "y": [round(float(value), 4) for value in positions[:, 1]],
        "names": [segment.name for segment in segments],
        "labels": [segment.label for segment in segments],
        "present": [int(thumbnails.get(segment.row_id) is not None) for segment in segments],
    }
    # "<" could end the script element
    return f"const MAP_DATA = {json.dumps(data).replace('<', chr(92) + 'u003c')};\n{SCRIPT.read_text('utf-8')}"


def atlas_columns(count: int) -> int:
    """Return the number of garments in a row of the atlas."""
    return max(1, math.ceil(math.sqrt(count)))


def cell_size(count: int) -> int:
    """Return the side of a garment in an atlas of so many, in pixels."""
    return max(MIN_CELL, min(MAX_CELL, ATLAS_SIDE // atlas_columns(count)))


def draw_atlas(segments: Sequence[Segment], thumbnails: Thumbnails) -> bytes:
    """Return one JPEG with all thumbnails, row by row."""
    columns, cell = atlas_columns(len(segments)), cell_size(len(segments))
    rows = max(1, math.ceil(len(segments) / columns))
    atlas = Image.new("RGB", (columns * cell, rows * cell), "white")
    for number, segment in enumerate(segments):
        if data := thumbnails.get(segment.row_id):
            image = _shrunk(data, cell)
            left, top = number % columns * cell, number // columns * cell
            atlas.paste(image, (left + (cell - image.width) // 2, top + (cell - image.height) // 2))
    file = io.BytesIO()
    atlas.save(file, "JPEG", quality=80)
    return file.getvalue()


def _shrunk(data: bytes, cell: int) -> Image.Image:
    try:
        image = to_opaque_rgb(images.read_image(data))
    except LookalikeError:
        # a damaged thumbnail
        return Image.new("RGB", (cell, cell), "#b9aea2")
    image.thumbnail((cell, cell))
    return image
