"""Untrusted photos: every mode, orientation and corruption decodes or raises a `LookalikeError`."""

import base64
import io
import struct
import subprocess
import sys
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lookalike import images
from lookalike.domain.errors import InvalidImage, LookalikeError, TooLarge, UnsupportedFormat
from lookalike.images import decode_base64, read_image, upright_size

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
WIDTH, HEIGHT = 48, 32


def scene(mode: str = "RGB") -> Image.Image:
    """An image with a red left half, a blue right half and a white corner at the top left."""
    image = Image.new("RGB", (WIDTH, HEIGHT), "red")
    image.paste("blue", (WIDTH // 2, 0, WIDTH, HEIGHT))
    image.paste("white", (0, 0, 8, 8))
    return image.convert(mode)


def encode(image: Image.Image, image_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


ACCEPTED = {
    "JPEG": encode(scene(), "JPEG", quality=95),
    "PNG": encode(scene(), "PNG"),
    "WEBP": encode(scene(), "WEBP", lossless=True),
    "AVIF": encode(scene(), "AVIF", quality=95),
}
WRITABLE = [
    *((image_format, mode) for image_format in ("JPEG", "WEBP", "AVIF") for mode in ("L", "RGB")),
    ("JPEG", "CMYK"),
    ("WEBP", "RGBA"),
    ("AVIF", "RGBA"),
    *(("PNG", mode) for mode in ("1", "L", "P", "LA", "RGB", "RGBA")),
]


@pytest.mark.parametrize("image_format", ACCEPTED)
def test_accepted_formats_decode(image_format: str) -> None:
    found = read_image(ACCEPTED[image_format])
    assert found.mode == "RGB" and found.size == (WIDTH, HEIGHT)
    assert np.abs(np.asarray(found, int) - np.asarray(scene(), int)).mean() < 12


@pytest.mark.parametrize(("image_format", "mode"), WRITABLE)
def test_every_mode_decodes_to_rgb(image_format: str, mode: str) -> None:
    found = read_image(encode(scene(mode), image_format))
    assert found.mode == "RGB" and found.size == (WIDTH, HEIGHT)
    gray = mode in ("1", "L", "LA")
    left, right = found.getpixel((14, 20)), found.getpixel((40, 20))
    assert gray or (left[0] > 180 > 90 > left[2] and right[2] > 180 > 90 > right[0])  # type: ignore[index]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    back = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    turned = scene() if back is None else scene().transpose(Image.Transpose(back))
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = read_image(encode(turned, "PNG", exif=exif))
    assert np.array_equal(np.asarray(found), np.asarray(scene()))


def test_16_bit_png_is_scaled_not_clipped() -> None:
    ramp = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (16, 1))
    found = np.asarray(read_image(encode(Image.fromarray(ramp), "PNG")))
    assert 126 < found.mean() < 129 and found.min() == 0 and found.max() == 255


@pytest.mark.parametrize("image_format", ["PNG", "WEBP"])
def test_transparent_pixels_become_white(image_format: str) -> None:
    hidden = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    found = read_image(
        encode(hidden, image_format, **({"exact": True, "lossless": True} if image_format == "WEBP" else {}))
    )
    assert found.getpixel((5, 5)) == (255, 255, 255)


def test_transparent_palette_color_becomes_white() -> None:
    image = Image.new("P", (10, 10), 1)
    image.putpalette([0, 0, 0, 255, 0, 0])
    assert read_image(encode(image, "PNG", transparency=1)).getpixel((5, 5)) == (255, 255, 255)
    gray = encode(Image.new("L", (10, 10), 7), "PNG", transparency=7)
    assert read_image(gray).getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "AVIF"])
def test_animation_decodes_first_frame(image_format: str) -> None:
    frames = [Image.new("RGB", (20, 20), color) for color in ("red", "blue")]
    data = encode(frames[0], image_format, save_all=True, append_images=frames[1:])
    red, _, blue = np.asarray(read_image(data)).reshape(-1, 3).mean(0)
    assert red > 240 and blue < 15


