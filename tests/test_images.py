"""Photos from strangers: any mode, any turn, any breakage; and never anything but our own errors."""

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
    """Red on the left, blue on the right, a white corner at the top left."""
    picture = Image.new("RGB", (WIDTH, HEIGHT), "red")
    picture.paste("blue", (WIDTH // 2, 0, WIDTH, HEIGHT))
    picture.paste("white", (0, 0, 8, 8))
    return picture.convert(mode)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


ACCEPTED = {
    "JPEG": saved(scene(), "JPEG", quality=95),
    "PNG": saved(scene(), "PNG"),
    "WEBP": saved(scene(), "WEBP", lossless=True),
    "AVIF": saved(scene(), "AVIF", quality=95),
}
WRITABLE = [
    *((kind, mode) for kind in ("JPEG", "WEBP", "AVIF") for mode in ("L", "RGB")),
    ("JPEG", "CMYK"),
    ("WEBP", "RGBA"),
    ("AVIF", "RGBA"),
    *(("PNG", mode) for mode in ("1", "L", "P", "LA", "RGB", "RGBA")),
]


@pytest.mark.parametrize("kind", ACCEPTED)
def test_the_accepted_formats_are_read(kind: str) -> None:
    found = read_image(ACCEPTED[kind])
    assert found.mode == "RGB" and found.size == (WIDTH, HEIGHT)
    assert np.abs(np.asarray(found, int) - np.asarray(scene(), int)).mean() < 12


@pytest.mark.parametrize(("kind", "mode"), WRITABLE)
def test_every_mode_becomes_rgb(kind: str, mode: str) -> None:
    found = read_image(saved(scene(mode), kind))
    assert found.mode == "RGB" and found.size == (WIDTH, HEIGHT)
    grey = mode in ("1", "L", "LA")
    left, right = found.getpixel((14, 20)), found.getpixel((40, 20))
    assert grey or (left[0] > 180 > 90 > left[2] and right[2] > 180 > 90 > right[0])  # type: ignore[index]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_any_turn_is_turned_back(orientation: int) -> None:
    back = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    turned = scene() if back is None else scene().transpose(Image.Transpose(back))
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = read_image(saved(turned, "PNG", exif=exif))
    assert np.array_equal(np.asarray(found), np.asarray(scene()))


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    ramp = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (16, 1))
    found = np.asarray(read_image(saved(Image.fromarray(ramp), "PNG")))
    assert 126 < found.mean() < 129 and found.min() == 0 and found.max() == 255


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_what_is_transparent_shows_white_and_not_what_is_hidden(kind: str) -> None:
    hidden = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    found = read_image(saved(hidden, kind, **({"exact": True, "lossless": True} if kind == "WEBP" else {})))
    assert found.getpixel((5, 5)) == (255, 255, 255)


def test_a_transparent_colour_of_a_palette_shows_white() -> None:
    picture = Image.new("P", (10, 10), 1)
    picture.putpalette([0, 0, 0, 255, 0, 0])
    assert read_image(saved(picture, "PNG", transparency=1)).getpixel((5, 5)) == (255, 255, 255)
    grey = saved(Image.new("L", (10, 10), 7), "PNG", transparency=7)
    assert read_image(grey).getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF"])
def test_of_an_animation_the_first_frame_counts(kind: str) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    red, _, blue = np.asarray(read_image(data)).reshape(-1, 3).mean(0)
    assert red > 240 and blue < 15


@pytest.mark.parametrize("size", [(1, 1), (20_000, 1), (1, 9000), (3, 3)])
def test_odd_sizes_are_photos_too(size: tuple[int, int]) -> None:
    assert read_image(saved(Image.new("RGB", size, "red"), "PNG")).size == size


def test_nothing_of_the_metadata_is_kept() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Secret camera"
    data = saved(scene(), "JPEG", exif=exif, comment=b"Secret comment", icc_profile=b"Secret profile")
    found = read_image(data)
    assert found.info == {} and not found.getexif()
    for written in (images.png(found), images.jpeg(found), images.thumbnail(found)):
        assert b"Secret" not in written
    found.info = {"comment": b"Secret", "icc_profile": b"Secret profile"}
    for encode in (images.png, images.jpeg, images.thumbnail):
        assert Image.open(io.BytesIO(encode(found))).info.keys() <= {
            "jfif",
            "jfif_version",
            "jfif_unit",
            "jfif_density",
        }
    assert found.info


@pytest.mark.parametrize("kind", ACCEPTED)
@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 0.9])
def test_a_truncated_photo_is_refused(kind: str, share: float) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (90, 90, 3), np.uint8)
    data = saved(Image.fromarray(noise), kind)
    with pytest.raises(InvalidImage):
        read_image(data[: int(len(data) * share)])


