"""HTML pages of one file: no address on them leads elsewhere, so that they can be opened without a network."""

import base64
from collections.abc import Callable, Iterable
from functools import partial
from html import escape
from pathlib import Path

from lookalike.domain.errors import LookalikeError
from lookalike.domain.model import Segment
from lookalike.domain.ports import Catalog, ObjectStore
from lookalike.usecases.segment_images import load_thumbnail
from lookalike.usecases.thread_pool import map_concurrently

STYLE = """
:root{color-scheme:light;--ink:#211d19;--muted:#6a6158;--line:#e4dcd0;--paper:#faf7f2;--accent:#c2410c}
*{box-sizing:border-box}body{margin:0;padding:24px;background:var(--paper);color:var(--ink);
font:15px/1.45 system-ui,sans-serif}main{max-width:1200px;margin:auto}h1{margin:0 0 4px;font-size:28px}
h2{margin:36px 0 8px;font-size:20px}p,li{max-width:70ch}.muted{color:var(--muted)}
.cards{display:flex;flex-wrap:wrap;gap:12px}.groups{display:flex;flex-wrap:wrap;gap:12px;margin:12px 0}
.group{display:flex;flex-wrap:wrap;gap:12px;padding:12px;
background:#fff;border:1px solid var(--line);border-radius:8px}figure{margin:0;width:150px;overflow-wrap:anywhere}
figure .picture{display:flex;align-items:center;justify-content:center;width:150px;height:150px;
background:#fff;border:1px solid var(--line);border-radius:6px;overflow:hidden}
figure img{max-width:100%;max-height:100%;display:block}figcaption{font-size:13px;margin-top:4px}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:3px 10px 3px 0;border-bottom:1px solid var(--line);
vertical-align:top}td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}
code{font-size:13px;overflow-wrap:anywhere}.scroll{overflow-x:auto}
@media(max-width:600px){body{padding:14px}figure,figure .picture{width:130px}figure .picture{height:130px}}
"""
Thumbnails = dict[int, bytes | None]
"""Encoded thumbnails by row id. `None` where the picture is missing."""


def write_page(path: Path, title: str, body: Iterable[str], style: str = "", script: str = "") -> None:
    """Write a page. `title` is text, `body` is HTML."""
    # Browsers enforce the policy: nothing is loaded from elsewhere, even if text were mistaken for HTML.
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{escape(title)}</title><style>{STYLE}{style}</style></head><body><main>",
        f"<h1>{escape(title)}</h1>",
        *body,
        "</main>",
        *([f"<script>{script}</script>"] if script else []),
        "</body></html>",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(parts), "utf-8")


def load_thumbnails(
    store: ObjectStore, catalog: Catalog, segments: Iterable[Segment], on_progress: Callable[[], object] = lambda: None
) -> Thumbnails:
    """Return the thumbnails of segments. Missing and damaged pictures are `None`."""
    wanted = list({segment.row_id: segment for segment in segments}.values())
    load = partial(_load, store, catalog, on_progress)
    # reading a local file takes less time than handing it to a thread
    loaded = map_concurrently(load, wanted) if store.is_remote else list(map(load, wanted))
    return {segment.row_id: data for segment, data in zip(wanted, loaded, strict=True)}


def _load(store: ObjectStore, catalog: Catalog, on_progress: Callable[[], object], segment: Segment) -> bytes | None:
    try:
        data = load_thumbnail(store, catalog, segment)
    except LookalikeError as error:
        if error.status >= 500:
            raise
        return None
    finally:
        on_progress()
    return data


def data_url(image: bytes) -> str:
    """Return an encoded image as a `data:` URL."""
    kind = "png" if image.startswith(b"\x89PNG") else "webp" if image[8:12] == b"WEBP" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"


def figure(segment: Segment, thumbnail: bytes | None, *captions: str) -> str:
    """Return a card with the thumbnail, the garment's name and further lines of text."""
    picture = f'<img src="{data_url(thumbnail)}" alt="">' if thumbnail else '<span class="muted">no picture</span>'
    lines = [
        f"<code>{escape(segment.name)}</code>",
        *(f'<span class="muted">{escape(text)}</span>' for text in captions),
    ]
    return f'<figure><div class="picture">{picture}</div><figcaption>{"<br>".join(lines)}</figcaption></figure>'


def text_table(headers: Iterable[str], rows: Iterable[Iterable[str | int | float]]) -> str:
    """Return a table. Numbers are aligned to the right."""
    head = "".join(f"<th>{escape(header)}</th>" for header in headers)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(value: str | int | float) -> str:
    if isinstance(value, str):
        return f"<td>{escape(value)}</td>"
    return f'<td class="number">{value:,}</td>' if isinstance(value, int) else f'<td class="number">{value:.4f}</td>'
