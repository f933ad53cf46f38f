"""Schemas of past searches and of the results that users chose in them."""

from lookalike.http.request_schemas import Name, RequestBody
from lookalike.http.response_schemas import Schema, SearchSummary, Segment


class FeedbackRequest(RequestBody):
    """The result of a search that the user chose."""

    search_id: Name
    """Id of the search: the `search_id` or `request_id` of its response."""
    id: int | Name
    """The chosen garment: its name, or the number that the search returned as `id`."""


class Choice(Schema):
    """A chosen result."""

    id: int
    """Row number of the garment."""
    splitted_image_id: str
    """Name of the garment."""
    chosen_at: str
    """Time at which it was chosen first."""


class Feedback(Choice):
    """A chosen result of a search."""

    search_id: str


class PastMatch(Segment):
    """A match of a past search that is still stored."""

    similarity: float
    """Cosine similarity to the query, -1 to 1; 0 if the search had conditions only."""
    garment: int
    """Position of the query garment in `garments`, from 0; also 0 if the query was not a single photo."""


class PastSearch(SearchSummary):
    """A past search with its matches."""

    results: list[PastMatch]
    chosen: list[Choice]
    """The matches that you chose, in order of time."""
