"""Search requests: examples, conditions and the form of the answer."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.color import Lab
from lookalike.domain.filter import PRODUCT_FIELDS, Filter
from lookalike.domain.model import Box, Detection

MAX_EXAMPLES = 16
"""Examples of one request."""
MAX_TEXT = 500
"""Characters of a text example."""
LIST_FIELDS = ("tags", "size")
"""Product fields that have several values, by which results cannot be grouped."""
PRODUCT_GROUP = "product"
"""Value of `group_by`: the product of a feed, or the product that the details describe."""
GROUP_FIELDS = ("photo", PRODUCT_GROUP, *(name for name in PRODUCT_FIELDS if name not in LIST_FIELDS))
"""Values of `group_by`."""


class Include(StrEnum):
    """Form in which the response contains the image of each match."""

    IMAGE = "image"
    THUMBNAIL = "thumbnail"
    URL = "url"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class GarmentExample:
    """A stored garment, by its row id (`int`) or its name (`str`)."""

    key: int | str
    weight: float = 1.0
    """From -1 to 1. Results are pushed away from examples with a negative weight."""
    field_prefix: str = ""
    """Path of the example in the request, put before the names of fields in error messages: `query[0].`."""


@dataclass(frozen=True, slots=True)
class PhotoExample:
    """An encoded photo, or the part of it in `box`, in pixels of the upright photo."""

    data: bytes = field(repr=False)
    box: Box | None = None
    weight: float = 1.0
    field_prefix: str = ""


@dataclass(frozen=True, slots=True)
class TextExample:
    """Words. They are embedded if the embedder has a text encoder; otherwise they become conditions."""

    text: str
    weight: float = 1.0
    field_prefix: str = ""


@dataclass(frozen=True, slots=True)
class PastExample:
    """A photo, or a garment in it, that was searched for before: its vector (dim,), without the photo."""

    search_id: str
    number: int
    vector: NDArray[np.float32] = field(repr=False, compare=False)
    garment: Detection | None = None
    """The garment that was detected in the photo."""
    weight: float = 1.0


Example = GarmentExample | PhotoExample | TextExample | PastExample


@dataclass(frozen=True, slots=True)
class ColorCondition:
    """Garments whose mean color has a CIEDE2000 difference of at most `within` (0 to 100) to `near`."""

    near: Lab
    within: float


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """Parameters of a search. Most fields have the names of the API."""

    examples: Sequence[Example] = ()
    """Garments, photos and words to search for. Without them, the rows that satisfy the conditions are listed."""
    limit: int = 5
    """Maximum number of matches; with `segment`, of each query garment."""
    segment: bool = False
    """Whether to detect garments in the only example, a photo, and search for each. Otherwise the whole is the query."""
    include: Include = Include.IMAGE
    min_similarity: float = -1.0
    filter: Filter = field(default_factory=dict)
    """Applied before the search, so that a strict filter does not reduce the number of matches."""
    scope: Filter = field(default_factory=dict)
    """Conditions of the caller's API key: other garments do not exist for this search, not even as examples."""
    color: ColorCondition | None = None
    """Applied before the search, too. Orders the results if there are no examples."""
    exclude_original: bool = False
    """Whether to leave out the stored garments of photos that the examples show."""
    collapse: bool = False
    """Whether to return only one of several duplicate images."""
    include_details: bool = False
    group_by: str | None = None
    """One of `GROUP_FIELDS`: only the best match of each group is returned."""
    diversity: float = 0.0
    """Weight, 0 to 1, of the difference between results (maximal marginal relevance)."""
    facets: Sequence[str] = ()
    """Fields whose values are counted over all rows that satisfy the conditions."""
    words_as_conditions: bool = False
    """Whether words become conditions even if the embedder has a text encoder."""
    has_pages: bool = True
    """Whether the result needs a cursor, for which the photos of the request are hashed."""
    cursor: str | None = None
    """`SearchResult.next_cursor` of the previous page."""

    def fingerprint(self) -> str:
        """Return a hash of everything that determines the results and their order."""
        examples = [
            (hashlib.sha256(one.data).hexdigest(), one.box, one.weight) if isinstance(one, PhotoExample) else one
            for one in self.examples
        ]
        result_independent = replace(
            self, examples=(), limit=0, include=Include.NONE, include_details=False, facets=(), cursor=None
        )
        return hashlib.sha256(repr((examples, result_independent)).encode()).hexdigest()