@pytest.mark.parametrize("size", [(1, 1), (20_000, 1), (1, 9000), (3, 3)])
def test_extreme_sizes_decode(size: tuple[int, int]) -> None:
    assert read_image(encode(Image.new("RGB", size, "red"), "PNG")).size == size


def test_metadata_is_dropped() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Secret camera"
    data = encode(scene(), "JPEG", exif=exif, comment=b"Secret comment", icc_profile=b"Secret profile")
    found = read_image(data)
    assert found.info == {} and not found.getexif()
    for written in (images.png(found), images.jpeg(found), images.thumbnail(found)):
        assert b"Secret" not in written
    found.info = {"comment": b"Secret", "icc_profile": b"Secret profile"}
    for write in (images.png, images.jpeg, images.thumbnail):
        assert Image.open(io.BytesIO(write(found))).info.keys() <= {
            "jfif",
            "jfif_version",
            "jfif_unit",
            "jfif_density",
        }
    assert found.info


@pytest.mark.parametrize("image_format", ACCEPTED)
@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 0.9])
def test_truncated_photo_is_rejected(image_format: str, share: float) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (90, 90, 3), np.uint8)
    data = encode(Image.fromarray(noise), image_format)
    with pytest.raises(InvalidImage):
        read_image(data[: int(len(data) * share)])


@pytest.mark.parametrize("mode", ["I", "F", "PA", "I;16"])
def test_tiff_is_rejected_in_every_mode(mode: str) -> None:
    with pytest.raises(UnsupportedFormat, match="TIFF"):
        read_image(encode(Image.new(mode, (4, 4)), "TIFF"))


@pytest.mark.parametrize("image_format", ["GIF", "BMP", "TIFF", "ICO", "PPM", "PDF", "EPS", "JPEG2000"])
def test_unsupported_format_is_rejected_by_content(image_format: str) -> None:
    with pytest.raises(UnsupportedFormat) as error:
        read_image(encode(scene(), image_format))
    assert "JPEG, PNG, WebP and AVIF are accepted" in error.value.message


REJECTED_FILES = {
    b"<svg xmlns='x'/>": "SVG",
    b"\xef\xbb\xbf <?xml version='1.0'?>\n<!-- by hand --><svg/>": "SVG",
    b"\0\0\0\x18ftypheic" + bytes(99): "HEIC",
    b"MM\0+" + bytes(20): "TIFF",
    b"\xc5\xd0\xd3\xc6" + bytes(20): "PostScript",
    b"\0\0\0\x0cJXL " + bytes(20): "JPEG XL",
    b"8BPS" + bytes(20): "Photoshop",
}


@pytest.mark.parametrize("data", REJECTED_FILES)
def test_error_names_the_unsupported_format(data: bytes) -> None:
    with pytest.raises(UnsupportedFormat, match=REJECTED_FILES[data]):
        read_image(data)


