"""Multi-scale deformable attention (Zhu et al., 2021, arXiv:2010.04159), without a custom CUDA kernel.

Each query samples a few points of every feature map and sums them with learned weights. A sample is a bilinear mean of
four cells. The cells of all maps are rows of one table, so this is a weighted sum of rows.
`torch.nn.functional.embedding_bag` computes it on any device, without the copies that `grid_sample` makes. Every map
gets a border of zeros, so that points outside it need no special case.

Shapes: b photos, q queries, s cells of all maps, `columns` = heads * maps * points.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lookalike.adapters.grounding_dino.config import EMBED_DIM, HEADS, LEVELS, POINTS
from lookalike.adapters.grounding_dino.layers import Linear

MapSizes = tuple[tuple[int, int], ...]
"""Height and width of each feature map, in cells."""
COLUMNS = HEADS * LEVELS * POINTS
CHUNK_QUERIES = 1024
"""Queries that a CPU processes at a time: their intermediate values fit in its cache."""


class DeformableAttention(nn.Module):
    """Attention of queries to sampled points around their reference points."""

    def __init__(self) -> None:
        super().__init__()
        self.sampling_offsets = Linear(EMBED_DIM, COLUMNS * 2)
        self.attention_weights = Linear(EMBED_DIM, COLUMNS)
        self.value_proj = Linear(EMBED_DIM, EMBED_DIM)
        self.output_proj = Linear(EMBED_DIM, EMBED_DIM)

    def group_offsets_by_axis(self) -> None:
        """Reorder the offset weights so that all x offsets come before all y offsets. Call it once, after loading."""
        for parameter in self.sampling_offsets.parameters():
            grouped = parameter.data.unflatten(0, (COLUMNS, 2)).transpose(0, 1).flatten(0, 1)
            parameter.data = grouped.contiguous()

    def forward(self, queries: Tensor, values: Tensor, references: "ReferencePoints") -> Tensor:
        """Attend from queries (b, q, EMBED_DIM) to the cells of all maps (b, s, EMBED_DIM): (b, q, EMBED_DIM)."""
        maps = PaddedMaps.of(references.sizes, queries.device)
        tables = maps.tables(self.value_proj(values))
        offsets = self.sampling_offsets(queries).unflatten(-1, (2, COLUMNS))
        logits = self.attention_weights(queries).unflatten(-1, (HEADS, LEVELS * POINTS))
        step = CHUNK_QUERIES if queries.device.type == "cpu" else queries.shape[1]
        samples = [
            sample(table, maps, references.points(photo, start, offsets[photo, start : start + step]), chunk)
            for photo, table in enumerate(tables)
            for start, chunk in zip(range(0, queries.shape[1], step), logits[photo].split(step), strict=True)
        ]
        return self.output_proj(torch.cat(samples).view(*queries.shape))


def sample(table: Tensor, maps: "PaddedMaps", points: Tensor, logits: Tensor) -> Tensor:
    """Return the weighted sums (q, EMBED_DIM) of bilinear samples at points (q, 2, columns), x before y.

    A head's weights are the softmax of its logits (q, heads, maps * points). Changes `points` in place.
    """
    points = torch.minimum(points.clamp_(min=0), maps.last_point)
    cells = torch.minimum(points.floor(), maps.last_cell)
    dx, dy = points.sub_(cells).unbind(1)
    weight = logits.float().softmax(-1).flatten(1)
    upper_left = (cells[:, 1] * maps.row_stride + cells[:, 0] * HEADS + maps.first_row).to(torch.int32)
    # Bilinear weights of the four cells: (1-dx)(1-dy), dx(1-dy), (1-dx)dy and dx·dy, expanded to save temporaries.
    weight_dx, weight_dy = weight * dx, weight * dy
    weight_dxdy = weight_dy * dx
    weights = torch.stack(
        [weight - weight_dx - weight_dy + weight_dxdy, weight_dx - weight_dxdy, weight_dy - weight_dxdy, weight_dxdy],
        -1,
    )
    rows = upper_left[..., None] + maps.corner_offsets
    bags = (len(points) * HEADS, LEVELS * POINTS * 4)
    weights = weights.view(bags).to(table.dtype)
    return F.embedding_bag(rows.view(bags), table, per_sample_weights=weights, mode="sum").view(len(points), EMBED_DIM)


@dataclass(frozen=True, slots=True, eq=False)
class PaddedMaps:
    """Layout of all maps, with borders of one zero cell, in a table with one row for each cell and head.

    `last_point`, `last_cell` (2, columns): largest coordinates of a point and of its upper left cell.
    `row_stride`, `first_row` (columns,): table rows between two rows of cells, and the map's first table row.
    `corner_offsets` (columns, 4): table rows from the upper left cell to each of the four cells around a point.
    """

    sizes: MapSizes
    last_point: Tensor
    last_cell: Tensor
    row_stride: Tensor
    first_row: Tensor
    corner_offsets: Tensor

    @staticmethod
    @lru_cache(maxsize=16)
    def of(sizes: MapSizes, device: torch.device) -> "PaddedMaps":
        """Return the layout of maps of these sizes. Cached, because photos of few sizes follow each other."""
        heights, widths = torch.tensor(sizes, dtype=torch.float32).unbind(1)
        cells = (heights + 2) * (widths + 2)
        first_rows = (cells.cumsum(0) - cells) * HEADS
        row_strides = (widths + 2) * HEADS
        last_point = torch.stack([expand_to_columns(widths + 1), expand_to_columns(heights + 1)])
        heads = torch.arange(HEADS).repeat_interleave(LEVELS * POINTS)
        down = expand_to_columns(row_strides).int()
        corner_offsets = torch.stack([down * 0, down * 0 + HEADS, down, down + HEADS], -1)
        first_row = expand_to_columns(first_rows) + heads
        parts = (last_point, last_point - 1, expand_to_columns(row_strides), first_row, corner_offsets)
        return PaddedMaps(sizes, *(part.to(device) for part in parts))

    def tables(self, values: Tensor) -> Tensor:
        """Pad the maps and lay out cells (b, s, EMBED_DIM) as one table per photo: (b, rows, EMBED_DIM / heads)."""
        maps = values.split([height * width for height, width in self.sizes], 1)
        pairs = zip(maps, self.sizes, strict=True)
        padded = [F.pad(cells.unflatten(1, size), (0, 0, 1, 1, 1, 1)).flatten(1, 2) for cells, size in pairs]
        return torch.cat(padded, 1).unflatten(-1, (HEADS, -1)).flatten(1, 2)


def expand_to_columns(levels: Tensor) -> Tensor:
    """Repeat one number per map (maps,) for every head and point: (columns,)."""
    return levels[None, :, None].expand(HEADS, LEVELS, POINTS).flatten()


@dataclass(frozen=True, slots=True, eq=False)
class ReferencePoints:
    """Where queries sample: `center` + offset * `scale`, both (b or 1, q, 2, columns), in cells of padded maps."""

    sizes: MapSizes
    center: Tensor
    scale: Tensor | None = None

    def points(self, photo: int, start: int, offsets: Tensor) -> Tensor:
        """Return the sampling points of some queries of a photo, beginning with number `start`.

        `offsets` and the result: (n, 2, columns), x before y.
        """
        queries = slice(start, start + len(offsets))
        center = self.center[min(photo, len(self.center) - 1), queries]
        if self.scale is None:
            return center + offsets
        return torch.addcmul(center, offsets.float(), self.scale[photo, queries])


def reference_points_of_boxes(boxes: Tensor, sizes: MapSizes) -> ReferencePoints:
    """Return the reference points of boxes (b, q, 4): center x, y, width and height as fractions of the photo.

    An offset of `POINTS` reaches the box's edge, as in the reference implementation of deformable DETR.
    """
    center, size = boxes[..., None].float().split(2, 2)
    scale = map_sizes(sizes, boxes.device)
    # The center of cell 0 is at 0.5 / width; the border moves all cells by one: + 1 - 0.5.
    return ReferencePoints(sizes, center * scale + 0.5, size * scale / (2 * POINTS))


@lru_cache(maxsize=16)
def map_sizes(sizes: MapSizes, device: torch.device) -> Tensor:
    """Return the width and height, in cells, of each column's map: (2, columns)."""
    widths_and_heights = torch.tensor(sizes, dtype=torch.float32).flip(1).unbind(1)
    return torch.stack([expand_to_columns(lengths) for lengths in widths_and_heights]).to(device)
