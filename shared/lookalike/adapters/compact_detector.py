"""The built-in garment detector: a small segmentation network, and regions of its map as detections."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.adapters.onnx import open_session, resized, run
from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import KINDS, Box, Detection

Map = NDArray[np.float32]
Numbers = NDArray[np.int64]
Edges = tuple[float, float, float, float]

THRESHOLD = 0.38
"""Score from which a garment counts, tuned on the validation part (see the model card)."""
AREA, STEP, LONGEST = 384 * 272, 32, 3.0
"""Pixels the network looks at, what its sides are multiples of, and the largest ratio of its sides."""
PRESENCE_POWER = 0.25
"""How far the photo-wide guess of what is there bends the map."""
KIND_WEIGHTS = (1.0, 0.8, 1.0, 1.0, 1.0, 1.0, 1.75, 1.0, 2.0, 2.0)
"""How much more the map counts for each kind: rare ones are seen too seldom in training."""
WORN = 0.5
"""Probability from which a photo is taken to show people wearing the garments."""
RIVALS = {
    ("dress", "skirt"): 0.7,
    ("dress", "trousers"): 0.5,
    ("dress", "shorts"): 0.5,
    ("skirt", "shorts"): 0.5,
    ("skirt", "trousers"): 0.5,
    ("trousers", "shorts"): 0.5,
    ("dress", "top"): 0.1,
    ("outerwear", "top"): 0.08,
    ("outerwear", "dress"): 0.2,
}
"""Kinds that the map mistakes for each other in parts of a garment: the one with less than this share of the
other's cells gives way."""
SPECK, CRUMB = 0.0012, 0.15
"""Smallest region as a share of the photo, and of the largest region of its kind."""
GAP, SECOND = 0.25, 0.4
"""Share of the width that parts two people's garments; least share of the largest that a second one has."""
FLAT_SPECK, FLAT_CRUMB = 0.01, 0.3
"""The same for garments that nobody wears."""


CELL, COARSE = 4, 8
"""Pixels of the network's picture to a cell of the map, and to one that tells the garment's edges."""
VOTED = 0.85
"""How far a worn garment's box is where its cells say that its edges are, rather than where they end. One that nobody
wears is hidden by nothing: it ends where its cells do."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What the network sees: probabilities of classes on a map (classes, h, w), of kinds present and of worn (11,),
    and distances to the left, top, right and bottom edge of the cell's garment (4, h / 2, w / 2)."""

    classes: Map
    photo: Map
    edges: Map


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """Cells (h, w) of the map that make one garment, their kind and its likelihood in each cell."""

    cells: NDArray[np.bool_]
    kind: int
    likely: Map


class CompactDetector:
    """Finds garments of ten kinds. One instance may be used from several threads."""

    def __init__(self, weights: Path, threads: int = 2) -> None:
        self._session = open_session(weights, threads)

    def detect(
        self, image: Image.Image, cancel: CancelToken, thorough: bool = False, threshold: float = THRESHOLD
    ) -> list[Detection]:
        """The garments of a photo with a score (0 to 1) of at least `threshold`, best first. It has but one threshold."""
        look = self.look(image, cancel)
        found = [detection(region, image.size, look) for region in regions(look.classes, look.photo)]
        return sorted((one for one in found if (one.score or 0) >= threshold), key=lambda one: -(one.score or 0))

    def look(self, image: Image.Image, cancel: CancelToken) -> Look:
        pixels = resized(image.convert("RGB"), *network_size(*image.size))
        return Look(*run(self._session, {"pixels": pixels[None]}, cancel))


def network_size(width: int, height: int) -> tuple[int, int]:
    """Width and height for the network: the photo's shape, unless that is extreme, at a fixed area."""
    ratio = min(max(width / height, 1 / LONGEST), LONGEST)
    sides = (AREA * ratio) ** 0.5, (AREA / ratio) ** 0.5
    return max(2, round(sides[0] / STEP)) * STEP, max(2, round(sides[1] / STEP)) * STEP


