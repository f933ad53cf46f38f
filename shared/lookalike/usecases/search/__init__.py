"""Search: finds stored garments that are similar to examples, satisfy conditions, or both.

`request` and `result` have the data. `search` runs the steps in this order: `query` maps the examples to vectors, `words`
maps texts to conditions, `selection` finds the rows that satisfy all conditions, `ranking` chooses the best of them,
`matches` reads their rows and images.
"""

from lookalike.usecases.search.request import (
    ColorCondition,
    GarmentExample,
    Include,
    PastExample,
    PhotoExample,
    SearchRequest,
    TextExample,
)
from lookalike.usecases.search.result import Match, MatchGroup, SearchResult
from lookalike.usecases.search.search import Search

__all__ = [
    "ColorCondition",
    "GarmentExample",
    "Include",
    "Match",
    "MatchGroup",
    "PastExample",
    "PhotoExample",
    "Search",
    "SearchRequest",
    "SearchResult",
    "TextExample",
]
