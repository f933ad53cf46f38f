"""Position encodings, reference points and box proposals of GroundingDINO's feature maps.

They depend only on the sizes of the maps, so they are cached for the last few photo sizes.
"""

from functools import lru_cache

import torch
from torch import Tensor

from lookalike.adapters.grounding_dino.config import EMBED_DIM
from lookalike.adapters.grounding_dino.deformable import MapSizes, ReferencePoints, map_sizes
from lookalike.adapters.grounding_dino.layers import CACHED_SIZES, sine_encoding

IMAGE_TEMPERATURE, BOX_TEMPERATURE = 20, 10000
"""Temperatures of the sine encodings of image cells and of boxes, as in the published configuration."""
PROPOSAL_SIZE, MARGIN = 0.05, 0.01
"""Sides of the box proposed at a cell of the finest map, and the margin in which nothing is proposed.

Both are fractions of the photo, as in `gen_encoder_output_proposals` of IDEA-Research/GroundingDINO.
"""


@lru_cache(maxsize=CACHED_SIZES)
def encode_cell_positions(sizes: MapSizes, device: torch.device) -> tuple[Tensor, ...]:
    """Return the sine encoding of each cell's position in its map, y before x: (h * w, EMBED_DIM) for each map."""
    encodings = []
    for height, width in sizes:
        y, x = (torch.arange(1, side + 1, device=device) / (side + 1e-6) for side in (height, width))
        y_encoding, x_encoding = (sine_encoding(axis, EMBED_DIM // 2, IMAGE_TEMPERATURE) for axis in (y, x))
        parts = [y_encoding[:, None].expand(height, width, -1), x_encoding.expand(height, width, -1)]
        encodings.append(torch.cat(parts, -1).flatten(0, 1))
    return tuple(encodings)


def encode_boxes(boxes: Tensor) -> Tensor:
    """Return the sine encoding (b, q, 2 * EMBED_DIM) of boxes (b, q, 4): y, x, width, height.

    The order is that of `gen_sineembed_for_position` in IDEA-Research/GroundingDINO.
    """
    x, y, width, height = sine_encoding(boxes, EMBED_DIM // 2, BOX_TEMPERATURE).unbind(-2)
    return torch.cat([y, x, width, height], -1)


@lru_cache(maxsize=CACHED_SIZES)
def cell_reference_points(sizes: MapSizes, device: torch.device) -> ReferencePoints:
    """Return the reference points of the encoder: each cell samples around its own center, on every map."""
    centers = cell_centers(sizes, device)
    # + 0.5: see `reference_points_of_boxes`
    return ReferencePoints(sizes, (centers[..., None] * map_sizes(sizes, device) + 0.5)[None])


def cell_centers(sizes: MapSizes, device: torch.device) -> Tensor:
    """Return the centers of all cells (s, 2), x before y, as fractions of the photo."""
    centers = []
    for height, width in sizes:
        rows, columns = ((torch.arange(side, device=device) + 0.5) / side for side in (height, width))
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        centers.append(torch.stack([x, y], -1).flatten(0, 1))
    return torch.cat(centers)


@lru_cache(maxsize=CACHED_SIZES)
def propose_boxes(sizes: MapSizes, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return a box for each cell (s, 4), as logits of center and size, and whether the cell may propose it (s,).

    The box doubles its sides from map to map. Boxes in the margin are infinite.
    """
    squares = [torch.full((height * width, 2), PROPOSAL_SIZE * 2**level) for level, (height, width) in enumerate(sizes)]
    boxes = torch.cat([cell_centers(sizes, device), torch.cat(squares).to(device)], 1)
    is_valid = ((boxes > MARGIN) & (boxes < 1 - MARGIN)).all(1)
    return torch.where(is_valid[:, None], torch.log(boxes / (1 - boxes)), torch.inf), is_valid
