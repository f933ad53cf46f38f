"""Make the sample closet of the package from the flat-lay photographs of a data folder.

    python -m infra.sample_closet.build DATA [--out shared/lookalike/sample_closet]

DATA holds `flatlay/train/<category>/<id>.jpg`, as for `infra/training`. `photos.csv` lists the selected photos and says what
each shows; photos of one garment have the same product number. `outfits.csv` lists the photos that are composed of cut-outs.
Names in `queries/` are photos to search with. Stores, brands, ratings and other details are invented.
"""

import argparse
import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageFilter

import lookalike
from lookalike.adapters.compact_detector import CompactDetector
from lookalike.domain.cancel import CancelToken
from lookalike.images import jpeg, read_image

HERE = Path(__file__).parent
PACKAGE = Path(lookalike.__file__).parent
QUERIES = "queries/"
MAX_SIDE = 400
"""Pixels of the longest side. Smaller photos are not enlarged."""
JPEG_QUALITY = 80
OUTFIT_SIZE = (400, 400)
SLOTS = {
    2: ((0.04, 0.06, 0.48, 0.88), (0.52, 0.06, 0.44, 0.88)),
    3: ((0.04, 0.05, 0.48, 0.52), (0.55, 0.05, 0.41, 0.90), (0.08, 0.63, 0.40, 0.32)),
    4: ((0.03, 0.04, 0.46, 0.48), (0.53, 0.04, 0.43, 0.60), (0.06, 0.58, 0.38, 0.37), (0.56, 0.70, 0.36, 0.26)),
}
"""Left, top, width and height of each garment as shares of the photo, by the number of garments."""
SHADOW = 0.35
"""Opacity of a garment's shadow."""
COLUMNS = ("image_id", "store_name", "brand", "product_name", "store_description", "url", "rating", "tags",
           "sale_status", "size", "waist_type", "listing_season", "season")  # fmt: skip
STORES = ("Northlight", "Kiosk 9", "Second Spring", "Harbor Row")
BRANDS = ("Marlow", "Ost", "Halden", "Fennimore", "Luma", "Corvo", "Wickfield", "Tarn")
SEASONS = ("spring/summer", "autumn/winter")
WARM_WORDS = ("coat", "parka", "beanie", "boots", "sweater", "turtleneck", "wool", "down", "puffer", "fleece", "flannel",
              "cardigan", "leather", "earflap", "jacket", "vest")  # fmt: skip
SIZES = {
    "hat": ("one size",),
    "shoes": ("36", "37", "38", "39", "40", "41"),
    "outfit": (),
}
"""Other kinds come in `LETTER_SIZES`."""
LETTER_SIZES = ("XS", "S", "M", "L", "XL")
WAISTS = ("high waist", "mid waist", "low waist")
WITH_WAIST = ("trousers", "shorts", "skirt")


@dataclass(frozen=True, slots=True)
class Product:
    """An invented product. `number` seeds its details, so all photos of a garment get the same ones."""

    number: int
    kind: str
    name: str

    def details(self, image_id: str) -> dict[str, str]:
        """Return the line of details.csv of one photo, by column."""
        random = np.random.default_rng(self.number)
        store, brand = random.choice(STORES), random.choice(BRANDS)
        season = SEASONS[any(word in self.name.lower() for word in WARM_WORDS)]
        sizes = SIZES.get(self.kind, LETTER_SIZES)
        slug = self.name.lower().replace(" ", "-")
        return {
            "image_id": image_id,
            "store_name": str(store),
            "brand": str(brand),
            "product_name": self.name,
            "store_description": f"{self.name} by {brand}.",
            "url": f"https://shop.example/{store.lower().replace(' ', '-')}/{slug}-{self.number}",
            "rating": f"{random.uniform(3, 5):.1f}",
            "tags": json.dumps([self.kind, self.name.lower().split()[0]]),
            "sale_status": str(random.choice(("in stock", "on sale", "sold out"), p=(0.7, 0.2, 0.1))),
            "size": json.dumps(list(sizes[: 1 + int(random.integers(len(sizes)))])) if sizes else "",
            "waist_type": str(random.choice(WAISTS)) if self.kind in WITH_WAIST else "",
            "listing_season": f"{season} {random.integers(2023, 2027)}",
            "season": season,
        }


