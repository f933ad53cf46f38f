"""Results about garments and photos, and the base class of all results."""

import base64

from pydantic import AliasPath, BaseModel, ConfigDict, Field

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels of the upright photo; x2 and y2 exclusive."""


class Result(BaseModel):
    """Base class of all results."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Garment(Result):
    """A garment in a photo."""

    bounding_box: Box | None = None
    """Unknown for garments of earlier versions."""
    label: str | None = None
    """Kind of garment, such as `dress`. `None` for a whole photo."""
    score: float | None = None
    """Confidence of the detection, 0 to 1."""


class StoredGarment(Garment):
    """A stored garment."""

    id: int
    """Row number."""
    splitted_image_id: str
    """Name of the garment."""
    splitted_image_path: str
    """Path of the cut-out in the bucket."""
    original_image_id: str
    """Name of the photo."""


class UploadedPhoto(Result):
    """A stored photo and its garments."""

    original_image_id: str
    segments: list[StoredGarment]


class CutOut(Garment):
    """A garment cut out of a photo that is not stored."""

    segment_id: str
    segment_base64: str = Field(repr=False)

    @property
    def image(self) -> bytes:
        """The cut-out as PNG."""
        return base64.b64decode(self.segment_base64)


class SplitPhoto(Result):
    """The garments of a photo that is not stored."""

    width: int
    """Width of the upright photo in pixels."""
    height: int
    segments: list[CutOut] = Field(validation_alias=AliasPath("data", "segments"))


class ProductDetails(Result):
    """Product details of a photo or a garment."""

    image_id: str
    store_name: str | None = None
    brand: str | None = None
    product_name: str | None = None
    store_description: str | None = None
    url: str | None = None
    rating: float | None = None
    tags: list[str] | None = None
    sale_status: str | None = None
    size: list[str] | None = None
    waist_type: str | None = None
    listing_season: str | None = None
    season: str | None = None


def decode_base64(text: str | None) -> bytes | None:
    """Return the bytes of a file in base64, or `None` if there is none."""
    return None if text is None else base64.b64decode(text)
