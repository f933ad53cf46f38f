"""The page of `lookalike report`: one HTML file about the quality of a catalog."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape
from pathlib import Path

from lookalike.batch.duplicates_page import groups_parts
from lookalike.batch.embedding_map import MAP_STYLE, map_parts, map_script
from lookalike.batch.html_page import Thumbnails, figure, load_thumbnails, write_page
from lookalike.domain.filter import Value
from lookalike.domain.model import Segment
from lookalike.domain.ports import Catalog, ObjectStore
from lookalike.usecases.catalog_report import MAX_LISTED, NEIGHBORS, CatalogReport

TITLES = {"label": "Kinds", "brand": "Brands", "color": "Colors"}
MAX_BARS = 20
STYLE = """
.counts{display:grid;grid-template-columns:repeat(auto-fit,minmax(240px,1fr));gap:24px}
.bar{display:grid;grid-template-columns:minmax(0,9em) 1fr 4.5em;gap:8px;align-items:center;font-size:14px;margin:3px 0}
.bar .name{overflow-wrap:anywhere}.bar .line{background:var(--line);border-radius:3px;height:10px}
.bar .line i{display:block;height:10px;border-radius:3px;background:var(--accent)}
.bar .count{text-align:right;font-variant-numeric:tabular-nums}
nav{display:flex;flex-wrap:wrap;gap:4px 16px;margin:12px 0}nav a{color:var(--accent)}h3{margin:0 0 6px;font-size:16px}
"""


def write_report(path: Path, report: CatalogReport, store: ObjectStore, catalog: Catalog, made_at: datetime) -> None:
    """Write the report as one HTML file."""
    labels = [one.segment for one in report.wrong_labels]
    shown = [*report.sample, *labels, *report.duplicate_segments.values()]
    thumbnails = load_thumbnails(store, catalog, shown)
    body = [
        *_summary(report, made_at),
        *_counts(report),
        *_map(report, thumbnails),
        *_outliers(report, thumbnails),
        *_wrong_labels(report, thumbnails),
        *_duplicates(report, thumbnails),
        *_missing(report),
    ]
    script = map_script(report.sample, report.positions, thumbnails) if report.sample else ""
    write_page(path, "Catalog report", body, STYLE + MAP_STYLE, script)


def _summary(report: CatalogReport, made_at: datetime) -> Iterator[str]:
    moment = made_at.strftime("%Y-%m-%d %H:%M UTC")
    facts = f"{report.garments:,} garments, embedder {report.embedder}, {moment}."
    if report.without_vector:
        facts += f" {report.without_vector:,} more have no vector of this embedder; run lookalike reembed."
    if len(report.sample) < report.garments:
        facts += f" The map, outliers and neighbors are those of {len(report.sample):,} garments, chosen at random."
    yield f'<p class="muted">{escape(facts)}</p>'
    entries = (
        ("counts", "Counts"),
        ("map-section", "Map"),
        ("outliers", "Outliers"),
        ("labels", f"Likely wrong labels: {report.wrong_label_count:,}"),
        ("duplicates", f"Groups of duplicates: {report.duplicate_group_count:,}"),
        ("missing", f"Missing pictures: {report.missing_count:,}"),
    )
    links = (f'<a href="#{anchor}">{escape(title)}</a>' for anchor, title in entries)
    yield f"<nav>{''.join(links)}</nav>"


def _counts(report: CatalogReport) -> Iterator[str]:
    yield '<h2 id="counts">Counts</h2><div class="counts">'
    for name, counts in report.counts.items():
        yield f"<div><h3>{TITLES[name]}</h3>"
        yield from _bars(counts)
        yield "</div>"
    yield "</div>"


def _bars(counts: Sequence[tuple[Value, int]]) -> Iterator[str]:
    if not counts:
        yield '<p class="muted">none</p>'
    for value, count in counts[:MAX_BARS]:
        share = 100 * count / counts[0][1]
        line = f'<span class="line"><i style="width:{share:.1f}%"></i></span>'
        name = f'<span class="name">{escape(str(value))}</span>'
        yield f'<div class="bar">{name}{line}<span class="count">{count:,}</span></div>'
    if len(counts) > MAX_BARS:
        yield f'<p class="muted">and {len(counts) - MAX_BARS} more</p>'


def _map(report: CatalogReport, thumbnails: Thumbnails) -> Iterator[str]:
    yield '<h2 id="map-section">Map</h2>'
    if not report.sample:
        yield '<p class="muted">No garments.</p>'
        return
    yield (
        '<p class="muted">Similar garments are near each other, as far as two dimensions can show it: they are the first '
        f"two principal components, with {report.explained:.0%} of the variance.</p>"
    )
    yield from map_parts(report.sample, thumbnails)


def _outliers(report: CatalogReport, thumbnails: Thumbnails) -> Iterator[str]:
    yield '<h2 id="outliers">Outliers</h2>'
    yield (
        '<p class="muted">The garments that are least similar to their '
        f"{NEIGHBORS} nearest neighbors (mean similarity). Look for pictures that are no garments.</p>"
    )
    cards = (
        figure(one.segment, thumbnails.get(one.segment.row_id), *_facts(one.segment), f"{one.similarity:.3f}")
        for one in report.outliers
    )
    yield from _cards(cards)


def _wrong_labels(report: CatalogReport, thumbnails: Thumbnails) -> Iterator[str]:
    yield '<h2 id="labels">Likely wrong labels</h2>'
    text = f"The product names another kind, or most of the {NEIGHBORS} nearest neighbors have another one."
    yield f'<p class="muted">{escape(text)}{_limit(report.wrong_label_count)}</p>'
    yield from _cards(
        figure(
            one.segment,
            thumbnails.get(one.segment.row_id),
            f"{one.segment.label}, likely {one.expected}",
            *one.reasons,
        )
        for one in report.wrong_labels
    )


def _duplicates(report: CatalogReport, thumbnails: Thumbnails) -> Iterator[str]:
    yield '<h2 id="duplicates">Duplicates</h2>'
    text = f"Garments with a similarity of at least {report.threshold:g}. lookalike duplicates decides and merges them."
    yield f'<p class="muted">{escape(text)}{_limit(report.duplicate_group_count)}</p>'
    if not report.duplicates:
        yield '<p class="muted">none</p>'
    yield from groups_parts(report.duplicates, report.duplicate_segments, thumbnails)


def _missing(report: CatalogReport) -> Iterator[str]:
    yield '<h2 id="missing">Missing pictures</h2>'
    yield (
        '<p class="muted">Garments whose picture or thumbnail is not in the bucket. Store the photo again, or erase them.'
        f"{_limit(report.missing_count)}</p>"
    )
    entries = (f"<li><code>{escape(one.name)}</code>: <code>{escape(one.path)}</code></li>" for one in report.missing)
    yield f"<ul>{''.join(entries)}</ul>" if report.missing else '<p class="muted">none</p>'


def _cards(cards: Iterator[str]) -> Iterator[str]:
    found = "".join(cards)
    yield f'<div class="cards">{found}</div>' if found else '<p class="muted">none</p>'


def _facts(segment: Segment) -> tuple[str]:
    return (segment.label or "whole photo",)


def _limit(count: int) -> str:
    return f" The first {MAX_LISTED} of {count:,}." if count > MAX_LISTED else ""