def read_table(name: str) -> list[dict[str, str]]:
    """Read a CSV file beside this module."""
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_photo(data: Path, source: str) -> Image.Image:
    """Return a photo of the data folder, its longest side at most `MAX_SIDE`."""
    photo = read_image((data / "flatlay" / "train" / source).read_bytes())
    photo.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    return photo


def cut_out(detector: CompactDetector, photo: Image.Image) -> Image.Image:
    """Return the largest garment of a photo as RGBA. The edge is drawn in a little, so that no background remains."""
    detections = detector.detect(photo, CancelToken(), thorough=True)
    garment = max((detection.cut_out(photo) for detection in detections), key=lambda image: image.width * image.height)
    garment.putalpha(garment.getchannel("A").filter(ImageFilter.MinFilter(3)).filter(ImageFilter.GaussianBlur(0.7)))
    return garment


def compose(cut_outs: list[Image.Image], background: str) -> Image.Image:
    """Lay cut-outs side by side on a plain background, each with a soft shadow."""
    photo = Image.new("RGB", OUTFIT_SIZE, background)
    for garment, (left, top, width, height) in zip(cut_outs, SLOTS[len(cut_outs)], strict=True):
        slot = (round(width * photo.width), round(height * photo.height))
        small = garment.copy()
        small.thumbnail(slot, Image.Resampling.LANCZOS)
        layer = Image.new("RGBA", photo.size)
        corner = (left * photo.width + (slot[0] - small.width) / 2, top * photo.height + (slot[1] - small.height) / 2)
        layer.paste(small, (round(corner[0]), round(corner[1])))
        alpha = layer.getchannel("A")
        shadow = ImageChops.offset(alpha, 2, 4).filter(ImageFilter.GaussianBlur(4)).point(lambda value: value * SHADOW)
        photo.paste("black", mask=shadow)
        photo.paste(layer, mask=alpha)
    return photo


def product_of(row: dict[str, str]) -> Product:
    """Return the product that a row of the tables describes. The photo's name starts with the kind of garment."""
    return Product(int(row["product"]), row["name"].rpartition("-")[0], row["product_name"])


def write_details(path: Path, rows: list[dict[str, str]]) -> None:
    """Write the product details of all photos except queries, in order of their names."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        closet = sorted((row for row in rows if not row["name"].startswith(QUERIES)), key=lambda row: row["name"])
        writer.writerows(product_of(row).details(row["name"]) for row in closet)


def build(data: Path, out: Path) -> None:
    """Write photos, queries and details.csv. Removes the photos of an earlier run."""
    photos, outfits = read_table("photos.csv"), read_table("outfits.csv")
    detector = CompactDetector(PACKAGE / "weights" / "detector.onnx")
    (out / QUERIES).mkdir(parents=True, exist_ok=True)
    for old in out.rglob("*.jpg"):
        old.unlink()
    for row in photos:
        (out / f"{row['name']}.jpg").write_bytes(jpeg(read_photo(data, row["source"]), JPEG_QUALITY))
    for row in outfits:
        cut_outs = [cut_out(detector, read_photo(data, source)) for source in row["sources"].split()]
        (out / f"{row['name']}.jpg").write_bytes(jpeg(compose(cut_outs, row["background"]), JPEG_QUALITY))
    write_details(out / "details.csv", photos + outfits)


def main() -> None:
    """Build the folder and print its size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the data folder")
    parser.add_argument("--out", type=Path, default=PACKAGE / "sample_closet", help="the folder to write")
    arguments = parser.parse_args()
    build(arguments.data, arguments.out)
    photos = list(arguments.out.rglob("*.jpg"))
    print(f"{len(photos)} photos, {sum(photo.stat().st_size for photo in photos) / 1e6:.1f} MB in {arguments.out}")


if __name__ == "__main__":
    main()
