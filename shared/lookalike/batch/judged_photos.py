"""Read the photos of an evaluation and their known matches: from folders of folders, or from a CSV file."""

import csv
import math
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from lookalike.batch.photo_sources import list_folder, read_file
from lookalike.domain.errors import BadRequest
from lookalike.usecases.evaluation import EvaluationPhoto, JudgedPhotos, Query

COLUMNS = ("query", "image", "relevance")


def read_judged_photos(source: Path, gallery: Path | None = None) -> JudgedPhotos:
    """Read a folder of folders or a CSV file. With `gallery`, another folder, all photos of `source` are queries.

    Raises `BadRequest` if something is malformed or there is no query.
    """
    if gallery is not None:
        return read_queries_and_gallery(source, gallery)
    judged = read_product_folders(source) if source.is_dir() else read_pairs(source)
    if not judged.queries:
        form = (
            "put the photos of each product into a folder of their own, two or more" if source.is_dir() else "add lines"
        )
        raise BadRequest(f"{source} has nothing to evaluate: no photo has another one that is relevant to it; {form}")
    return judged


def read_product_folders(folder: Path) -> JudgedPhotos:
    """List the photos below a folder. Photos in the same direct subfolder show the same product.

    Photos directly in the folder, and single photos of a product, are only found by searches and are no queries.
    """
    photos = _list_photos(folder)
    queries = []
    for cluster, positions in enumerate(_positions_by_product(photos).values()):
        product = np.array(positions), np.ones(len(positions))
        queries += [Query(position, *product, cluster) for position in positions if len(positions) > 1]
    return JudgedPhotos(photos, queries, np.arange(len(photos)))


def read_queries_and_gallery(source: Path, gallery: Path) -> JudgedPhotos:
    """List the photos below two folders. Photos of the first folder search the second.

    A query and a photo show the same product if the direct subfolders that contain them have the same name. Raises
    `BadRequest` if that is so for no photo of `source`.
    """
    if not source.is_dir():
        raise BadRequest(f"{source} is not a folder: --gallery needs a folder with one folder for each product")
    queries, photos = _list_photos(source), _list_photos(gallery)
    products = _positions_by_product(photos)
    judged = []
    for cluster, (product, positions) in enumerate(_positions_by_product(queries).items()):
        if product in products:
            relevant = np.array(products[product]), np.ones(len(products[product]))
            judged += [Query(len(photos) + position, *relevant, cluster) for position in positions]
    if not judged:
        raise BadRequest(f"{source} has nothing to evaluate: no folder in it has the name of a folder in {gallery}")
    return JudgedPhotos([*photos, *queries], judged, np.arange(len(photos)))


def _list_photos(folder: Path) -> list[EvaluationPhoto]:
    return [EvaluationPhoto(file.source.name, file.read) for file in list_folder(folder)]


def _positions_by_product(photos: Sequence[EvaluationPhoto]) -> dict[str, list[int]]:
    """Return the positions of the photos by the direct subfolder that contains them."""
    members: dict[str, list[int]] = {}
    for position, photo in enumerate(photos):
        parts = PurePosixPath(photo.name).parts
        if len(parts) > 1:
            members.setdefault(parts[0], []).append(position)
    return members


def read_pairs(path: Path) -> JudgedPhotos:
    """Read a CSV file with the columns `query`, `image` and, optionally, `relevance` (default 1).

    Paths are relative to the folder of the file. Searches find all photos of the column `image`. Relevance 0 adds a
    photo without saying that it matches. Raises `BadRequest` with the number of the line that is wrong.
    """
    positions: dict[str, int] = {}
    relevance: dict[int, dict[int, float]] = {}
    gallery = set[int]()
    for line, query, image, value in _parse_lines(path):
        pair = [positions.setdefault(name, len(positions)) for name in (query, image)]
        known = relevance.setdefault(pair[0], {})
        if pair[1] in known:
            raise BadRequest(f"{path.name}, line {line}: the query and the image are on an earlier line, too")
        known[pair[1]] = value
        gallery.add(pair[1])
    photos = [EvaluationPhoto(name, partial(read_file, path.parent / name)) for name in positions]
    queries = [_to_query(query, known) for query, known in relevance.items()]
    return JudgedPhotos(photos, [query for query in queries if len(query.relevant)], np.array(sorted(gallery)))


def _to_query(photo: int, known: dict[int, float]) -> Query:
    relevant = {image: value for image, value in known.items() if value > 0 and image != photo}
    # Each query is a cluster of its own: the file does not say which ones show the same product.
    return Query(photo, np.array(list(relevant), np.int64), np.array(list(relevant.values())), photo)


def _parse_lines(path: Path) -> Iterator[tuple[int, str, str, float]]:
    """Yield line number, query, image and relevance of each line."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, strict=True)
            columns = [name.strip() for name in rows.fieldnames or []]
            if columns not in (list(COLUMNS), list(COLUMNS[:2])):
                raise BadRequest(f"{path.name}: the first line must be query,image or query,image,relevance")
            rows.fieldnames = columns
            for row in rows:
                yield rows.line_num, *_parse_row(path, rows.line_num, row)
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadRequest(f"{path.name} is not a CSV file in UTF-8: {error}") from error


def _parse_row(path: Path, line: int, row: dict[str, str | None]) -> tuple[str, str, float]:
    query, image = ((row["query"] or "").strip(), (row["image"] or "").strip())
    # csv.DictReader collects the fields of a line that has too many under the key None
    if not query or not image or None in row or "\0" in query + image:
        raise BadRequest(f"{path.name}, line {line}: must have a query and an image")
    text = (row.get("relevance") or "").strip() or "1"
    try:
        relevance = float(text)
    except ValueError:
        relevance = math.nan
    if not 0 <= relevance < math.inf:
        raise BadRequest(f"{path.name}, line {line}: the relevance {text[:50]!r} must be a number, 0 or more")
    return query, image, relevance
