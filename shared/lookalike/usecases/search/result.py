"""Search results: matches, their groups, and what belongs to the whole answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lookalike.domain.model import Detection, ProductDetails, Segment, Vectors
from lookalike.domain.product import Offer
from lookalike.usecases.explanation import Explanation
from lookalike.usecases.live_index import IndexInfo


@dataclass(frozen=True, slots=True)
class ResultGroup:
    """The group that a match stands for: the value that its members share, and their number.

    `key` is `None` for a garment without a value, which is a group of its own.
    """

    key: str | float | None
    size: int


@dataclass(frozen=True, slots=True)
class Match:
    """A stored segment that is similar to the query."""

    segment: Segment
    similarity: float | None
    """Cosine similarity, -1 to 1. `None` if nothing was compared because the request has conditions only."""
    match_probability: float | None = None
    """Probability, 0 to 1, that both are the same garment. `None` if the embedder has no calibration."""
    explanation: Explanation = field(default_factory=Explanation)
    details: ProductDetails | None = None
    """Product details, if requested and known."""
    offer: Offer | None = None
    """Price of the product of a feed that the garment shows, if requested and known."""
    image_fields: dict[str, str] = field(default_factory=dict)
    """Response fields with the image, in the form that `Include` selects."""
    group: ResultGroup | None = None
    """Present if the request groups the results."""


@dataclass(frozen=True, slots=True)
class MatchGroup:
    """The matches of one query garment, best first. Its box is in pixels of the original upright photo."""

    garment: Detection | None
    """`None` if the query is not a single photo."""
    matches: list[Match]


@dataclass(frozen=True, slots=True)
class UnderstoodWords:
    """Words that became a condition: the words, the kind of condition or field, and the value looked for."""

    text: str
    field: str
    value: str


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A value of a field, and the number of rows with it."""

    value: str | float
    count: int


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The matches in groups: one for each query garment with `segment`, otherwise one."""

    groups: list[MatchGroup]
    width: int
    """Width and height of the upright query photo in pixels, 0 if the query is not a single photo."""
    height: int
    index: IndexInfo
    duplicate_row_ids: frozenset[int] = frozenset()
    """Rows that duplicate a better match of another group. `best_matches` leaves them out."""
    understood: Sequence[UnderstoodWords] = ()
    ignored: Sequence[str] = ()
    """Words without a meaning for the search."""
    facets: Mapping[str, Sequence[FacetValue]] = field(default_factory=dict)
    next_cursor: str | None = None
    photo_vectors: Vectors | None = None
    """Vectors (n, dim) of the garments of a segmented photo, otherwise of each photo of the request."""
    is_approximate: bool = False
    """Whether groups may be incomplete because too many rows would have to be examined."""

    def best_matches(self, num: int) -> list[Match]:
        """Return the `num` best matches of all groups, each segment once."""
        if len(self.groups) == 1:
            return self.groups[0].matches[:num]
        matches = [match for group in self.groups for match in group.matches]
        best: dict[int, Match] = {}
        for match in sorted(matches, key=lambda match: -(match.similarity or 0.0)):
            if match.segment.row_id not in self.duplicate_row_ids:
                best.setdefault(match.segment.row_id, match)
        return list(best.values())[:num]
