"""Untrusted bytes -> an upright RGB image, or a clear error; and images -> bytes without metadata."""

import base64
import binascii
import io
import re
import string
import struct
import zlib
from collections.abc import Iterator
from itertools import islice

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from lookalike.domain.compositing import composite_on_white
from lookalike.domain.errors import InvalidImage, TooLarge, UnsupportedFormat

MAX_BYTES = 16 * 1024 * 1024
MAX_PIXELS = 40_000_000
MAX_SCANS = 100
"""Of a JPEG. Photos have up to a dozen; each goes over all pixels, so that a small file of many takes hours (LJT-01-003)."""
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF")
OTHERS = {
    "GIF": rb"GIF8",
    "BMP": rb"BM",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "ICO": rb"\0\0[\1\2]\0",
    "PPM": rb"P[1-7]\s",
    "Photoshop": rb"8BPS",
    "PDF": rb"%PDF",
    "PostScript": rb"%!PS|\xc5\xd0\xd3\xc6",
    "SVG": rb"(?s)(\xef\xbb\xbf)?\s*<(svg|.{0,1000}<svg)",
    "JPEG 2000": rb"\0\0\0\x0cjP|\xff\x4f\xff\x51",
    "JPEG XL": rb"\xff\x0a|\0\0\0\x0cJXL ",
    "HEIC": rb"(?s)....ftyp(he[iv][cmsx]|mif1|msf1)",
}
"""How files of formats begin that are pictures, but not accepted. They are named, never opened."""
MARKER = re.compile(rb"\xff([\xc0-\xcf\xd9-\xfe])")
"""Of a JPEG, those that a length follows, and its end. Reserved ones are none: the decoder goes on right behind them."""
BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    EOFError,
    MemoryError,
    RuntimeError,
    AssertionError,
    struct.error,
    zlib.error,
    Warning,
)
"""What Pillow raises on broken files, its warnings where they are made errors."""
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By the value of EXIF's orientation tag (0x0112)."""
SIDEWAYS = {UPRIGHT[tag] for tag in (5, 6, 7, 8)}


def read_image(data: bytes, enough: int | None = None) -> Image.Image:
    """The photo, upright, in RGB, without metadata; of an animation the first frame, transparent parts on white.

    Of a JPEG whose sides are several times `enough` pixels it is a half, a quarter or an eighth of the size, decoded as such,
    in a fraction of the time and the memory. Raises `InvalidImage` for what is no photo or a broken one, `UnsupportedFormat`,
    and `TooLarge` above `MAX_BYTES` or `MAX_PIXELS`, before decoding.
    """
    if len(data) > MAX_BYTES:
        raise TooLarge(f"The photo has {len(data):,} bytes; at most {MAX_BYTES:,} are accepted", bytes=MAX_BYTES)
    with _opened(data) as image:
        try:
            _check_scans(image, data)
            if enough is not None and image.format in ("JPEG", "MPO"):
                image.draft(None, (enough, enough))
            image.load()
            turned = _upright(image)
            return _rgb(turned)
        except BROKEN as error:
            raise InvalidImage("The photo is broken or incomplete") from error


def upright_size(data: bytes) -> tuple[int, int]:
    """Width and height of the photo as it is to be seen. Raises what `read_image` raises before it decodes."""
    with _opened(data) as image:
        width, height = image.size
        return (height, width) if _turn(image) in SIDEWAYS else (width, height)


def read_cut_out(data: bytes) -> Image.Image:
    """A garment as `png` or the original system wrote it, however large the file: RGBA where it has transparency, else RGB.

    Raises `InvalidImage`, `UnsupportedFormat`, and `TooLarge` above `MAX_PIXELS`.
    """
    with _opened(data) as image:
        try:
            image.load()
            return _bare(image.copy()) if image.mode == "RGBA" else _rgb(image)
        except BROKEN as error:
            raise InvalidImage("The picture is broken or incomplete") from error


