"""Input images of GroundingDINO, as in the original system: small photos are padded, very long ones cut into tiles."""

from dataclasses import dataclass

from PIL import Image

MIN_WIDTH, MIN_HEIGHT = 448, 1000
"""Pixels to which smaller photos are padded on both sides."""
PADDING_COLOR = (128, 128, 128)
TILE_RATIO, OVERLAP = 3, 0.1
"""Ratio of sides from which a photo is cut into tiles of that ratio, and the share of a tile that overlaps the next."""
MIN_TILE_DETECTION_WIDTH, MIN_TILE_DETECTION_SHARE = 160, 0.2
"""Minimum width of a detection in a tile, in pixels and as a share of the tile. Narrower ones are mostly cut off."""
SHORTER_SIDE, MAX_LONGER_SIDE = 800, 1333
"""Pixels of the network's input: the shorter side, unless the longer one would exceed its maximum."""


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """A part of the padded photo, or all of it.

    `left`, `top`: position of its corner in pixels of the photo, negative in the padding.
    """

    image: Image.Image
    left: int
    top: int
    is_whole: bool = False

    @property
    def min_width(self) -> float:
        """Minimum width of its detections, in pixels."""
        return 0 if self.is_whole else max(MIN_TILE_DETECTION_WIDTH, MIN_TILE_DETECTION_SHARE * self.image.width)


def split_into_tiles(photo: Image.Image) -> list[Tile]:
    """Pad the photo and cut it into overlapping tiles of equal size, if it is very long."""
    padded, left, top = pad_photo(photo)
    width, height = padded.size
    short, long = sorted((width, height))
    if long < TILE_RATIO * short:
        return [Tile(padded, -left, -top, is_whole=True)]
    is_wide, length = width > height, TILE_RATIO * short
    tile_width, tile_height = (length, height) if is_wide else (width, length)
    tiles = []
    for start in tile_starts(long, length):
        x, y = (start, 0) if is_wide else (0, start)
        tiles.append(Tile(padded.crop((x, y, x + tile_width, y + tile_height)), x - left, y - top))
    return tiles


def pad_photo(photo: Image.Image) -> tuple[Image.Image, int, int]:
    """Center a photo that is too small on gray. Returns the image and the photo's left and top in it."""
    size = max(photo.width, MIN_WIDTH), max(photo.height, MIN_HEIGHT)
    left, top = (size[0] - photo.width) // 2, (size[1] - photo.height) // 2
    if size == photo.size:
        return photo, 0, 0
    padded = Image.new("RGB", size, PADDING_COLOR)
    padded.paste(photo, (left, top))
    return padded, left, top


def tile_starts(total: int, length: int) -> list[int]:
    """Return where the tiles of this length start. The last one ends at the end of the photo."""
    step = round(length * (1 - OVERLAP))
    return [*range(0, total - length, step), total - length]


def network_size(width: int, height: int) -> tuple[int, int]:
    """Return the width and height of the network's input, as GroundingDINO's `RandomResize([800], max_size=1333)`."""
    short, long = sorted((width, height))
    side = SHORTER_SIDE
    if long / short * side > MAX_LONGER_SIDE:
        side = round(MAX_LONGER_SIDE * short / long)
    # truncated, not rounded, as the reference does
    if width < height:
        return side, int(side * height / width)
    return int(side * width / height), side