def regions(classes: Map, photo: Map) -> list[Region]:
    """The garments as cells of the map."""
    likely = bent(classes, photo)
    return worn_regions(likely) if photo[-1] >= WORN else flat_regions(likely, photo)


def bent(classes: Map, photo: Map) -> Map:
    """The map with each kind's likelihood weighed by its presence in the photo, summing to 1 again."""
    weights = np.ones(len(classes), np.float32)
    present = np.clip(photo[: len(KINDS)] * 2, 0.01, 1) ** PRESENCE_POWER
    weights[1 : len(KINDS) + 1] = present * np.array(KIND_WEIGHTS, np.float32)
    likely: Map = classes * weights[:, None, None]
    return np.asarray(likely / likely.sum(0), np.float32)


def worn_regions(likely: Map) -> list[Region]:
    """One region for each kind that somebody wears: its parts together, without specks and crumbs."""
    likely = settled(likely)
    best = likely.argmax(0)
    kinds = np.where(best <= len(KINDS), best, 0)
    parts = label_components(kinds)
    found = []
    for kind in np.unique(kinds[kinds > 0]).tolist():
        cells = without_crumbs(parts, kinds == kind, SPECK, CRUMB)
        found += [Region(piece, kind, likely[kind]) for piece in side_by_side(cells)]
    return found


