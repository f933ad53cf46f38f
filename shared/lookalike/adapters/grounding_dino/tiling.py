"""What the network gets to see of a photo, as in the original system: small ones padded, very long ones in tiles."""

from dataclasses import dataclass

from PIL import Image

SMALLEST = 448, 1000
"""Width and height below which a photo is padded, centred."""
GREY = (128, 128, 128)
LONG, OVERLAP = 3, 0.1
"""Ratio of the sides from which a photo is cut into tiles of that ratio, and the share of a tile that its neighbour has too."""
NARROWEST, NARROW_SHARE = 160, 0.2
"""Least width of a detection in a tile, in pixels and as a share of the tile: less is mostly a garment that the cut went through."""
SHORTER, LONGER = 800, 1333
"""Sides of what the network sees: the shorter one is brought to the first, unless the longer would exceed the second."""


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """A part of the padded photo, or all of it. `left` and `top`: where its corner lies in pixels of the photo, negative in the padding."""

    picture: Image.Image
    left: int
    top: int
    is_whole: bool = False

    @property
    def narrowest(self) -> float:
        """Least width in pixels of what is found in it."""
        return 0 if self.is_whole else max(NARROWEST, NARROW_SHARE * self.picture.width)


def tiles(photo: Image.Image) -> list[Tile]:
    """The photo, padded and cut where it must be."""
    padded, left, top = pad(photo)
    width, height = padded.size
    short, long = sorted((width, height))
    if long < LONG * short:
        return [Tile(padded, -left, -top, is_whole=True)]
    found = []
    for start in starts(long, LONG * short):
        corner = (start, 0) if width > height else (0, start)
        size = (LONG * short, height) if width > height else (width, LONG * short)
        picture = padded.crop((*corner, corner[0] + size[0], corner[1] + size[1]))
        found.append(Tile(picture, corner[0] - left, corner[1] - top))
    return found


def pad(photo: Image.Image) -> tuple[Image.Image, int, int]:
    """The photo on grey where it is too small, and where its corner came to lie."""
    size = max(photo.width, SMALLEST[0]), max(photo.height, SMALLEST[1])
    left, top = (size[0] - photo.width) // 2, (size[1] - photo.height) // 2
    if size == photo.size:
        return photo, 0, 0
    padded = Image.new("RGB", size, GREY)
    padded.paste(photo, (left, top))
    return padded, left, top


def starts(whole: int, length: int) -> list[int]:
    """Where tiles of that length begin, the last one at the end of the photo."""
    step = round(length * (1 - OVERLAP))
    return [*range(0, whole - length, step), whole - length]


def network_size(width: int, height: int) -> tuple[int, int]:
    """Width and height for the network, as GroundingDINO's own `RandomResize([800], max_size=1333)` has them."""
    short, long = sorted((width, height))
    side = SHORTER
    if long / short * side > LONGER:
        side = round(LONGER * short / long)
    if width < height:
        return side, int(side * height / width)
    return int(side * width / height), side
