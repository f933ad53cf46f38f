"""Explanation of matches: what a stored garment and the query garment have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image

from lookalike.domain.color import Lab, color_distance, mean_color
from lookalike.domain.filter import PRODUCT_FIELDS, Condition, Filter
from lookalike.domain.model import Detection, ProductDetails, Segment

DetailsByName = Mapping[str, ProductDetails]
"""Product details by the name of a segment or photo."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Comparison of a match with the query garment. Fields are `None` if a value is unknown for one of the two."""

    same_label: bool | None = None
    colour_distance: float | None = None
    """CIE76 difference of the mean colors. Spelled like the field of the API."""
    color_distance: float | None = None
    """CIEDE2000 difference of the mean color to the color that the request names, `None` if it names none."""
    shared_details: list[str] | None = None
    """Names of product fields with equal values. Lists are equal if they share an item.

    `None` if nothing is known about the query's product (see `known_product_details`).
    """


@dataclass(frozen=True, slots=True)
class QueryGarment:
    """Known properties of a query garment. `known_details` has a condition for each known product field."""

    label: str | None = None
    color: Lab | None = None
    known_details: Filter = field(default_factory=dict)

    def explain(self, match: Segment, details: DetailsByName) -> Explanation:
        """Compare a match with this garment."""
        same_label = self.label == match.label if self.label and match.label else None
        distance = color_distance(self.color, match.color) if self.color and match.color else None
        shared = shared_detail_names(self.known_details, details_for(match, details)) if self.known_details else None
        return Explanation(same_label, distance, shared_details=shared)


def garment_color(garment: Detection, cut_out: Image.Image) -> Lab | None:
    """Return the mean color of a cut-out, or `None` for a whole photo, whose color is mostly that of its background."""
    return None if garment.is_whole_photo else mean_color(cut_out)


def known_product_details(stored: Sequence[Segment], details: DetailsByName, wanted: Filter) -> Filter:
    """Return what is known about the product of the query garment, as conditions on the fields of other products.

    `stored` are the segments of the same photo in the catalog, if it was uploaded before. A field is known if the
    details of all of them agree, because it is unknown which of them is the query garment. Otherwise it is known if the
    filter requires one value of it.
    """
    return required_values(wanted) | common_details([details_for(segment, details) for segment in stored])


def required_values(wanted: Filter) -> dict[str, Condition]:
    """Return the conditions of the filter that require one single value of a product field."""
    return {
        name: condition
        for name, condition in wanted.items()
        if name in PRODUCT_FIELDS and condition.is_equality and len(condition.any_of) == 1
    }


def common_details(details: Sequence[ProductDetails | None]) -> dict[str, Condition]:
    """Return the fields in which all details agree, as conditions that require the same value. Skips empty values."""
    if not details:
        return {}
    values_by_field = {name: [getattr(one, name, None) for one in details] for name in PRODUCT_FIELDS}
    common = {name: values[0] for name, values in values_by_field.items() if all(one == values[0] for one in values)}
    return {
        name: Condition(tuple(value) if isinstance(value, list) else (value,))
        for name, value in common.items()
        if value not in (None, "", [])
    }


def shared_detail_names(known: Filter, details: ProductDetails | None) -> list[str]:
    """Return the names of the fields whose condition the details satisfy, in the order of `PRODUCT_FIELDS`."""
    return [name for name in PRODUCT_FIELDS if name in known and known[name].matches(getattr(details, name, None))]


def details_for(segment: Segment, details: DetailsByName) -> ProductDetails | None:
    """Return the details of the segment itself, or of its photo if it has none of its own."""
    return details.get(segment.name) or details.get(segment.photo)


def details_keys(segments: Sequence[Segment]) -> list[str]:
    """Return all names under which details of the segments may be stored."""
    return sorted({name for segment in segments for name in (segment.name, segment.photo)})
