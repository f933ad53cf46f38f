"""Deformable attention (Zhu et al., 2021): each query looks at a few points of each map, and sums what it finds.

The points are read between four cells each. Reading a cell is a row of a table, and a weighted sum of rows is what
`embedding_bag` does, on any device and without the copies that grid sampling takes. Maps get a border of zeros, so that a
point outside needs no case of its own.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lookalike.adapters.grounding_dino.layers import Linear
from lookalike.adapters.grounding_dino.shape import HEADS, LEVELS, POINTS, WIDTH

Sizes = tuple[tuple[int, int], ...]
"""Height and width of each map."""
COLUMNS = HEADS * LEVELS * POINTS
AT_ONCE = 1024
"""Queries worked on at a time by a CPU: what is computed for them stays in its cache."""


class DeformableAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.sampling_offsets = Linear(WIDTH, COLUMNS * 2)
        self.attention_weights = Linear(WIDTH, COLUMNS)
        self.value_proj = Linear(WIDTH, WIDTH)
        self.output_proj = Linear(WIDTH, WIDTH)

    def part_axes(self) -> None:
        """Have all offsets across come before all offsets down. Once, after loading."""
        for parameter in self.sampling_offsets.parameters():
            parted = parameter.data.unflatten(0, (COLUMNS, 2)).transpose(0, 1).flatten(0, 1)
            parameter.data = parted.contiguous()

    def forward(self, queries: Tensor, values: Tensor, places: "Places") -> Tensor:
        """Of queries (b, q, width) and the cells of all maps (b, s, width): what each query found (b, q, width)."""
        maps = Maps.of(places.sizes, queries.device)
        tables = maps.tables(self.value_proj(values))
        offsets = self.sampling_offsets(queries).unflatten(-1, (2, COLUMNS))
        shares = self.attention_weights(queries).unflatten(-1, (HEADS, LEVELS * POINTS))
        step = AT_ONCE if queries.device.type == "cpu" else queries.shape[1]
        found = [
            read(table, maps, places.points(number, start, offsets[number, start : start + step]), share)
            for number, table in enumerate(tables)
            for start, share in zip(range(0, queries.shape[1], step), shares[number].split(step), strict=True)
        ]
        return self.output_proj(torch.cat(found).view(*queries.shape))


def read(table: Tensor, maps: "Maps", points: Tensor, shares: Tensor) -> Tensor:
    """Weighted sums (q, width) of the rows around points (q, 2, columns), each head's weights the softmax of shares (q, heads, ·)."""
    points = torch.minimum(points.clamp_(min=0), maps.last)
    cells = torch.minimum(points.floor(), maps.last_cell)
    across, down = points.sub_(cells).unbind(1)
    share = shares.float().softmax(-1).flatten(1)
    first = (cells[:, 1] * maps.row + cells[:, 0] * HEADS + maps.start).to(torch.int32)
    right, low = share * across, share * down
    both = low * across
    weights = torch.stack([share - right - low + both, right - both, low - both, both], -1)
    rows = first[..., None] + maps.corners
    bags = (len(points) * HEADS, LEVELS * POINTS * 4)
    weights = weights.view(bags).to(table.dtype)
    return F.embedding_bag(rows.view(bags), table, per_sample_weights=weights, mode="sum").view(len(points), WIDTH)


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """Where the cells of maps with a border of one zero cell lie in a table of one row a cell and head.

    `last` and `last_cell` (2, columns): the largest place of a point and of its upper left cell. `row`, `start`
    (columns,): from a row of cells to the next, and to the map's first one. `corners` (columns, 4): to the four around a point.
    """

    sizes: Sizes
    last: Tensor
    last_cell: Tensor
    row: Tensor
    start: Tensor
    corners: Tensor

    @staticmethod
    @lru_cache(maxsize=16)
    def of(sizes: Sizes, device: torch.device) -> "Maps":
        heights, widths = torch.tensor(sizes, dtype=torch.float32).unbind(1)
        cells = (heights + 2) * (widths + 2)
        starts = (cells.cumsum(0) - cells) * HEADS
        row = (widths + 2) * HEADS
        last = torch.stack([columns(widths + 1), columns(heights + 1)])
        heads = torch.arange(HEADS).repeat_interleave(LEVELS * POINTS)
        down = columns(row).int()
        corners = torch.stack([down * 0, down * 0 + HEADS, down, down + HEADS], -1)
        parts = (last, last - 1, columns(row), columns(starts) + heads, corners)
        return Maps(sizes, *(part.to(device) for part in parts))

    def tables(self, values: Tensor) -> Tensor:
        """Cells (b, s, width) with borders around the maps: (b, rows, width / heads)."""
        maps = values.split([height * width for height, width in self.sizes], 1)
        shaped = zip(maps, self.sizes, strict=True)
        bordered = [F.pad(cells.unflatten(1, size), (0, 0, 1, 1, 1, 1)).flatten(1, 2) for cells, size in shaped]
        return torch.cat(bordered, 1).unflatten(-1, (HEADS, -1)).flatten(1, 2)


def columns(levels: Tensor) -> Tensor:
    """One number a map (levels,) as one a column (columns,)."""
    return levels[None, :, None].expand(HEADS, LEVELS, POINTS).flatten()


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where queries look from: `middle` and `reach` (b or 1, q, 2, columns) in cells of bordered maps."""

    sizes: Sizes
    middle: Tensor
    reach: Tensor | None = None

    def points(self, number: int, start: int, offsets: Tensor) -> Tensor:
        """The points (n, 2, columns) that queries of photo `number` from `start` on look at."""
        here = slice(start, start + len(offsets))
        middle = self.middle[min(number, len(self.middle) - 1), here]
        if self.reach is None:
            return middle + offsets
        return torch.addcmul(middle, offsets.float(), self.reach[number, here])


def places_of_boxes(boxes: Tensor, sizes: Sizes) -> Places:
    """Of boxes (b, q, 4) as centre, width and height in shares of the photo."""
    middle, size = boxes[..., None].float().split(2, 2)
    scale = sides(sizes, boxes.device)
    return Places(sizes, middle * scale + 0.5, size * scale / (2 * POINTS))


@lru_cache(maxsize=16)
def sides(sizes: Sizes, device: torch.device) -> Tensor:
    """Width and height in cells of each column's map (2, columns)."""
    across_and_down = torch.tensor(sizes, dtype=torch.float32).flip(1).unbind(1)
    return torch.stack([columns(one) for one in across_and_down]).to(device)
