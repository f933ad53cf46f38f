"""Selects the garments and products that satisfy the conditions of a request."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from lookalike.domain.browse import OWN_PRODUCT_FIELDS
from lookalike.domain.feed_columns import is_feed_column
from lookalike.domain.filter import Filter, feed_conditions, garment_conditions
from lookalike.domain.ports import BrowseCatalog, Catalog
from lookalike.usecases.browse.request import BrowseRequest
from lookalike.usecases.search import TextExample
from lookalike.usecases.search.result import UnderstoodWords
from lookalike.usecases.search.scope import ScopedWords
from lookalike.usecases.search.selection import Conditions, Selection, select_rows
from lookalike.usecases.search.words import to_conditions, understand_text


@dataclass(frozen=True, slots=True)
class Meaning:
    """The conditions that words became."""

    conditions: Conditions = field(default_factory=Conditions)
    understood: Sequence[UnderstoodWords] = ()
    ignored: Sequence[str] = ()


def read_text(request: BrowseRequest, catalog: Catalog) -> Meaning:
    """Return the conditions of the request's words. Raises `InvalidField` if nothing is understood."""
    if not request.text:
        return Meaning()
    meaning = understand_text(TextExample(request.text), ScopedWords(catalog, request.scope))
    understood = [UnderstoodWords(one.text, one.field, one.value) for one in meaning.understood]
    return Meaning(to_conditions(meaning), understood, meaning.ignored)


def select_garments(request: BrowseRequest, words: Conditions, catalog: Catalog) -> Selection:
    """Return the garments that satisfy all conditions of the request and of its scope."""
    filters = [one for one in (request.scope, request.filter) if one]
    return select_rows(catalog, None, _conditions(request, [*filters, *words.filters], words))


def select_products(
    request: BrowseRequest, words: Conditions, catalog: Catalog, browse: BrowseCatalog
) -> list[str] | None:
    """Return the ids, ascending, of products that satisfy all conditions, or `None` if there are no conditions.

    Conditions on a product's own fields must be satisfied by the product, and the others by a garment that shows it. Of
    the scope and of words, brand and size are those of the garment's product details, as everywhere.
    """
    of_garments = [request.scope, *words.filters]
    own = [_own_conditions(request.filter), *map(feed_conditions, of_garments)]
    others = [_other_conditions(request.filter), *map(garment_conditions, of_garments)]
    sets = [set(browse.matching_product_ids(one)) for one in own if one]
    conditions = _conditions(request, [one for one in others if one], words)
    if conditions:
        row_ids = select_rows(catalog, None, conditions).row_ids
        assert row_ids is not None
        sets.append(browse.product_ids_shown_by(row_ids))
    return sorted(set.intersection(*sets)) if sets else None


def is_own_field(name: str) -> bool:
    """Return whether a product has the field itself, and not by the garments that show it."""
    return name in OWN_PRODUCT_FIELDS or is_feed_column(name)


def _own_conditions(wanted: Filter) -> Filter:
    return {name: condition for name, condition in wanted.items() if is_own_field(name)}


def _other_conditions(wanted: Filter) -> Filter:
    return {name: condition for name, condition in wanted.items() if not is_own_field(name)}


def _conditions(request: BrowseRequest, filters: Sequence[Filter], words: Conditions) -> Conditions:
    colors = [[request.color]] if request.color else []
    return Conditions(filters, words.texts, [*colors, *words.colors])
