"""Built-in garment detector: a small segmentation network whose class map is grouped into detections."""

from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.adapters.onnx import Network, RunCounter, resize_to_array
from lookalike.domain.cancel import CancelToken
from lookalike.domain.guided_filter import GuidedFilter
from lookalike.domain.model import GARMENT_KINDS, Box, Detection

Map = NDArray[np.float32]
Labels = NDArray[np.int64]
CellMask = NDArray[np.bool_]
Edges = tuple[float, float, float, float]
"""Left, top, right and bottom, in cells of the class map."""

# The thresholds and weights below were tuned on the validation photos: see shared/lookalike/weights/CARD.md.
THRESHOLD = 0.55
"""Minimum score of a detection."""
INPUT_AREA, SIDE_MULTIPLE, MAX_ASPECT_RATIO = 448 * 320, 32, 3.0
"""Pixels of the network's input, the divisor of its sides (its stride), and its largest ratio of sides."""
PRESENCE_POWER = 0.5
"""Exponent of the photo-level presence of a kind when it weights the class map."""
KIND_WEIGHTS = (1.5, 0.8, 1.2, 0.8, 1.0, 1.2, 0.8, 1.0, 1.0, 1.0)
"""Factors of the class map by kind, in the order of `GARMENT_KINDS`."""
WORN_THRESHOLD = 0.5
"""Minimum probability for treating a photo's garments as worn by people."""
MIN_SIZE_RATIOS = {
    ("dress", "skirt"): 0.4,
    ("dress", "trousers"): 0.5,
    ("dress", "shorts"): 0.5,
    ("skirt", "shorts"): 0.5,
    ("skirt", "trousers"): 0.5,
    ("trousers", "shorts"): 0.5,
    ("dress", "top"): 0.1,
    ("outerwear", "top"): 0.08,
    ("outerwear", "dress"): 0.3,
}
"""Kinds that the network confuses in one garment. The smaller is kept if it has this share of the other's cells."""
MIN_SHARE_OF_PHOTO, MIN_SHARE_OF_LARGEST = 0.002, 0.15
"""Minimum size of a component of a worn kind, as a share of the map and of the kind's largest component."""
FLAT_MIN_SHARE_OF_PHOTO, FLAT_MIN_SHARE_OF_LARGEST = 0.01, 0.3
"""The same for garments that are not worn; the largest is that of any kind."""
MIN_PART, MIN_PART_PROBABILITY, MIN_PART_PRESENCE = 0.3, 0.75, 0.7
"""When a component of flat garments is two that touch: for both kinds, the minimum share of its cells, the minimum mean
probability in them, and the minimum presence in the photo."""
MIN_GAP, MIN_SHARE_OF_LARGEST_PERSON = 0.25, 0.4
"""Empty share of the map's width that separates two people, and minimum size of a second person's garment."""
CELL, EDGE_CELL = 4, 8
"""Input pixels per side of a cell of the class map, and of a cell of the edge map."""
EDGE_CONTRAST = 4.0
"""Steepness of a mask's edge: the opacity rises from 0 to 1 over a quarter of the range of the refined map."""


@dataclass(frozen=True, slots=True, eq=False)
class NetworkOutput:
    """Output of the network for one photo.

    `class_map`: probabilities (classes, h, w); class 0 is background, then the garment kinds, then helper classes.
    `photo_scores`: probabilities (11,) that each kind is present, and that the garments are worn.
    `edge_map`: distances (4, h / 2, w / 2) from a cell to its garment's left, top, right and bottom, in input pixels.
    """

    class_map: Map
    photo_scores: Map
    edge_map: Map


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """One garment on the class map.

    `cells` (h, w) belong to it, `kind` is its class number and `probability` (h, w) that of its class. `share` (h, w)
    is the probability of its class over that and the strongest other: 0.5 at the edge between them.
    """

    cells: CellMask
    kind: int
    probability: Map
    share: Map


class CompactDetector:
    """Detects garments of ten kinds. Safe to use from several threads."""

    def __init__(self, weights: Path, threads: int = 2, runs: RunCounter | None = None) -> None:
        self._network = Network(weights, threads, runs or RunCounter())

    def detect(
        self, image: Image.Image, cancel: CancelToken, thorough: bool = False, threshold: float = THRESHOLD
    ) -> list[Detection]:
        """Return the detections with a score (0 to 1) of at least `threshold`, best first.

        `thorough` has no effect: this detector has one threshold for uploads and searches.
        """
        pixels = network_input(image)
        output = NetworkOutput(*self._network.run({"pixels": pixels[None]}, cancel))
        regions = find_regions(output.class_map, output.photo_scores)
        scored = [(region_score(region, output.photo_scores), region) for region in regions]
        kept = sorted((pair for pair in scored if pair[0] >= threshold), key=lambda pair: -pair[0])
        guided_filter = GuidedFilter(pixels, CELL)
        return [region_to_detection(region, score, image.size, output, guided_filter) for score, region in kept]


