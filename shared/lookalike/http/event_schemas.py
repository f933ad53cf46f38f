"""Schemas of storage events, which Eventarc sends as CloudEvents 1.0.

The docstrings of schemas and fields are their descriptions in the API documentation.
"""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

STRUCTURED = "application/cloudevents+json"
"""Content type of structured mode: the whole event is in the body. Otherwise the attributes are headers."""
HEADER_PREFIX = "ce-"
"""Start of the headers that contain attributes, in binary mode."""
Attribute = Annotated[str, Field(min_length=1)]
PositiveNumber = Annotated[int, Field(gt=0, strict=True)]
PositiveDigits = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,18}$")]


class StoredObjectData(BaseModel):
    """The object that was written. Other fields of `google.events.cloud.storage.v1.StorageObjectData` are ignored."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    bucket: str = Field(min_length=1)
    name: str = Field(min_length=1)
    generation: PositiveDigits | PositiveNumber
    """Version of the object. Cloud Storage sends it as text, since it can exceed 2**53."""


class CloudEventAttributes(BaseModel):
    """Attributes of a CloudEvent. Others are ignored."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    specversion: Literal["1.0", "0.3"]
    id: Attribute
    source: Attribute
    type: Attribute
    """Events that are not of the type `google.cloud.storage.object.v1.finalized` are acknowledged and ignored."""
    time: AwareDatetime | None = None
    """Time of the event. One that is more than a day old is recorded as failed."""


class CloudEventBody(CloudEventAttributes):
    """A CloudEvent in structured mode."""

    data: StoredObjectData
