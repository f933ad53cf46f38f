"""Names of patterns, and words without a meaning of their own."""

from collections.abc import Sequence

_FORMS = (
    "striped, stripes, stripe, stripy, stripey",
    "pinstripe, pinstripes, pinstriped, pin stripe, pin striped",
    "floral, flowers, flower, flowered, flowery, floral print, flower print, botanical",
    "checked, check, checks, checkered, chequered, checked print",
    "plaid, tartan",
    "gingham, vichy",
    "polka dot, polka dots, polka dotted, dotted, dots, dot print, spotted, spots",
    "leopard, leopard print, leopard spots, cheetah, cheetah print",
    "animal print, animal",
    "zebra, zebra print",
    "snake, snakeskin, snake skin, snake print, python print",
    "camouflage, camo, camo print, camouflage print",
    "paisley, paisley print",
    "geometric, geometric print",
    "abstract, abstract print",
    "ditsy, ditsy print, ditsy floral",
    "tropical, tropical print, palm print",
    "tie dye, tie dyed, tiedye, tie dye print",
    "houndstooth, hounds tooth, dogtooth",
    "herringbone, herring bone, chevron",
    "argyle, argyll",
    "watercolor, watercolour",
    "graphic, graphic print",
    "colorblock, color block, colour block, color blocked, colour blocked",
    "printed, print, patterned, pattern",
    "plain, solid, solid color, solid colour, unpatterned",
)
"""Patterns, each with its other forms."""
_FORMS_OF = {form: forms.split(", ") for forms in _FORMS for form in forms.split(", ")}
_STOP_WORDS = (
    "a about all also am an and any are as at be by can color colored colors colour few find for get "
    "give good has have i in into is it item items kind like look looking looks made many me more my need nice of on one "
    "or our pair please pretty search show similar size sized so some something style styled that the their them these "
    "coloured colours "  # codespell:ignore coloured,colours
    "they thing things this those too type very want wearing where which with would you your"
)
_NEGATIONS = "without no not non except but minus"
_LIMITS = "under below over above beneath less than least most max maximum min minimum up to from"
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""Words that mean nothing for a search."""
NEGATIONS = frozenset(_NEGATIONS.split())
"""Words that exclude what follows. It is ignored, because it must not be required."""
LIMITS = frozenset(_LIMITS.split())
"""Words before a number that is a limit, and not a size or a name."""


def pattern_forms(words: Sequence[str]) -> list[str]:
    """Return the forms of the pattern that folded words name: as given, then the others. Empty if they name none."""
    phrase = " ".join(words)
    forms = _FORMS_OF.get(phrase, [])
    return [phrase, *(form for form in forms if form != phrase)] if forms else []