def network_input(image: Image.Image) -> NDArray[np.uint8]:
    """Return the pixels (H, W, 3) of the photo in the size of the network's input."""
    return resize_to_array(image.convert("RGB"), *network_size(*image.size))


def network_size(width: int, height: int) -> tuple[int, int]:
    """Return the width and height of the network's input: the photo's aspect ratio, within limits, at a fixed area."""
    ratio = min(max(width / height, 1 / MAX_ASPECT_RATIO), MAX_ASPECT_RATIO)
    sides = (INPUT_AREA * ratio) ** 0.5, (INPUT_AREA / ratio) ** 0.5
    across, down = (max(2, round(side / SIDE_MULTIPLE)) * SIDE_MULTIPLE for side in sides)
    return across, down


def find_regions(class_map: Map, photo_scores: Map) -> list[Region]:
    """Group the cells of the class map into garments."""
    probabilities = weight_by_presence(class_map, photo_scores)
    if photo_scores[-1] >= WORN_THRESHOLD:
        return worn_regions(probabilities)
    return flat_regions(probabilities, photo_scores)


def weight_by_presence(class_map: Map, photo_scores: Map) -> Map:
    """Weight the class map (classes, h, w) by each kind's presence in the photo, and normalize it to sum to 1."""
    weights = np.ones(len(class_map), np.float32)
    presence = np.clip(photo_scores[: len(GARMENT_KINDS)] * 2, 0.01, 1) ** PRESENCE_POWER
    weights[1 : len(GARMENT_KINDS) + 1] = presence * np.array(KIND_WEIGHTS, np.float32)
    weighted: Map = class_map * weights[:, None, None]
    return np.asarray(weighted / weighted.sum(0), np.float32)


def worn_regions(probabilities: Map) -> list[Region]:
    """Return one region for each worn kind and person: all components of the kind together, without small ones."""
    probabilities = resolve_confusions(probabilities)
    best = probabilities.argmax(0)
    kinds = np.where(best <= len(GARMENT_KINDS), best, 0)
    components = label_components(kinds)
    regions = []
    for kind in np.unique(kinds[kinds > 0]).tolist():
        cells = drop_small_components(components, kinds == kind, MIN_SHARE_OF_PHOTO, MIN_SHARE_OF_LARGEST)
        share = class_share(probabilities, kind)
        regions += [Region(part, kind, probabilities[kind], share) for part in split_by_person(cells)]
    return regions


def split_by_person(cells: CellMask) -> list[CellMask]:
    """Split the cells of one kind at wide stretches of empty columns, which separate people who stand side by side."""
    columns = np.flatnonzero(cells.any(0))
    if not len(columns):
        return []
    cuts = columns[1:][np.diff(columns) > MIN_GAP * cells.shape[1]]
    person_of_column = np.searchsorted(cuts, np.arange(cells.shape[1]), side="right")
    parts = [cells & (person_of_column == number) for number in range(len(cuts) + 1)]
    largest = max(part.sum() for part in parts)
    return [part for part in parts if part.sum() >= MIN_SHARE_OF_LARGEST_PERSON * largest]


def resolve_confusions(probabilities: Map) -> Map:
    """Return a map in which a kind that is much smaller than a kind it is confused with is merged into that kind."""
    probabilities = probabilities.copy()
    sizes = count_cells(probabilities)
    for (first, second), min_ratio in MIN_SIZE_RATIOS.items():
        pair = GARMENT_KINDS.index(first) + 1, GARMENT_KINDS.index(second) + 1
        smaller, larger = sorted(pair, key=lambda kind: int(sizes[kind]))
        if 0 < sizes[smaller] < min_ratio * sizes[larger]:
            probabilities[larger] += probabilities[smaller]
            probabilities[smaller] = 0
            # counted again: a merge changes the sizes
            sizes = count_cells(probabilities)
    return probabilities


def count_cells(probabilities: Map) -> NDArray[np.int64]:
    """Return in how many cells each class is the most probable one: (classes,)."""
    return np.bincount(probabilities.argmax(0).ravel(), minlength=len(probabilities))


