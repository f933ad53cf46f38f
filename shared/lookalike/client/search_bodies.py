"""Bodies of searches, and photos as arguments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict

Photo = bytes | Path
"""A photo: its bytes, or its file."""


@dataclass(frozen=True, slots=True)
class Example:
    """An example of what to search for: exactly one of `garment`, `photo`, `text` and `past_search`."""

    garment: int | str | None = None
    """Row number or name of a stored garment."""
    photo: Photo | None = None
    text: str | None = None
    past_search: str | None = None
    """Id of one of your past searches with a photo."""
    past_garment: int | None = None
    """Which garment of that photo, or which of several photos, from 0."""
    bounding_box: Sequence[float] | None = None
    """Part of the photo to search for: x1, y1, x2, y2 in its pixels."""
    weight: float = 1.0
    """From -1 to 1. Results are pushed away from examples with a negative weight."""


Query = Photo | str | int | Example
"""A photo, words, the row number of a stored garment, or an `Example`."""


class SearchOptions(TypedDict, total=False):
    """Further fields of a search, with the names and meanings of `POST /search`."""

    filter: Mapping[str, Any]
    """Conditions by field name."""
    color: Mapping[str, Any]
    """Only garments near a color: `{"near": "#8a1c2b", "within": 25}`."""
    text_as: Literal["vector", "attributes"]
    include: Literal["image", "thumbnail", "url", "none"]
    """The image of each match. Default: `none`."""
    include_details: bool
    min_similarity: float
    exclude_original: bool
    collapse: bool
    group_by: str
    diversity: float


def read_photo(photo: Photo) -> bytes:
    """Return the bytes of a photo. Raises `OSError` if the file cannot be read."""
    return photo.read_bytes() if isinstance(photo, Path) else bytes(photo)


def to_example(query: Query) -> Example:
    """Return the example that a plain value stands for."""
    match query:
        case Example():
            return query
        case int():
            return Example(garment=query)
        case str():
            return Example(text=query)
    return Example(photo=query)


def search_body(query: Query | Sequence[Query], options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the JSON of a search, and the photos that it names. Options that are `None` are left out."""
    # bytes and text are sequences, too
    queries = [query] if isinstance(query, bytes | Path | str | int | Example) else query
    examples, photos = [], dict[str, bytes]()
    for number, example in enumerate(map(to_example, queries)):
        fields: dict[str, Any] = {"id": example.garment, "text": example.text, "bounding_box": example.bounding_box}
        fields |= {"search": example.past_search, "garment": example.past_garment}
        if example.photo is not None:
            fields["image"] = f"photo{number}"
            photos[fields["image"]] = read_photo(example.photo)
        examples.append(
            {name: value for name, value in fields.items() if value is not None} | {"weight": example.weight}
        )
    return {
        "query": examples,
        "include": "none",
        **{name: value for name, value in options.items() if value is not None},
    }, photos
