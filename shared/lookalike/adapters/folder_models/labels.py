"""Labels of detectors: from the names in `id2label` of `config.json` to the ten garment kinds.

The vocabulary covers Fashionpedia, DeepFashion2, ModaNet, the garments of COCO and LVIS, and names like theirs.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from lookalike.domain.errors import Misconfigured
from lookalike.domain.model import GARMENT_KINDS

KIND_WORDS = {
    "top": "top shirt tshirt tee blouse sweater sweatshirt hoodie jumper vest polo bodysuit pullover jersey tunic "
    "camisole turtleneck sling",
    "outerwear": "outerwear outwear outer jacket coat blazer cardigan cape parka suit anorak poncho raincoat overcoat "
    "windbreaker tuxedo",
    "dress": "dress gown romper jumpsuit swimsuit swimwear sundress kimono",
    "trousers": "trousers trouser pants jean denims legging chinos jogger slacks culottes sweatpants overalls",
    "shorts": "shorts",
    "skirt": "skirt miniskirt",
    "shoes": "shoe boot bootie sneaker sandal heels pumps loafer flats trainers footwear slipper clog wedges espadrille",
    "bag": "bag handbag purse backpack rucksack wallet tote clutch satchel",
    "hat": "hat cap beanie beret headwear bonnet fedora sombrero",
    "scarf": "scarf scarves shawl",
}
"""Last words of labels, by garment kind. Words in the singular also stand for their plurals."""
KIND_OF_WORD = {word: kind for kind, words in KIND_WORDS.items() for word in words.split()}
KIND_OF_PHRASE: dict[str, str | None] = {
    "upper clothes": "top",
    "short": "shorts",
    "short pants": "shorts",
    "flip flop": "shoes",
    "high heel": "shoes",
    # things that share the last word with a garment
    **dict.fromkeys(("plastic bag", "paper bag", "garbage bag", "trash bag", "sleeping bag", "bean bag"), None),
    **dict.fromkeys(("punching bag", "golf bag", "bottle cap", "bath robe", "table top", "pajama top"), None),
}
"""Labels whose kind the last word does not tell. They come before words."""
SEPARATORS = re.compile(r"[,;/&|+]|\band\b|\bor\b")
PARENTHESES = re.compile(r"\([^)]*\)?")


def read_id2label(config: Mapping[str, Any], location: str) -> dict[int, str]:
    """Return the names of a model's classes by their number. Raises `Misconfigured` if `config.json` has none."""
    entries = config.get("id2label")
    if not isinstance(entries, dict) or not entries:
        raise Misconfigured(f"{location}/config.json has no id2label, the names of the classes by their number")
    try:
        names = {int(number): str(name) for number, name in entries.items()}
    except ValueError as error:
        raise Misconfigured(f"{location}/config.json: id2label has a key that is not a number: {error}") from error
    if min(names) < 0:
        raise Misconfigured(f"{location}/config.json: id2label has a negative class number, {min(names)}")
    return names


def map_labels(names: Iterable[str], chosen: Mapping[str, str]) -> dict[str, str | None]:
    """Return the garment kind of every label, or `None` for labels that are not garments.

    `chosen` overrides the kind of single labels; `none` ignores a label. Raises `Misconfigured` for a label that the
    model does not have, and for a kind that is not one of the ten.
    """
    mapping = {name: guess_kind(name) for name in names}
    for name, kind in chosen.items():
        if name not in mapping:
            raise Misconfigured(f"The model has no label {name!r}; its labels are: {', '.join(sorted(mapping))}")
        if kind not in GARMENT_KINDS and kind != "none":
            raise Misconfigured(f"{kind!r} is not a garment kind; use {', '.join(GARMENT_KINDS)}, or none")
        mapping[name] = None if kind == "none" else kind
    return mapping


def guess_kind(label: str) -> str | None:
    """Return the garment kind that a label names, or `None` if it names none, or several different ones.

    Separators split a label into alternatives ("bag, wallet"). The last word of an alternative decides: "vest dress"
    is a dress, and "shirt collar" is not a garment.
    """
    alternatives = SEPARATORS.split(PARENTHESES.sub(" ", label.lower().replace("_", " ")))
    kinds = {_kind_of_words(re.findall(r"[a-z]+", alternative)) for alternative in alternatives} - {None}
    return kinds.pop() if len(kinds) == 1 else None


def _kind_of_words(words: list[str]) -> str | None:
    phrase = " ".join(words)
    for form in (phrase, phrase.removesuffix("s")):
        if form in KIND_OF_PHRASE:
            return KIND_OF_PHRASE[form]
    return _kind_of_word(words[-1]) if words else None


def _kind_of_word(word: str) -> str | None:
    for form in (word, word.removesuffix("s"), word.removesuffix("es")):
        if form in KIND_OF_WORD:
            return KIND_OF_WORD[form]
    return None