def drop_small_components(
    components: Labels, cells: CellMask, min_share_of_photo: float, min_share_of_largest: float
) -> CellMask:
    """Return the cells that lie in components of at least both shares, of the map and of the largest component."""
    sizes = np.bincount(components[cells])
    min_size = max(min_share_of_photo * components.size, min_share_of_largest * sizes.max())
    return np.isin(components, np.flatnonzero(sizes >= min_size)) & cells


def flat_regions(probabilities: Map, photo_scores: Map) -> list[Region]:
    """Return the garments of a photo without people: each connected component is one garment."""
    garment: Map = probabilities[1 : len(GARMENT_KINDS) + 1].sum(0)
    components = label_components((garment > 0.5).astype(np.int64))
    if not (components >= 0).any():
        return []
    cells = drop_small_components(components, components >= 0, FLAT_MIN_SHARE_OF_PHOTO, FLAT_MIN_SHARE_OF_LARGEST)
    parts = [components == number for number in np.unique(components[cells]).tolist()]
    regions = [Region(part, vote_kind(probabilities, part, photo_scores), garment, garment) for part in parts]
    return join_shoes([part for region in regions for part in split_by_kind(region, probabilities, photo_scores)])


def split_by_kind(region: Region, probabilities: Map, photo_scores: Map) -> list[Region]:
    """Split a region into two if it clearly shows two kinds: flat garments that touch each other."""
    presence = photo_scores[: len(GARMENT_KINDS)]
    best = (probabilities[1 : len(GARMENT_KINDS) + 1] * presence[:, None, None]).argmax(0) + 1
    kinds = np.where(region.cells, best, 0)
    sizes = np.bincount(kinds.ravel(), minlength=len(GARMENT_KINDS) + 1)[1:]
    candidates = (np.argsort(-sizes)[:2] + 1).tolist()
    for kind in candidates:
        cells = kinds == kind
        is_large = cells.sum() >= MIN_PART * region.cells.sum()
        if not (is_large and presence[kind - 1] >= MIN_PART_PRESENCE):
            return [region]
        if probabilities[kind][cells].mean() < MIN_PART_PROBABILITY:
            return [region]
    return [Region(kinds == kind, kind, region.probability, class_share(probabilities, kind)) for kind in candidates]


def class_share(probabilities: Map, kind: int) -> Map:
    """Return the probability of a class over that and the strongest other: (h, w)."""
    others = np.delete(probabilities, kind, 0).max(0)
    return np.asarray(probabilities[kind] / (probabilities[kind] + others), np.float32)


def vote_kind(probabilities: Map, cells: CellMask, photo_scores: Map) -> int:
    """Return the class number with the largest product of mean probability in the cells and presence in the photo."""
    votes = probabilities[1 : len(GARMENT_KINDS) + 1, cells].mean(1)
    return int(np.argmax(np.log(votes + 1e-3) + np.log(photo_scores[: len(GARMENT_KINDS)] + 1e-3))) + 1


def join_shoes(regions: list[Region]) -> list[Region]:
    """Merge all shoes into one region: they come in pairs."""
    shoes = [region for region in regions if GARMENT_KINDS[region.kind - 1] == "shoes"]
    if len(shoes) < 2:
        return regions
    pair = replace(shoes[0], cells=np.any([region.cells for region in shoes], axis=0))
    return [pair, *(region for region in regions if region not in shoes)]


def region_to_detection(
    region: Region, score: float, size: tuple[int, int], output: NetworkOutput, guided_filter: GuidedFilter
) -> Detection:
    """Convert a region to a detection in pixels of the photo, whose width and height are `size`."""
    height, width = region.cells.shape
    is_worn = output.photo_scores[-1] >= WORN_THRESHOLD
    # a garment that is not worn is not occluded
    edges = garment_edges(region.cells, output.edge_map) if is_worn else extent(region.cells)
    left, top, right, bottom = edges
    x_scale, y_scale = size[0] / width, size[1] / height
    box = Box(left * x_scale, top * y_scale, right * x_scale, bottom * y_scale)
    return Detection(box, GARMENT_KINDS[region.kind - 1], score, region_mask(region, edges, guided_filter))


def extent(cells: CellMask) -> Edges:
    """Return the outermost edges of the cells (h, w)."""
    rows, columns = np.nonzero(cells)
    return float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)


