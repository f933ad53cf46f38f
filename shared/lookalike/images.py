"""Untrusted bytes -> an upright RGB image, or a clear error; and images -> bytes without metadata."""

import base64
import binascii
import io
import re
import warnings

from PIL import Image, ImageOps

from lookalike.domain.errors import InvalidImage, TooLarge, UnsupportedFormat

MAX_BYTES = 16 * 1024 * 1024
MAX_PIXELS = 40_000_000


def read_image(data: bytes) -> Image.Image:
    if len(data) > MAX_BYTES:
        raise TooLarge("The photo is larger than 16 MB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data))
            if image.format not in ("JPEG", "PNG", "WEBP", "AVIF"):
                raise UnsupportedFormat("Send JPEG, PNG, WebP or AVIF")
            if image.width * image.height > MAX_PIXELS:
                raise TooLarge("more than 40 megapixels")
            image.load()
    except (UnsupportedFormat, TooLarge):
        raise
    except Exception as error:
        raise InvalidImage("The bytes are not a photo, or a broken one") from error
    image = ImageOps.exif_transpose(image)
    if image.mode in ("RGBA", "LA", "P", "PA"):
        rgba = image.convert("RGBA")
        white = Image.new("RGB", rgba.size, "white")
        white.paste(rgba, mask=rgba.getchannel("A"))
        return white
    clean = image.convert("RGB")
    clean.info = {}
    return clean


def decode_base64(text: str, field: str = "image_base64") -> bytes:
    text = re.sub(r"^data:[^,]*,", "", text)
    if len(text) > 23_000_000:
        raise TooLarge("The photo is larger than 16 MB")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidImage(f"{field} is not valid base64") from error


def _save(image, kind, **o):
    f = io.BytesIO()
    image.save(f, kind, **o)
    return f.getvalue()


def png(image):
    return _save(image, "PNG", compress_level=1)


def jpeg(image, quality=90):
    return _save(image.convert("RGB"), "JPEG", quality=quality)


def thumbnail(image, side=256):
    image = image.copy()
    image.thumbnail((side, side))
    if image.mode == "RGBA":
        w = Image.new("RGB", image.size, "white")
        w.paste(image, mask=image.getchannel("A"))
        image = w
    return jpeg(image, 85)
