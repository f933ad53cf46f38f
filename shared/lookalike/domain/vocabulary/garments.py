"""Names of garments in English, and the garment kind of each."""

from collections.abc import Iterator, Sequence

# Commas separate phrases. All are in the singular, except for words without one.
_NAMES = {
    "top": "top, shirt, t shirt, tshirt, tee, tee shirt, blouse, jumper, sweater, pullover, sweatshirt, hoodie, hoody, "
    "polo, vest, tank, bodysuit, body suit, tunic, camisole, cami, longsleeve, turtleneck, crewneck, knitwear, jersey, "
    "henley, halter, corset, bustier, undershirt, singlet, waistcoat, gilet",
    "outerwear": "outerwear, outwear, coat, jacket, blazer, parka, anorak, cardigan, cape, poncho, raincoat, overcoat, "
    "trench, windbreaker, windcheater, bomber, puffer, peacoat, duffle, duster, tuxedo, suit, overshirt, shacket, "
    "bolero, rain coat, over coat, pea coat, wind breaker",
    "dress": "dress, gown, frock, sundress, sun dress, minidress, maxidress, pinafore, jumpsuit, jump suit, playsuit, "
    "romper, kaftan, caftan, kimono, swimsuit, swim suit, swimwear, bathing suit",
    "trousers": "trousers, trouser, pants, pant, slacks, jean, denims, chino, legging, jegging, jogger, sweatpants, "
    "track pants, tracksuit bottoms, bottoms, culottes, palazzos, dungarees, overalls, corduroys, cords, capris, bootcuts",
    "shorts": "shorts, hotpants, hot pants, short pants, bermudas",
    "skirt": "skirt, miniskirt, skort, sarong, kilt, tutu",
    "shoes": "shoe, footwear, boot, bootie, trainer, sneaker, sandal, heels, high heel, stiletto, pump, loafer, brogue, "
    "oxfords, derbies, moccasin, slipper, clog, mules, slides, wedges, flats, ballerinas, plimsoll, espadrille, "
    "flip flop, wellies, wellingtons, runners, kicks, cleats",
    "bag": "bag, handbag, hand bag, purse, tote, clutch, satchel, backpack, back pack, rucksack, knapsack, holdall, "
    "duffel, pouch, wallet, crossbody, cross body, messenger bag, fanny pack, bumbag, baguette bag, suitcase",
    "hat": "hat, cap, beanie, beret, fedora, bonnet, trilby, sombrero, panama, visor, headwear, snapback, balaclava, "
    "bobble hat, baseball cap, bowler hat",
    "scarf": "scarf, scarfs, shawl, stole, snood, pashmina, neckerchief, bandana, bandanna, foulard, muffler, headscarf",
}
_IRREGULAR_PLURALS = {"scarf": "scarves", "headscarf": "headscarves"}
_NO_GARMENTS = (
    "cap sleeve, cap sleeves, capped sleeve, capped sleeves, boot cut, boot leg, top handle, top stitch, top stitching, "
    "shawl collar, shawl lapel, shirt collar, shirt tail, polo neck, polo collar, tank strap, bag strap, heel strap, "
    "high top, high tops, low top, low tops, scarf print, jersey knit, jersey fabric, cape sleeve, cape sleeves, "
    "halter neck, hat band, wallet chain"
)
NO_GARMENTS = frozenset(_NO_GARMENTS.split(", "))
"""Phrases with the name of a garment that do not name a garment."""


def _plural(phrase: str) -> str | None:
    """Return the plural of a phrase, or `None` if it is one already."""
    head, _, last = phrase.rpartition(" ")
    if last.endswith("s") and not last.endswith("ss"):
        return None
    if last in _IRREGULAR_PLURALS:
        plural = _IRREGULAR_PLURALS[last]
    elif last.endswith(("ss", "sh", "ch", "x")):
        plural = f"{last}es"
    elif last.endswith("y") and last[-2] not in "aeiou":
        plural = f"{last[:-1]}ies"
    else:
        plural = f"{last}s"
    return f"{head} {plural}".strip()


def _singular_kinds() -> dict[str, str]:
    return {phrase: kind for kind, phrases in _NAMES.items() for phrase in phrases.split(", ")}


def _all_kinds() -> Iterator[tuple[str, str]]:
    for phrase, kind in _singular_kinds().items():
        yield phrase, kind
        if plural := _plural(phrase):
            yield plural, kind


KIND_OF_PHRASE = dict(_all_kinds())
"""Garment kind by folded name, in the singular and the plural."""
_MODIFIERS = frozenset(phrase for phrase in _singular_kinds() if _plural(phrase))


def garment_kind(words: Sequence[str]) -> str | None:
    """Return the garment kind that folded words name, or `None`.

    The last noun of a compound decides: a shirt dress is a dress, and a dress shirt is a top.
    """
    phrase = " ".join(words)
    if phrase in KIND_OF_PHRASE:
        return KIND_OF_PHRASE[phrase]
    for split in range(1, len(words)):
        if " ".join(words[:split]) in _MODIFIERS:
            return garment_kind(words[split:])
    return None
