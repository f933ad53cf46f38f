"""What a shop would say of the drawn garments: the lines of details.csv."""

import json

import numpy as np

from lookalike.local.closet.design import Design
from lookalike.local.closet.shots import Shot

COLUMNS = ("image_id", "store_name", "brand", "product_name", "store_description", "url", "rating", "tags",
           "sale_status", "size", "waist_type", "listing_season", "season")  # fmt: skip
STORES = {"Northlight": "northlight", "Atelier Brume": "atelier-brume", "Kiosk 9": "kiosk-9", "Marlow & Daughters": "marlow",
          "Second Spring": "second-spring"}  # fmt: skip
BRANDS = (
    "Halden",
    "Oriel",
    "Fennimore",
    "Tamsin Grey",
    "Luma",
    "Corvo",
    "Pine & Pearl",
    "Sable Row",
    "Ostra",
    "Wickfield",
)
STATUSES = {"on sale": 0.18, "in stock": 0.67, "sold out": 0.15}
WARM, COLD = ("knit", "wool"), ("spring/summer", "autumn/winter")
SUMMERY = ("shorts", "sandals", "sun hat", "camisole", "tank top", "crop top", "slip dress")
OCCASIONS = ("casual", "office", "weekend", "evening", "holiday", "everyday")
LETTERS = ("XS", "S", "M", "L", "XL")
FABRICS = {"knit": "soft knit", "wool": "wool blend", "satin": "satin", "canvas": "cotton canvas", "cotton": "cotton",
           "denim": "denim", "leather": "leather"}  # fmt: skip


def details(shot: Shot) -> dict[str, str]:
    """The line of a photograph, by column. Photographs of the same garment have one product and one url."""
    design, rng = shot.main, shot.main.rng
    store = str(rng.choice(list(STORES)))
    season = _season(design)
    return {
        "image_id": shot.stem,
        "store_name": store,
        "brand": str(rng.choice(BRANDS)),
        "product_name": product_name(design),
        "store_description": _description(design),
        "url": f"https://shop.example/{STORES[store]}/{design.name.replace(' ', '-')}-{design.seed}",
        "rating": f"{rng.uniform(2.8, 5.0):.1f}",
        "tags": json.dumps(_tags(design, rng)),
        "sale_status": str(rng.choice(list(STATUSES), p=list(STATUSES.values()))),
        "size": json.dumps(_sizes(design, rng)),
        "waist_type": f"{design.cut.waist} waist" if design.cut.waist else "",
        "listing_season": f"{season} {2022 + int(rng.integers(4))}",
        "season": season,
    }


def product_name(design: Design) -> str:
    """Colour, pattern and cut."""
    return " ".join((design.cloth.names[0], *_pattern(design), design.name)).capitalize()


def _pattern(design: Design) -> tuple[str, ...]:
    return () if design.cloth.pattern == "plain" else (design.cloth.pattern,)


def _description(design: Design) -> str:
    others = design.cloth.names[1:]
    colours = f"{design.cloth.names[0]} with {' and '.join(others)}" if others else design.cloth.names[0]
    return f"{design.name.capitalize()} in {FABRICS[design.cloth.weave]}, {design.cloth.pattern}, {colours}."


def _season(design: Design) -> str:
    cold = design.cloth.weave in WARM or design.kind in ("outerwear", "scarf") or "boots" in design.name
    return COLD[1 if cold and design.name not in SUMMERY and design.kind not in SUMMERY else 0]


def _tags(design: Design, rng: np.random.Generator) -> list[str]:
    return [
        design.kind,
        design.name,
        *design.cloth.names,
        *_pattern(design),
        design.cloth.weave,
        str(rng.choice(OCCASIONS)),
    ]


def _sizes(design: Design, rng: np.random.Generator) -> list[str]:
    if design.kind in ("bag", "hat", "scarf"):
        return ["one size"]
    sizes = [str(size) for size in range(36, 46)] if design.kind == "shoes" else list(LETTERS)
    first = int(rng.integers(0, 2))
    return sizes[first : first + int(rng.integers(3, len(sizes)))]
