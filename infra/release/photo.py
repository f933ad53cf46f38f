"""A photo drawn for one check: a shirt with a random pattern, so that no stored garment equals it."""

import random
import struct
import zlib

SIZE = 240
"""Width and height in pixels."""
BACKGROUND = (244, 243, 240)
SLEEVES, BODY = ((30, 50), (210, 100)), ((70, 50), (170, 215))
"""Parts of the shirt: left and top, right and bottom."""
BLOCK, STEP = 20, 5
"""Side of a block of one color, and the divisor of all positions and sides."""


def draw_photo(seed: int | None = None) -> bytes:
    """Return a PNG of 240 x 240 pixels, another one at each call without a seed."""
    chance = random.Random(seed)
    blocks = {
        (x, y): tuple(chance.randrange(256) for _ in range(3))
        for x in range(SIZE // BLOCK)
        for y in range(SIZE // BLOCK)
    }
    rows = bytearray()
    for y in range(0, SIZE, STEP):
        colors = (blocks[x // BLOCK, y // BLOCK] if _is_shirt(x, y) else BACKGROUND for x in range(0, SIZE, STEP))
        # the first byte is the filter of the row: none
        rows += (b"\0" + b"".join(bytes(color) * STEP for color in colors)) * STEP
    header = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(rows))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _is_shirt(x: int, y: int) -> bool:
    return any(left <= x < right and top <= y < bottom for (left, top), (right, bottom) in (SLEEVES, BODY))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