@pytest.mark.parametrize("mode", ["I", "F", "PA", "I;16"])
def test_modes_that_only_tiff_has_are_refused_with_it(mode: str) -> None:
    with pytest.raises(UnsupportedFormat, match="TIFF"):
        read_image(saved(Image.new(mode, (4, 4)), "TIFF"))


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "ICO", "PPM", "PDF", "EPS", "JPEG2000"])
def test_another_format_is_refused_by_its_content(kind: str) -> None:
    with pytest.raises(UnsupportedFormat) as refused:
        read_image(saved(scene(), kind))
    assert "JPEG, PNG, WebP and AVIF are accepted" in refused.value.message


NAMED = {
    b"<svg xmlns='x'/>": "SVG",
    b"\xef\xbb\xbf <?xml version='1.0'?>\n<!-- by hand --><svg/>": "SVG",
    b"\0\0\0\x18ftypheic" + bytes(99): "HEIC",
    b"MM\0+" + bytes(20): "TIFF",
    b"\xc5\xd0\xd3\xc6" + bytes(20): "PostScript",
    b"\0\0\0\x0cJXL " + bytes(20): "JPEG XL",
    b"8BPS" + bytes(20): "Photoshop",
}


@pytest.mark.parametrize("data", NAMED)
def test_other_pictures_are_named(data: bytes) -> None:
    with pytest.raises(UnsupportedFormat, match=NAMED[data]):
        read_image(data)


