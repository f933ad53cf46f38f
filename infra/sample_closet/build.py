"""Make the photos of the sample closet from the flat-lay photographs of a data folder.

    python -m infra.sample_closet.build DATA [--out shared/lookalike/sample_closet]

DATA holds `flatlay/`, as for `infra/training`. `sources.csv` lists the photos: `files` with one name is a photograph, with
several names a photo that is composed of cut-outs of them. Photos of one garment have the same `product`. The product details
in `details.csv` were made up once and are kept as they are.
"""

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageChops, ImageFilter

import lookalike
from lookalike.adapters.compact_detector import CompactDetector
from lookalike.batch.sample_closet import CLOSET_FOLDER
from lookalike.domain.cancel import CancelToken
from lookalike.images import jpeg, read_image

WEIGHTS = Path(lookalike.__file__).parent / "weights" / "detector.onnx"
SOURCES = Path(__file__).with_name("sources.csv")
MAX_SIDE = 400
"""Pixels of the longest side. Smaller photos are not enlarged."""
JPEG_QUALITY = 78
OUTFIT_SIZE = (300, 400)
BACKGROUND = "#e8e4de"
SLOTS = {
    3: ((0.20, 0.03, 0.60, 0.41), (0.28, 0.43, 0.44, 0.42), (0.34, 0.86, 0.32, 0.12)),
    4: ((0.20, 0.15, 0.60, 0.33), (0.29, 0.47, 0.42, 0.38), (0.34, 0.87, 0.32, 0.11), (0.37, 0.01, 0.26, 0.13)),
}
"""Left, top, width and height of each garment as shares of the photo, by the number of garments: top, bottom, shoes, hat.

Garments lie as they are worn. The detector was trained on people and on single garments; it tells others apart poorly."""
SHADOW_OPACITY = 0.3


@dataclass(frozen=True, slots=True)
class Source:
    """A row of `sources.csv`. `role` is `closet` or `query`; `files` are relative to `flatlay/`."""

    name: str
    role: str
    product: str
    files: tuple[str, ...]


def read_sources() -> list[Source]:
    """Return the rows of `sources.csv`."""
    with SOURCES.open(encoding="utf-8", newline="") as file:
        return [
            Source(row["name"], row["role"], row["product"], tuple(row["files"].split(";")))
            for row in csv.DictReader(file)
        ]


def read_photo(data: Path, file: str) -> Image.Image:
    """Return a photo of the data folder, its longest side at most `MAX_SIDE`."""
    photo = read_image((data / "flatlay" / file).read_bytes())
    photo.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    return photo


def cut_out(detector: CompactDetector, photo: Image.Image) -> Image.Image:
    """Return the largest garment of a photo as RGBA. Raises `ValueError` if the detector finds none."""
    detections = detector.detect(photo, CancelToken(), thorough=True)
    garment = max((detection.cut_out(photo) for detection in detections), key=lambda image: image.width * image.height)
    # masks are coarse: blur and move the edge inwards, so that no background remains around the garment
    smooth = garment.getchannel("A").filter(ImageFilter.GaussianBlur(2))
    garment.putalpha(smooth.point(lambda value: min(255, max(0, (value - 170) * 4))))
    return garment


def compose(cut_outs: list[Image.Image]) -> Image.Image:
    """Lay cut-outs on a plain background as they are worn, each with a soft shadow."""
    photo = Image.new("RGB", OUTFIT_SIZE, BACKGROUND)
    for garment, (left, top, width, height) in zip(cut_outs, SLOTS[len(cut_outs)], strict=True):
        slot = (round(width * photo.width), round(height * photo.height))
        small = garment.copy()
        small.thumbnail(slot, Image.Resampling.LANCZOS)
        layer = Image.new("RGBA", photo.size)
        corner = (left * photo.width + (slot[0] - small.width) / 2, top * photo.height + (slot[1] - small.height) / 2)
        layer.paste(small, (round(corner[0]), round(corner[1])))
        alpha = layer.getchannel("A")
        shadow = ImageChops.offset(alpha, 2, 3).filter(ImageFilter.GaussianBlur(4))
        shadow = shadow.point(lambda value: round(value * SHADOW_OPACITY))
        photo.paste("black", mask=shadow)
        photo.paste(layer, mask=alpha)
    return photo


def build(data: Path, out: Path) -> None:
    """Write the photos, and remove those of an earlier run."""
    detector = CompactDetector(WEIGHTS)
    folders = {"closet": out, "query": out / "queries"}
    folders["query"].mkdir(parents=True, exist_ok=True)
    for old in out.rglob("*.jpg"):
        old.unlink()
    for source in read_sources():
        photos = [read_photo(data, file) for file in source.files]
        photo = photos[0] if len(photos) == 1 else compose([cut_out(detector, one) for one in photos])
        (folders[source.role] / f"{source.name}.jpg").write_bytes(jpeg(photo, JPEG_QUALITY))


def main() -> None:
    """Build the photos and print their size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the data folder")
    parser.add_argument("--out", type=Path, default=CLOSET_FOLDER, help="the folder to write")
    arguments = parser.parse_args()
    build(arguments.data, arguments.out)
    photos = list(arguments.out.rglob("*.jpg"))
    megabytes = sum(photo.stat().st_size for photo in photos) / 1e6
    print(f"{len(photos)} photos, {megabytes:.1f} MB in {arguments.out}")


if __name__ == "__main__":
    main()