def garment_edges(cells: CellMask, edge_map: Map) -> Edges:
    """Return the medians of the edges that a garment's cells (h, w) predict."""
    rows, columns = np.nonzero(cells)
    # the edge map has half the resolution of the class map
    centers = np.stack([columns // 2, rows // 2] * 2) + 0.5
    signs = np.array([-1, -1, 1, 1])[:, None]
    predicted = centers * EDGE_CELL + signs * edge_map[:, rows // 2, columns // 2]
    edges = np.median(predicted, axis=1) / CELL
    height, width = cells.shape
    left, top, right, bottom = np.clip(edges, 0, [width - 1, height - 1, width, height])
    # at least one cell wide and high
    return float(left), float(top), max(float(right), left + 1), max(float(bottom), top + 1)


def region_mask(region: Region, edges: Edges, guided_filter: GuidedFilter) -> NDArray[np.uint8]:
    """Return the garment's opacity, 0 to 255, cropped to its box: (rows, columns) in pixels of the network's input."""
    left, top, right, bottom = edges
    height, width = region.cells.shape
    # the filter looks at neighbors: two more cells at each side
    rows = slice(max(0, int(top) - 2), min(height, ceil(bottom) + 2))
    columns = slice(max(0, int(left) - 2), min(width, ceil(right) + 2))
    refined = guided_filter.refine(np.where(with_neighbors(region.cells), region.share, 0), rows, columns)
    opacity = Image.fromarray(np.clip((refined - 0.5) * EDGE_CONTRAST + 0.5, 0, 1) * np.float32(255))
    size = max(1, round((right - left) * CELL)), max(1, round((bottom - top) * CELL))
    start = np.array([columns.start, rows.start] * 2)
    box = tuple(((np.array(edges) - start) * CELL).tolist())
    return np.asarray(opacity.resize(size, Image.Resampling.BILINEAR, box=box)).round().astype(np.uint8)


def with_neighbors(cells: CellMask) -> CellMask:
    """Return the cells (h, w) and all cells that touch them, at least at a corner."""
    padded = np.pad(cells, 1)
    vertical = padded[:-2] | padded[1:-1] | padded[2:]
    return np.asarray(vertical[:, :-2] | vertical[:, 1:-1] | vertical[:, 2:])


def region_score(region: Region, photo_scores: Map) -> float:
    """Return the mean probability inside the region, weighted by the kind's presence in the photo: 0 to 1."""
    inside = float(region.probability[region.cells].mean())
    presence = float(np.clip(photo_scores[region.kind - 1] * 2, 0.01, 1))
    return float(min(1.0, inside * presence**PRESENCE_POWER))


def label_components(classes: Labels) -> Labels:
    """Number the 8-connected components of equal class (h, w) from 0. Cells of class 0 get -1.

    Union-find over the horizontal runs of each row (Rosenfeld and Pfaltz, 1966), for all rows at once.
    """
    width = classes.shape[1] + 2
    # an empty column on each side ends the runs at the ends of the rows
    cells = np.pad(classes, ((0, 0), (1, 1))).ravel()
    starts = np.append(0, np.flatnonzero(np.diff(cells)) + 1)
    lengths = np.diff(np.append(starts, cells.size))
    kinds = cells[starts]
    runs = np.flatnonzero(kinds)
    upper, lower = touching_runs(starts[runs], starts[runs] + lengths[runs], width)
    is_same = kinds[runs[upper]] == kinds[runs[lower]]
    numbers = np.full(len(starts), -1)
    numbers[runs] = join_pairs(len(runs), upper[is_same], lower[is_same])
    return np.asarray(np.repeat(numbers, lengths).reshape(-1, width)[:, 1:-1], np.int64)


def touching_runs(starts: Labels, ends: Labels, width: int) -> tuple[Labels, Labels]:
    """Return the pairs of runs that touch, at least at a corner: indices of the upper and of the lower run.

    `starts` and `ends` (exclusive) are positions in the map, row after row, in ascending order.
    """
    first = np.searchsorted(ends, starts + width)
    counts = np.searchsorted(starts, ends + width, side="right") - first
    upper = np.repeat(np.arange(len(starts)), counts)
    place_in_group = np.arange(len(upper)) - np.repeat(np.cumsum(counts) - counts, counts)
    return upper, first[upper] + place_in_group


def join_pairs(count: int, first: Labels, second: Labels) -> Labels:
    """Join elements that form pairs, directly or through others. Returns each element's group number (count,)."""
    parents = np.arange(count)
    while (parents[first] != parents[second]).any():
        one, other = parents[first], parents[second]
        np.minimum.at(parents, np.maximum(one, other), np.minimum(one, other))
        while (parents[parents] != parents).any():
            parents = parents[parents]
    return np.unique(parents, return_inverse=True)[1]