def decode_base64(text: str, field: str = "image_base64") -> bytes:
    """The bytes of base64 in the standard alphabet or of a `data:` URL of it; white space and missing padding are let pass.

    The alphabet for URLs is refused. Raises `InvalidImage`, and `TooLarge` before decoding.
    """
    if len(text) > MAX_BYTES * 1.4:
        raise TooLarge(f"{field}: at most {MAX_BYTES:,} bytes are accepted", bytes=MAX_BYTES)
    text = text.lstrip()
    if text[:5].lower() == "data:":
        text = text.partition(",")[2]
    try:
        dense = text.encode("ascii").translate(None, string.whitespace.encode()).rstrip(b"=")
        return base64.b64decode(dense + b"=" * (-len(dense) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidImage(f"{field} is not valid base64", field=field) from error


def png(image: Image.Image) -> bytes:
    """RGB or RGBA, losslessly."""
    # level 3: a third of the default's time for some per cent more bytes
    return _saved(image.copy(), "PNG", compress_level=3)


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    return _saved(composite_on_white(image), "JPEG", quality=quality)


def thumbnail(image: Image.Image, side: int = 256) -> bytes:
    """A JPEG on white whose longest side is at most that many pixels."""
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return jpeg(small, quality=85)


def _opened(data: bytes) -> Image.Image:
    """A file of a known format and a size that may be decoded; nothing but its header was read."""
    # Pillow would warn of large pictures, some time after us
    Image.MAX_IMAGE_PIXELS = None
    try:
        image = Image.open(io.BytesIO(data), formats=_formats())
    except UnidentifiedImageError as error:
        raise _stranger(data) from error
    except BROKEN as error:
        raise InvalidImage("The photo is broken") from error
    if image.width * image.height > MAX_PIXELS:
        image.close()
        megapixels = f"{image.width * image.height / 1e6:.1f} megapixels"
        raise TooLarge(f"The photo has {megapixels}; at most {MAX_PIXELS // 10**6} are accepted", pixels=MAX_PIXELS)
    return image


def _formats() -> list[str]:
    return [name for name in FORMATS if name in ("JPEG", "PNG") or features.check(name.lower())]


def _stranger(data: bytes) -> InvalidImage | UnsupportedFormat:
    accepted = "JPEG, PNG, WebP and AVIF are accepted"
    for name, start in OTHERS.items():
        if re.match(start, data):
            return UnsupportedFormat(f"This is {name}; {accepted}", accepted=FORMATS)
    return InvalidImage(f"The bytes are not a photo; {accepted}")


def _check_scans(image: Image.Image, data: bytes) -> None:
    if image.format in ("JPEG", "MPO") and sum(1 for _ in islice(_scans(data), MAX_SCANS + 1)) > MAX_SCANS:
        raise InvalidImage(f"The JPEG has more than {MAX_SCANS} scans")


def _scans(data: bytes) -> Iterator[int]:
    """Where the scans of a JPEG begin. In their data every 0xff is followed by 0 or a restart, so markers stand out."""
    place = 2
    while (marker := MARKER.search(data, place)) and marker[1] != b"\xd9":
        if marker[1] == b"\xda":
            yield marker.start()
        place = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2])


def _upright(image: Image.Image) -> Image.Image:
    turn = _turn(image)
    return image if turn is None else image.transpose(turn)


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return UPRIGHT.get(image.getexif().get(0x0112, 1))
    except BROKEN:
        # broken metadata is no reason to refuse a photo that can be seen
        return None


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        image = _eight_bits(image)
    if image.has_transparency_data and image.mode != "RGBA":
        image = image.convert("RGBA")
    return _bare(composite_on_white(image))


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 bits scaled, where Pillow's own conversion would clip; what is transparent of it is white."""
    values = np.array(image, np.float32)
    values[values == image.info.get("transparency", -1)] = 65535
    return Image.fromarray((np.clip(values, 0, 65535) / 257 + 0.5).astype(np.uint8))


def _bare(image: Image.Image) -> Image.Image:
    """Without metadata, which Pillow would write into files."""
    image.info = {}
    return image


def _saved(image: Image.Image, kind: str, **options: int) -> bytes:
    file = io.BytesIO()
    _bare(image).save(file, kind, **options)
    return file.getvalue()
