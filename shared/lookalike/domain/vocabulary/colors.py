"""Names of colors in English, and the color of each."""

from collections.abc import Sequence
from functools import cache

from lookalike.domain.color import BASIC_COLORS, Lab, parse_hex

_CODES = {
    **BASIC_COLORS,
    "off white": "#f3eee2",
    "ivory": "#f4efdc",
    "cream": "#efe4c8",
    "ecru": "#e2d8bd",
    "sand": "#d3bd96",
    "stone": "#bfb5a2",
    "taupe": "#8d7b6a",
    "nude": "#dcb8a0",
    "tan": "#c39a6b",
    "camel": "#b98a55",
    "cognac": "#9a5a2c",
    "caramel": "#af6f3a",
    "chocolate": "#45291c",
    "coffee": "#55402f",
    "copper": "#b06a3f",
    "bronze": "#8a6a35",
    "rust": "#a4492a",
    "terracotta": "#b8604a",
    "burnt orange": "#bf5a1f",
    "apricot": "#f2b184",
    "peach": "#f5b89a",
    "salmon": "#ee8a78",
    "coral": "#ee6f5e",
    "blush": "#e8b9b5",
    "rose": "#d2717f",
    "dusty pink": "#cf9a9e",
    "hot pink": "#e5388a",
    "fuchsia": "#cf1f86",
    "magenta": "#bf1f7f",
    "raspberry": "#a8224f",
    "crimson": "#a6142c",
    "scarlet": "#d3261f",
    "maroon": "#5f1a20",
    "plum": "#5c2a4d",
    "aubergine": "#3b1f38",
    "mauve": "#a987a5",
    "lilac": "#bfa5cf",
    "lavender": "#b3a6d6",
    "violet": "#6b3fa0",
    "indigo": "#33356f",
    "royal blue": "#2547a8",
    "cobalt": "#1f4fae",
    "sky blue": "#87bde3",
    "baby blue": "#b5d3ea",
    "denim blue": "#4b6788",
    "steel blue": "#4f779c",
    "blue gray": "#6f8296",
    "midnight blue": "#161d3b",
    "petrol": "#14505c",
    "teal": "#1c7075",
    "aqua": "#5cc6cf",
    "cyan": "#25b4cf",
    "mint": "#a9dcc0",
    "sage": "#9daa8c",
    "emerald": "#117a52",
    "forest green": "#20492e",
    "bottle green": "#153b2d",
    "army green": "#4d5334",
    "moss": "#616c38",
    "khaki": "#8f8560",
    "lime": "#a4cf2e",
    "pistachio": "#b5cb8e",
    "lemon": "#f3e05c",
    "mustard": "#c99a24",
    "ochre": "#bf8428",  # codespell:ignore ochre
    "gold": "#c5a14a",
    "silver": "#b9bbbe",
    "slate": "#5c6670",
    "charcoal": "#3b3d41",
    "light gray": "#c2c2c2",
    "rose gold": "#c4907f",
}
"""Colors typical of fabric, as sRGB codes, by name. They were chosen by eye."""
_SYNONYMS = {
    "offwhite": "off white",
    "off whites": "off white",
    "eggshell": "ivory",
    "oatmeal": "ecru",
    "natural white": "ecru",
    "mocha": "coffee",
    "espresso": "coffee",
    "tobacco": "cognac",
    "brick": "rust",
    "brick red": "rust",
    "terra cotta": "terracotta",
    "neon pink": "hot pink",
    "shocking pink": "hot pink",
    "fuschia": "fuchsia",  # codespell:ignore fuschia
    "wine": "burgundy",
    "wine red": "burgundy",
    "bordeaux": "burgundy",
    "oxblood": "burgundy",
    "claret": "burgundy",
    "eggplant": "aubergine",
    "royal": "royal blue",
    "electric blue": "cobalt",
    "powder blue": "baby blue",
    "grayish blue": "blue gray",
    "gray blue": "blue gray",
    "slate blue": "blue gray",
    "midnight": "midnight blue",
    "olive drab": "army green",
    "hunter green": "forest green",
    "racing green": "bottle green",
    "neon green": "lime",
    "anthracite": "charcoal",
    "graphite": "charcoal",
    "metallic": "silver",
    "golden": "gold",
    **{
        f"{name} {hue}": name
        for hue, names in {
            "blue": "navy, cobalt, indigo, petrol, teal, turquoise, aqua, cyan, slate",
            "green": "olive, emerald, mint, sage, lime, khaki, moss, pistachio, teal",
            "red": "crimson, scarlet, burgundy, maroon, coral, rust",
            "pink": "blush, salmon, coral, fuchsia, rose, peach, raspberry",
            "brown": "chocolate, coffee, tan, camel, caramel, cognac, taupe",
            "gray": "charcoal, slate, silver, stone",
            "purple": "plum, lilac, lavender, mauve, violet",
            "yellow": "mustard, lemon",
            "white": "cream, ivory",
        }.items()
        for name in names.split(", ")
    },
}
_SPELLINGS = {"grey": "gray", "violett": "violet", "lila": "lilac"}  # codespell:ignore grey
MODIFIERS = {
    "dark": (0.6, 0.0, 0.85),
    "deep": (0.72, 0.0, 1.0),
    "light": (0.6, 40.0, 0.7),
    "pale": (0.45, 55.0, 0.5),
    "pastel": (0.4, 58.0, 0.5),
    "soft": (0.7, 28.0, 0.6),
    "bright": (0.95, 6.0, 1.25),
    "vivid": (0.95, 6.0, 1.25),
    "neon": (0.8, 20.0, 1.5),
    "dusty": (0.85, 10.0, 0.6),
    "muted": (0.9, 5.0, 0.5),
    "medium": (1.0, 0.0, 1.0),
}
"""Words before a color: factor and summand of its L*, and factor of its a* and b*."""


def color_of_words(words: Sequence[str]) -> str | None:
    """Return the name, for `named_color`, of the color that folded words name. `None` if they name none."""
    name = " ".join(_SPELLINGS.get(word, word) for word in words)
    name = _SYNONYMS.get(name, name)
    if name in _CODES:
        return name
    modifier, _, rest = name.partition(" ")
    if modifier in MODIFIERS and rest and (base := color_of_words(rest.split())):
        return f"{modifier} {base}"
    return None


@cache
def named_color(name: str) -> Lab:
    """Return the color of a name that `color_of_words` returned. Raises `ValueError` for another name."""
    if name in _CODES:
        return parse_hex(_CODES[name])
    modifier, _, base = name.partition(" ")
    if modifier not in MODIFIERS or not base:
        raise ValueError(f"There is no color named {name!r}")
    factor, summand, chroma = MODIFIERS[modifier]
    lightness, a, b = named_color(base)
    return min(factor * lightness + summand, 100.0), chroma * a, chroma * b