@pytest.mark.parametrize(
    "data", [b"", b"hello", bytes(1000), b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP"]
)
def test_what_is_no_photo_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidImage):
        read_image(data)


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def grey_png(width: int, height: int, bits: int, rows: bytes, *more: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes that promises that many pixels."""
    return grey_png(width, height, 1, bytes(min((width // 8 + 2) * 1000, 10**6)))


def test_a_transparent_grey_of_sixteen_bits_shows_white() -> None:
    rows = (b"\0" + struct.pack(">2H", 1000, 65000)) * 2
    found = read_image(grey_png(2, 2, 16, rows, chunk(b"tRNS", struct.pack(">H", 1000))))
    assert found.getpixel((0, 0)) == (255, 255, 255) and found.getpixel((1, 0)) == (253, 253, 253)


def many_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan, of a few bytes, is repeated."""
    data = saved(Image.new("L", (640, 640), 128), "JPEG", progressive=True)
    return data[:-2] + data[data.rindex(b"\xff\xda") : -2] * count + data[-2:]


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    assert read_image(many_scans(images.MAX_SCANS - 6)).size == (640, 640)
    for count in (images.MAX_SCANS - 5, 50_000):
        with pytest.raises(InvalidImage, match="scans"):
            read_image(many_scans(count))


def hidden_scans(count: int) -> bytes:
    """Where a restart should come in a scan's data stands a reserved marker, and behind it the scans: a decoder passes over
    the marker alone, and who takes the bytes behind it for its length, over them all."""

    def segment(marker: bytes, content: bytes) -> bytes:
        return b"\xff" + marker + (len(content) + 2).to_bytes(2) + content

    head = segment(b"\xdb", b"\0" + b"\1" * 64) + segment(b"\xc2", b"\x08\0\x40\0\x40\1\1\x11\0")
    tables = b"".join(segment(b"\xc4", kind + b"\1" + bytes(16)) for kind in (b"\x00", b"\x10"))
    scan = b"\xff\xda\0\x08\1\1\0\0\0\0"
    hidden = b"\xff\x02\xff\xff\0" + (scan * count).ljust(65_532, b"\0")
    return b"\xff\xd8" + head + tables + segment(b"\xdd", b"\0\1") + scan + b"\0" + hidden + b"\xff\xd9"


def test_no_scan_hides_behind_a_marker() -> None:
    assert read_image(hidden_scans(images.MAX_SCANS - 1)).size == (64, 64)
    for count in (images.MAX_SCANS, 6000):
        with pytest.raises(InvalidImage, match="scans"):
            read_image(hidden_scans(count))


def test_only_scans_count_as_scans() -> None:
    scans = b"\xff\xda" * 5000
    assert read_image(saved(scene(), "JPEG", comment=scans) + scans).size == (WIDTH, HEIGHT)


@pytest.mark.parametrize("size", [(13_000, 13_000), (6400, 6401), (2**31 - 1, 2**31 - 1)])
def test_too_many_pixels_are_refused_before_they_are_decoded(size: tuple[int, int]) -> None:
    with pytest.raises((TooLarge, InvalidImage)) as refused:
        read_image(bomb(*size))
    assert size[0] > 20_000 or isinstance(refused.value, TooLarge)


def test_too_many_bytes_are_refused() -> None:
    with pytest.raises(TooLarge):
        read_image(ACCEPTED["PNG"] + bytes(images.MAX_BYTES))


def test_broken_metadata_does_not_hide_a_photo() -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xff" * 40
    assert read_image(saved(scene(), "JPEG", exif=exif)).size == (WIDTH, HEIGHT)


@settings(max_examples=400, deadline=None)
@given(kind=st.sampled_from(sorted(ACCEPTED)), data=st.data())
def test_mutated_photos_are_read_or_refused(kind: str, data: st.DataObject) -> None:
    photo = bytearray(ACCEPTED[kind])
    for _ in range(data.draw(st.integers(1, 12))):
        photo[data.draw(st.integers(0, len(photo) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.none(), st.integers(0, len(photo))))
    try:
        found = read_image(bytes(photo[:cut]))
    except LookalikeError:
        return
    assert found.mode == "RGB" and found.width * found.height <= images.MAX_PIXELS


@given(st.binary(max_size=300))
def test_base64_comes_back(data: bytes) -> None:
    text = base64.b64encode(data).decode()
    assert decode_base64(text) == data
    assert decode_base64("data:image/png;base64," + text) == data
    assert decode_base64(" \nData:image/png;base64,\n" + text) == data
    assert decode_base64(text.rstrip("=")) == data
    assert decode_base64("\n".join(text[start : start + 7] for start in range(0, len(text), 7))) == data


@pytest.mark.parametrize("text", ["hello!", "a", "äöü", "ab-_", "=a=", "\0", "data:image/png;base64,??"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidImage):
        decode_base64(text)


def test_long_text_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(TooLarge):
        decode_base64("A" * 24_000_000)


@given(st.text(max_size=50))
def test_any_text_is_decoded_or_refused(text: str) -> None:
    try:
        assert isinstance(decode_base64(text), bytes)
    except LookalikeError as error:
        assert error.status in (400, 413)


def test_a_thumbnail_is_small_and_on_white() -> None:
    cut_out = Image.new("RGBA", (600, 300), (255, 0, 0, 0))
    found = read_image(images.thumbnail(cut_out))
    assert found.size == (256, 128) and found.getpixel((9, 9)) == (255, 255, 255)


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_large_jpeg_is_decoded_as_small_as_is_enough(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(scene().resize((1600, 1200)), "JPEG", exif=exif)
    small, whole = read_image(data, 500), read_image(data)
    assert whole.size == upright_size(data) == ((1200, 1600) if orientation == 6 else (1600, 1200))
    assert small.size == (whole.width // 2, whole.height // 2)
    assert np.abs(np.asarray(small, int) - np.asarray(whole.resize(small.size), int)).mean() < 3
    assert read_image(data, 1000).size == whole.size and read_image(saved(scene(), "PNG"), 5).size == (WIDTH, HEIGHT)


FRUGAL = """
import io, resource, sys
import numpy as np
from PIL import Image
from lookalike import images
from lookalike.domain.errors import LookalikeError

def saved(picture, kind, **how):
    file = io.BytesIO()
    picture.save(file, kind, **how)
    return file.getvalue()

largest = [
    saved(Image.new("RGB", (7900, 5000), "red"), "JPEG"),
    saved(Image.new("1", (7900, 5000)), "PNG"),
    saved(Image.new("RGBA", (7900, 5000)), "PNG"),
    saved(Image.fromarray(np.zeros((5000, 7900), np.uint16)), "PNG"),
    saved(Image.new("1", (30000, 30000)), "PNG"),
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
def test_the_largest_photos_take_bounded_memory() -> None:
    """A gigabyte more than there was before, for 40 megapixels of any kind."""
    said = subprocess.run([sys.executable, "-c", FRUGAL], capture_output=True, text=True, timeout=120)
    assert said.returncode == 0, said.stderr
    assert said.stdout.split("\n")[:5] == ["(7900, 5000)"] * 4 + ["too_large"]
