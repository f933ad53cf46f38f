"""Decode untrusted photos to upright RGB images, and encode images without metadata."""

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
"""Scans of a JPEG. Progressive photos have up to a dozen. Decoding passes over all pixels once per scan, so a small file
with thousands of scans would take hours (finding LJT-01-003 of the libjpeg-turbo audit)."""
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF")
REJECTED_FORMATS = {
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
"""First bytes of image formats that are not accepted: the error names the format; the file is never opened."""
JPEG_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd9-\xfe])")
"""JPEG markers followed by a length, and the end marker. Reserved markers have no length: the decoder continues right
behind them, so a scan hidden behind one must be counted too."""
DECODE_ERRORS = (
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
"""Exceptions that Pillow raises on corrupt files, including warnings that a host may turn into errors."""
TRANSPOSE_BY_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The transpose that makes a photo upright, by the value of the EXIF orientation tag (0x0112)."""
SWAPS_SIDES = {TRANSPOSE_BY_ORIENTATION[tag] for tag in (5, 6, 7, 8)}


def read_image(data: bytes, min_side: int | None = None) -> Image.Image:
    """Decode a photo: upright, RGB, without metadata, first frame only, transparent parts on white.

    With `min_side`, a photo whose shorter side has at least twice as many pixels is reduced by a whole factor. JPEGs are
    decoded at 1/2, 1/4 or 1/8 of their size (libjpeg's DCT scaling), which takes a fraction of the time and memory.

    Raises `TooLarge` above `MAX_BYTES` or `MAX_PIXELS` (before decoding), `UnsupportedFormat` for other image formats, and
    `InvalidImage` for anything else that does not decode completely.
    """
    if len(data) > MAX_BYTES:
        raise TooLarge(f"The photo has {len(data):,} bytes; at most {MAX_BYTES:,} are accepted", bytes=MAX_BYTES)
    with _open(data) as image:
        try:
            _check_scans(image, data)
            if min_side is not None and image.format in ("JPEG", "MPO"):
                image.draft(None, (min_side, min_side))
            image.load()
            return _to_rgb(_reduce(_make_upright(image), min_side))
        except DECODE_ERRORS as error:
            raise InvalidImage("The photo is corrupt or truncated") from error


def decoded_pixels(data: bytes, min_side: int | None = None) -> int:
    """Return how many pixels `read_image` would decode. Reads only the header. Raises the same, except for corrupt pixels."""
    with _open(data) as image:
        if min_side is not None and image.format in ("JPEG", "MPO"):
            image.draft(None, (min_side, min_side))
        return image.width * image.height


def upright_size(data: bytes) -> tuple[int, int]:
    """Return width and height of the upright photo from its header. Raises as `read_image`, except for corrupt pixels."""
    with _open(data) as image:
        width, height = image.size
        return (height, width) if _exif_transpose(image) in SWAPS_SIDES else (width, height)


def read_cut_out(data: bytes) -> Image.Image:
    """Decode a stored cut-out, as `png` or the original system wrote it: RGBA if it has an alpha channel, else RGB.

    Files are not limited in bytes. Raises `InvalidImage`, `UnsupportedFormat`, and `TooLarge` above `MAX_PIXELS`.
    """
    with _open(data) as image:
        try:
            image.load()
            return _without_metadata(image.copy()) if image.mode == "RGBA" else _to_rgb(image)
        except DECODE_ERRORS as error:
            raise InvalidImage("The image is corrupt or truncated") from error


def decode_base64(text: str, field: str = "image_base64") -> bytes:
    """Decode base64 in the standard alphabet, or a `data:` URL. Ignores white space and missing padding.

    Raises `TooLarge` before decoding, and `InvalidImage` for other characters (the URL-safe alphabet included).
    """
    # base64 needs 4 characters for 3 bytes; 1.4 leaves room for line breaks
    if len(text) > MAX_BYTES * 1.4:
        raise TooLarge(f"{field}: the image is too large; at most {MAX_BYTES:,} bytes are accepted", bytes=MAX_BYTES)
    text = text.lstrip()
    if text[:5].lower() == "data:":
        text = text.partition(",")[2]
    try:
        dense = text.encode("ascii").translate(None, string.whitespace.encode()).rstrip(b"=")
        return base64.b64decode(dense + b"=" * (-len(dense) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidImage(f"{field} is not valid base64", field=field) from error


def png(image: Image.Image) -> bytes:
    """Encode an RGB or RGBA image as PNG."""
    # compression level 3 takes a third of the default level's time, for a few percent more bytes
    return _encode(image.copy(), "PNG", compress_level=3)


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    """Encode an image as JPEG, transparent parts on white."""
    return _encode(composite_on_white(image), "JPEG", quality=quality)


def thumbnail(image: Image.Image, side: int = 256) -> bytes:
    """Encode a JPEG whose longer side has at most `side` pixels."""
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return jpeg(small, quality=85)


def _open(data: bytes) -> Image.Image:
    """Open an accepted format and check its dimensions. Reads only the header."""
    # Pillow's own limit is higher than MAX_PIXELS and only warns, so it is switched off
    Image.MAX_IMAGE_PIXELS = None
    try:
        image = Image.open(
            io.BytesIO(data),
            formats=[name for name in FORMATS if name in ("JPEG", "PNG") or features.check(name.lower())],
        )
    except UnidentifiedImageError as error:
        raise _unaccepted_format_error(data) from error
    except DECODE_ERRORS as error:
        raise InvalidImage("The photo is corrupt") from error
    if image.width * image.height > MAX_PIXELS:
        image.close()
        megapixels = f"{image.width * image.height / 1e6:.1f} megapixels"
        raise TooLarge(f"The photo has {megapixels}; at most {MAX_PIXELS // 10**6} are accepted", pixels=MAX_PIXELS)
    return image


def _unaccepted_format_error(data: bytes) -> InvalidImage | UnsupportedFormat:
    accepted = "JPEG, PNG, WebP and AVIF are accepted"
    for name, start in REJECTED_FORMATS.items():
        if re.match(start, data):
            return UnsupportedFormat(f"The format {name} is not supported; {accepted}", accepted=FORMATS)
    return InvalidImage(f"The data is not an image; {accepted}")


def _check_scans(image: Image.Image, data: bytes) -> None:
    if image.format in ("JPEG", "MPO") and sum(1 for _ in islice(_scan_offsets(data), MAX_SCANS + 1)) > MAX_SCANS:
        raise InvalidImage(f"The JPEG has more than {MAX_SCANS} scans; save it again as a baseline JPEG")


def _scan_offsets(data: bytes) -> Iterator[int]:
    """Yield the offset of each scan of a JPEG.

    In scan data every 0xff byte is followed by 0 or a restart marker, so a search for other markers skips it.
    """
    offset = 2
    while (marker := JPEG_MARKER.search(data, offset)) and marker[1] != b"\xd9":
        if marker[1] == b"\xda":
            yield marker.start()
        offset = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2])


def _make_upright(image: Image.Image) -> Image.Image:
    transpose = _exif_transpose(image)
    return image if transpose is None else image.transpose(transpose)


def _reduce(image: Image.Image, min_side: int | None) -> Image.Image:
    """Reduce the image so that its shorter side keeps at least `min_side` pixels."""
    factor = min(image.size) // min_side if min_side else 1
    # Not for palettes, which have no colors between their entries, for a transparent color, and for 16 bits.
    is_plain = image.mode in ("L", "LA", "RGB", "RGBA", "CMYK") and "transparency" not in image.info
    return image.reduce(factor) if factor > 1 and is_plain else image


def _exif_transpose(image: Image.Image) -> Image.Transpose | None:
    try:
        return TRANSPOSE_BY_ORIENTATION.get(image.getexif().get(0x0112, 1))
    except DECODE_ERRORS:
        # a photo with corrupt metadata is still a photo
        return None


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        image = _scale_to_8_bits(image)
    if image.has_transparency_data and image.mode != "RGBA":
        image = image.convert("RGBA")
    return _without_metadata(composite_on_white(image))


def _scale_to_8_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit gray to 8 bits (Pillow's own conversion clips); the transparent value becomes white."""
    values = np.array(image, np.float32)
    values[values == image.info.get("transparency", -1)] = 65535
    return Image.fromarray((np.clip(values, 0, 65535) / 257 + 0.5).astype(np.uint8))


def _without_metadata(image: Image.Image) -> Image.Image:
    """Drop `info`: Pillow would write the metadata in it into files."""
    image.info = {}
    return image


def _encode(image: Image.Image, kind: str, **options: int) -> bytes:
    file = io.BytesIO()
    _without_metadata(image).save(file, kind, **options)
    return file.getvalue()