@pytest.mark.parametrize(
    "data", [b"", b"hello", bytes(1000), b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP"]
)
def test_data_that_is_not_an_image_is_rejected(data: bytes) -> None:
    with pytest.raises(InvalidImage):
        read_image(data)


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def gray_png(width: int, height: int, bits: int, rows: bytes, *more: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def decompression_bomb(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes whose header declares that many pixels."""
    return gray_png(width, height, 1, bytes(min((width // 8 + 2) * 1000, 10**6)))


def test_transparent_16_bit_gray_becomes_white() -> None:
    rows = (b"\0" + struct.pack(">2H", 1000, 65000)) * 2
    found = read_image(gray_png(2, 2, 16, rows, chunk(b"tRNS", struct.pack(">H", 1000))))
    assert found.getpixel((0, 0)) == (255, 255, 255) and found.getpixel((1, 0)) == (253, 253, 253)


def many_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan, a few bytes long, is repeated."""
    data = encode(Image.new("L", (640, 640), 128), "JPEG", progressive=True)
    return data[:-2] + data[data.rindex(b"\xff\xda") : -2] * count + data[-2:]


def test_jpeg_with_too_many_scans_is_rejected() -> None:
    assert read_image(many_scans(images.MAX_SCANS - 6)).size == (640, 640)
    for count in (images.MAX_SCANS - 5, 50_000):
        with pytest.raises(InvalidImage, match="scans"):
            read_image(many_scans(count))


def hidden_scans(count: int) -> bytes:
    """A JPEG whose scans stand behind a reserved marker, where a restart marker is expected.

    The decoder skips only the marker. A parser that takes the next bytes for a length skips all the scans.
    """

    def segment(marker: bytes, content: bytes) -> bytes:
        return b"\xff" + marker + (len(content) + 2).to_bytes(2) + content

    head = segment(b"\xdb", b"\0" + b"\1" * 64) + segment(b"\xc2", b"\x08\0\x40\0\x40\1\1\x11\0")
    tables = b"".join(segment(b"\xc4", image_format + b"\1" + bytes(16)) for image_format in (b"\x00", b"\x10"))
    scan = b"\xff\xda\0\x08\1\1\0\0\0\0"
    hidden = b"\xff\x02\xff\xff\0" + (scan * count).ljust(65_532, b"\0")
    return b"\xff\xd8" + head + tables + segment(b"\xdd", b"\0\1") + scan + b"\0" + hidden + b"\xff\xd9"


def test_scans_behind_a_reserved_marker_are_counted() -> None:
    assert read_image(hidden_scans(images.MAX_SCANS - 1)).size == (64, 64)
    for count in (images.MAX_SCANS, 6000):
        with pytest.raises(InvalidImage, match="scans"):
            read_image(hidden_scans(count))


def test_scan_markers_in_comments_and_trailing_data_are_not_counted() -> None:
    scans = b"\xff\xda" * 5000
    assert read_image(encode(scene(), "JPEG", comment=scans) + scans).size == (WIDTH, HEIGHT)


@pytest.mark.parametrize("size", [(13_000, 13_000), (6400, 6401), (2**31 - 1, 2**31 - 1)])
def test_too_many_pixels_are_rejected_before_decoding(size: tuple[int, int]) -> None:
    with pytest.raises((TooLarge, InvalidImage)) as error:
        read_image(decompression_bomb(*size))
    assert size[0] > 20_000 or isinstance(error.value, TooLarge)


def test_too_many_bytes_are_rejected() -> None:
    with pytest.raises(TooLarge):
        read_image(ACCEPTED["PNG"] + bytes(images.MAX_BYTES))


def test_corrupt_exif_is_ignored() -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xff" * 40
    assert read_image(encode(scene(), "JPEG", exif=exif)).size == (WIDTH, HEIGHT)


@settings(max_examples=400, deadline=None)
@given(image_format=st.sampled_from(sorted(ACCEPTED)), data=st.data())
def test_mutated_photos_decode_or_raise_lookalike_error(image_format: str, data: st.DataObject) -> None:
    photo = bytearray(ACCEPTED[image_format])
    for _ in range(data.draw(st.integers(1, 12))):
        photo[data.draw(st.integers(0, len(photo) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.none(), st.integers(0, len(photo))))
    try:
        found = read_image(bytes(photo[:cut]))
    except LookalikeError:
        return
    assert found.mode == "RGB" and found.width * found.height <= images.MAX_PIXELS


@given(st.binary(max_size=300))
def test_base64_round_trip(data: bytes) -> None:
    text = base64.b64encode(data).decode()
    assert decode_base64(text) == data
    assert decode_base64("data:image/png;base64," + text) == data
    assert decode_base64(" \nData:image/png;base64,\n" + text) == data
    assert decode_base64(text.rstrip("=")) == data
    assert decode_base64("\n".join(text[start : start + 7] for start in range(0, len(text), 7))) == data


@pytest.mark.parametrize("text", ["hello!", "a", "äöü", "ab-_", "=a=", "\0", "data:image/png;base64,??"])
def test_invalid_base64_is_rejected(text: str) -> None:
    with pytest.raises(InvalidImage):
        decode_base64(text)


def test_long_base64_is_rejected_before_decoding() -> None:
    with pytest.raises(TooLarge):
        decode_base64("A" * 24_000_000)


@given(st.text(max_size=50))
def test_arbitrary_text_decodes_or_raises_lookalike_error(text: str) -> None:
    try:
        assert isinstance(decode_base64(text), bytes)
    except LookalikeError as error:
        assert error.status in (400, 413)


def test_thumbnail_is_small_and_on_white() -> None:
    cut_out = Image.new("RGBA", (600, 300), (255, 0, 0, 0))
    found = read_image(images.thumbnail(cut_out))
    assert found.size == (256, 128) and found.getpixel((9, 9)) == (255, 255, 255)


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_large_jpeg_is_decoded_at_reduced_size(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(scene().resize((1600, 1200)), "JPEG", exif=exif)
    small, whole = read_image(data, 500), read_image(data)
    assert whole.size == upright_size(data) == ((1200, 1600) if orientation == 6 else (1600, 1200))
    assert small.size == (whole.width // 2, whole.height // 2)
    assert np.abs(np.asarray(small, int) - np.asarray(whole.resize(small.size), int)).mean() < 3
    assert read_image(data, 1000).size == whole.size


MEMORY_SCRIPT = """
import io, resource, sys
import numpy as np
from PIL import Image
from lookalike import images
from lookalike.domain.errors import LookalikeError

def encode(image, image_format, **how):
    file = io.BytesIO()
    image.save(file, image_format, **how)
    return file.getvalue()

largest = [
    encode(Image.new("RGB", (7900, 5000), "red"), "JPEG"),
    encode(Image.new("1", (7900, 5000)), "PNG"),
    encode(Image.new("RGBA", (7900, 5000)), "PNG"),
    encode(Image.fromarray(np.zeros((5000, 7900), np.uint16)), "PNG"),
    encode(Image.new("1", (30000, 30000)), "PNG"),
]
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (1000 << 20),) * 2)
for data in largest:
    try:
        print(images.read_image(data).size)
    except LookalikeError as error:
        print(error.code)
"""


@pytest.mark.slow
def test_largest_photos_decode_in_bounded_memory() -> None:
    """Decoding 40 megapixels of any format takes less than a gigabyte."""
    process = subprocess.run([sys.executable, "-c", MEMORY_SCRIPT], capture_output=True, text=True, timeout=120)
    assert process.returncode == 0, process.stderr
    assert process.stdout.split("\n")[:5] == ["(7900, 5000)"] * 4 + ["too_large"]


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "L"), ("WEBP", "RGB")])
def test_large_photos_are_reduced_to_the_size_that_a_search_needs(kind: str, mode: str) -> None:
    data = encode(Image.linear_gradient("L").resize((900, 700)).convert(mode), kind, lossless=True)
    whole, reduced = read_image(data), read_image(data, 200)
    assert whole.size == (900, 700) and reduced.size == (300, 234) and reduced.mode == "RGB"
    assert np.abs(np.asarray(whole.reduce(3), int) - np.asarray(reduced, int)).max() <= 2
    assert read_image(data, 400).size == (900, 700)


@pytest.mark.parametrize(("mode", "options"), [("P", {}), ("RGB", {"transparency": (0, 0, 0)})])
def test_photos_with_a_palette_or_a_transparent_color_are_not_reduced(mode: str, options: dict[str, Any]) -> None:
    assert read_image(encode(Image.new(mode, (900, 700)), "PNG", **options), 200).size == (900, 700)
