"""Why a stored garment is like the one that is asked with: what is known to be the same of both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image

from lookalike.domain.color import Lab, color_distance, mean_color
from lookalike.domain.filter import PRODUCT_FIELDS, Condition, Filter
from lookalike.domain.model import Detection, ProductDetails, Segment

DetailsByName = Mapping[str, ProductDetails]
"""What shops say, by the names of garments and of photos."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Each none where it is not known of both.

    `colour_distance`: CIE76, between mean colours. `shared_details`: which of the product's details agree; of lists, one
    item is enough. It is none where nothing is known of the product that is asked with (see `product_of`).
    """

    same_label: bool | None = None
    colour_distance: float | None = None
    shared_details: list[str] | None = None


@dataclass(frozen=True, slots=True)
class QueryGarment:
    """What is known of a garment that is asked with. Of `product` each detail agrees that fulfils its condition."""

    label: str | None = None
    color: Lab | None = None
    known_details: Filter = field(default_factory=dict)

    def explain(self, match: Segment, said: DetailsByName) -> Explanation:
        same_label = self.label == match.label if self.label and match.label else None
        apart = color_distance(self.color, match.color) if self.color and match.color else None
        return Explanation(
            same_label,
            apart,
            shared_detail_names(self.known_details, details_for(match, said)) if self.known_details else None,
        )


def garment_color(garment: Detection, cut_out: Image.Image) -> Lab | None:
    """The garment's mean colour; of a whole photo none, since its background would count."""
    return None if garment.is_whole_photo else mean_color(cut_out)


def known_product_details(stored: Sequence[Segment], said: DetailsByName, wanted: Filter) -> Filter:
    """What is known of the product that is asked with, `stored` being the garments stored of the very same photo.

    A detail is known if the details of all of these say the same of it, since none of them is known to be the one that is
    asked with; and else if the filter demands one value of it.
    """
    return required_values(wanted) | common_details([details_for(one, said) for one in stored])


def required_values(wanted: Filter) -> dict[str, Condition]:
    """The conditions that the product has one certain value."""
    return {
        name: one for name, one in wanted.items() if name in PRODUCT_FIELDS and one.is_equality and len(one.any_of) == 1
    }


def common_details(details: Sequence[ProductDetails | None]) -> dict[str, Condition]:
    """What all of them say alike, each as the condition that others say so too."""
    if not details:
        return {}
    said = {name: [getattr(one, name, None) for one in details] for name in PRODUCT_FIELDS}
    alike = {name: values[0] for name, values in said.items() if all(value == values[0] for value in values)}
    return {name: _saying(value) for name, value in alike.items() if value not in (None, "", [])}


def _saying(value: str | float | list[str]) -> Condition:
    return Condition(tuple(value) if isinstance(value, list) else (value,))


def shared_detail_names(product: Filter, details: ProductDetails | None) -> list[str]:
    """The names of the details that agree, in the order of the product's."""
    return [name for name in PRODUCT_FIELDS if name in product and product[name].matches(getattr(details, name, None))]


def details_for(garment: Segment, said: DetailsByName) -> ProductDetails | None:
    """Its own, else its photo's."""
    return said.get(garment.name) or said.get(garment.photo)


def details_keys(garments: Sequence[Segment]) -> list[str]:
    """What their details may be filed under."""
    return sorted({name for one in garments for name in (one.name, one.photo)})