def side_by_side(cells: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """The cells of one kind, parted where a wide stretch of columns has none: there another person stands."""
    columns = np.flatnonzero(cells.any(0))
    if not len(columns):
        return []
    cuts = columns[1:][np.diff(columns) > GAP * cells.shape[1]]
    groups = np.searchsorted(cuts, np.arange(cells.shape[1]), side="right")
    pieces = [cells & (groups == number) for number in range(len(cuts) + 1)]
    largest = max(piece.sum() for piece in pieces)
    return [piece for piece in pieces if piece.sum() >= SECOND * largest]


def settled(likely: Map) -> Map:
    """The map with the cells of each kind that has much fewer than a rival given to that."""
    likely = likely.copy()
    for (one, other), least in RIVALS.items():
        pair = KINDS.index(one) + 1, KINDS.index(other) + 1
        sizes = np.bincount(likely.argmax(0).ravel(), minlength=len(likely))
        lesser, greater = sorted(pair, key=lambda kind: int(sizes[kind]))
        if sizes[lesser] < least * sizes[greater]:
            likely[greater] += likely[lesser]
            likely[lesser] = 0
    return likely


def without_crumbs(parts: Numbers, among: NDArray[np.bool_], speck: float, crumb: float) -> NDArray[np.bool_]:
    """Those of the cells that lie in parts of at least these shares of the map and of the largest part."""
    sizes = np.bincount(parts[among])
    enough = np.flatnonzero(sizes >= max(speck * parts.size, crumb * sizes.max()))
    return np.isin(parts, enough) & among


def flat_regions(likely: Map, photo: Map) -> list[Region]:
    """Garments on their own: each connected piece is one, of the kind that its cells speak for."""
    garment: Map = likely[1 : len(KINDS) + 1].sum(0)
    parts = label_components((garment > 0.5).astype(np.int64))
    if not (parts >= 0).any():
        return []
    cells = without_crumbs(parts, parts >= 0, FLAT_SPECK, FLAT_CRUMB)
    pieces = [parts == number for number in np.unique(parts[cells]).tolist()]
    return together([Region(piece, voted_kind(likely, piece, photo), garment) for piece in pieces])


def voted_kind(likely: Map, piece: NDArray[np.bool_], photo: Map) -> int:
    """The kind that the piece's cells and the photo as a whole speak for."""
    votes = likely[1 : len(KINDS) + 1, piece].mean(1)
    return int(np.argmax(np.log(votes + 1e-3) + np.log(photo[: len(KINDS)] + 1e-3))) + 1


def together(found: list[Region]) -> list[Region]:
    """Shoes come in pairs: all of them are one region."""
    shoes = [region for region in found if KINDS[region.kind - 1] == "shoes"]
    if len(shoes) < 2:
        return found
    pair = Region(np.any([region.cells for region in shoes], axis=0), shoes[0].kind, shoes[0].likely)
    return [pair, *(region for region in found if region not in shoes)]


def detection(region: Region, size: tuple[int, int], look: Look) -> Detection:
    """The region in pixels of the photo."""
    height, width = region.cells.shape
    left, top, right, bottom = edges_of(region, look.edges, VOTED if look.photo[-1] >= WORN else 0)
    across, down = size[0] / width, size[1] / height
    box = Box(left * across, top * down, right * across, bottom * down)
    return Detection(box, KINDS[region.kind - 1], score(region, look.photo), mask(region, (left, top, right, bottom)))


def edges_of(region: Region, edges: Map, voted: float = VOTED) -> Edges:
    """Left, top, right and bottom of the garment in cells: between where its cells end and the median of what they say,
    `voted` of the way."""
    rows, columns = np.nonzero(region.cells)
    ends = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float64)
    middles = np.stack([columns // 2, rows // 2] * 2) + 0.5
    signs = np.array([-1, -1, 1, 1])[:, None]
    said = np.median(middles * COARSE + signs * edges[:, rows // 2, columns // 2], axis=1) / CELL
    height, width = region.cells.shape
    left, top, right, bottom = np.clip(voted * said + (1 - voted) * ends, 0, [width - 1, height - 1, width, height])
    return float(left), float(top), max(float(right), left + 1), max(float(bottom), top + 1)


def mask(region: Region, edges: Edges) -> NDArray[np.uint8]:
    """0 to 255 (h, w) over exactly the garment's box."""
    left, top, right, bottom = edges
    size = max(1, round(right - left)), max(1, round(bottom - top))
    whole = Image.fromarray(alpha(region))
    return np.asarray(whole.resize(size, Image.Resampling.BILINEAR, box=edges), np.uint8)


def alpha(region: Region) -> NDArray[np.uint8]:
    """0 to 255 in each cell (h, w): opaque inside, softer where the map is unsure."""
    soft = np.clip(region.likely * 2 - 0.3, 0.3, 1)
    return np.asarray(np.where(region.cells, soft * 255, 0), np.uint8)


def score(region: Region, photo: Map) -> float:
    """How sure the map is inside the region, and the photo as a whole of the kind: 0 to 1."""
    inside = float(region.likely[region.cells].mean())
    present = float(np.clip(photo[region.kind - 1] * 2, 0.01, 1))
    return float(min(1.0, inside * present**PRESENCE_POWER))


def label_components(classes: Numbers) -> Numbers:
    """Numbers (h, w) of the 8-connected components of equal class: -1 where the class is 0, else 0, 1, 2…"""
    parents: list[int] = []
    above: list[tuple[Run, int]] = []
    numbers = np.full(classes.shape, -1, np.int64)
    for y, row in enumerate(classes):
        above = [(stretch, join(stretch, above, parents)) for stretch in runs_of(row)]
        for (start, end, _), number in above:
            numbers[y, start:end] = number
    roots = np.array([root(parents, number) for number in range(len(parents))], np.int64)
    _, compact = np.unique(roots, return_inverse=True)
    return np.asarray(np.append(compact, -1)[numbers], np.int64)


Run = tuple[int, int, int]
"""First column, end column (exclusive), class."""


def runs_of(row: Numbers) -> list[Run]:
    """The stretches of one class other than 0 in a row."""
    cuts = [0, *(np.flatnonzero(np.diff(row)) + 1).tolist(), len(row)]
    return [(start, end, int(row[start])) for start, end in pairwise(cuts) if row[start]]


def join(stretch: Run, above: Iterable[tuple[Run, int]], parents: list[int]) -> int:
    """A new number for the run, joined to those above that are of its class and meet it, or its corner."""
    number = len(parents)
    parents.append(number)
    for (start, end, kind), its_number in above:
        if kind == stretch[2] and start <= stretch[1] and stretch[0] <= end:
            parents[root(parents, its_number)] = root(parents, number)
    return number


def root(parents: list[int], number: int) -> int:
    """The number that stands for all that are joined to this one."""
    while parents[number] != number:
        parents[number] = parents[parents[number]]
        number = parents[number]
    return number
