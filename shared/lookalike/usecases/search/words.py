"""Words of a request: embedded if the embedder has a text encoder, otherwise understood as conditions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lookalike.domain.errors import InvalidField
from lookalike.domain.filter import GARMENT_FIELDS, PRODUCT_FIELDS, Condition
from lookalike.domain.ports import Catalog
from lookalike.domain.stage_times import Stage, stage
from lookalike.domain.vocabulary import Understanding, named_color, parse_price_limit, understand
from lookalike.usecases.models import Models
from lookalike.usecases.search.request import ColorCondition, Example, SearchRequest, TextExample
from lookalike.usecases.search.result import UnderstoodWords
from lookalike.usecases.search.scope import ScopedWords
from lookalike.usecases.search.selection import Conditions

COLOR_WORD_DISTANCE = 25.0
"""CIEDE2000 difference up to which a garment has the color that a word names."""
COLOR, FULL_TEXT = "color", ("pattern", "text")
"""Kinds of understood words that are not fields: a color, and words to be found in the product details."""
PRICE, CURRENCY = "price", "currency"
"""Fields of products that words can limit."""


@dataclass(frozen=True, slots=True)
class Words:
    """Conditions that the texts of a request became, and the examples that remain to be embedded."""

    other_examples: Sequence[Example]
    """The examples to be embedded."""
    wanted: Conditions = field(default_factory=Conditions)
    unwanted: Sequence[Conditions] = ()
    """Rows that satisfy one of these are left out: texts with a negative weight."""
    understood: Sequence[UnderstoodWords] = ()
    ignored: Sequence[str] = ()


def read_words(request: SearchRequest, load_models: Callable[[], Models], catalog: Catalog) -> Words:
    """Return what the texts of the request mean.

    Raises `InvalidField` if nothing of a text is understood.
    """
    texts = [one for one in request.examples if isinstance(one, TextExample)]
    if not texts or (not request.words_as_conditions and load_models().embeds_texts):
        return Words(request.examples)
    with stage(Stage.ROWS):
        visible = ScopedWords(catalog, request.scope)
        meanings = [(example, understand_text(example, visible)) for example in texts]
    return Words(
        [one for one in request.examples if not isinstance(one, TextExample)],
        join_conditions([to_conditions(meaning) for example, meaning in meanings if example.weight > 0]),
        [to_conditions(meaning) for example, meaning in meanings if example.weight < 0],
        [UnderstoodWords(one.text, one.field, one.value) for _, meaning in meanings for one in meaning.understood],
        [word for _, meaning in meanings for word in meaning.ignored],
    )


def understand_text(example: TextExample, visible: ScopedWords) -> Understanding:
    """Return what the words mean. Raises `InvalidField` if that is nothing."""
    meaning = understand(example.text, visible.details_fields_with_value, visible.has_text, visible.price_currencies)
    if not meaning.understood:
        name = f"{example.field_prefix}text"
        message = f"{name}: nothing of {example.text[:100]!r} is understood"
        raise InvalidField(f"{message}; name a garment, a color, a brand or a word of the product details", field=name)
    return meaning


def to_conditions(meaning: Understanding) -> Conditions:
    """Return the conditions of one text. Several values of one field are alternatives, and so are several colors."""
    values: dict[str, list[str]] = {}
    for one in meaning.understood:
        values.setdefault(one.field, []).append(one.value)
    fields = {
        name: Condition(tuple(found))
        for name, found in values.items()
        if name in (*GARMENT_FIELDS, *PRODUCT_FIELDS, CURRENCY)
    }
    if limits := values.get(PRICE):
        fields[PRICE] = to_price_range(limits)
    colors = [ColorCondition(named_color(name), COLOR_WORD_DISTANCE) for name in values.get(COLOR, ())]
    texts = [value for kind in FULL_TEXT for value in values.get(kind, ())]
    return Conditions([fields] if fields else [], texts, [colors] if colors else [])


def to_price_range(limits: Sequence[str]) -> Condition:
    """Return a condition that is satisfied if all limits are."""
    pairs = [parse_price_limit(limit) for limit in limits]
    minima, maxima = [one for one, _ in pairs if one is not None], [one for _, one in pairs if one is not None]
    return Condition((), max(minima, default=None), min(maxima, default=None))


def join_conditions(conditions: Sequence[Conditions]) -> Conditions:
    """Return conditions that are satisfied if all of the given ones are."""
    return Conditions(
        [one for each in conditions for one in each.filters],
        [one for each in conditions for one in each.texts],
        [one for each in conditions for one in each.colors],
    )
