"""Ports of the models: garment detection, and embedding of images and texts."""

from collections.abc import Sequence
from typing import Protocol

from PIL import Image

from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import Detection, Vectors


class Detector(Protocol):
    """Finds garments in a photo. Safe to use from several threads."""

    def detect(self, image: Image.Image, cancel: CancelToken, thorough: bool = False) -> list[Detection]:
        """Return the garments of an upright RGB photo, highest score first.

        Boxes lie inside the photo, in its pixels. With `thorough`, a detector with two score thresholds uses the lower
        one. Raises `Cancelled` or `DeadlineExceeded` soon after `cancel` is cancelled.
        """
        ...


class Embedder(Protocol):
    """Maps images to vectors, such that similar images have a high cosine. Safe to use from several threads."""

    @property
    def name(self) -> str:
        """Identifier of model and preprocessing. It changes whenever new vectors cannot be compared to old ones."""
        ...

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        ...

    def embed(self, images: Sequence[Image.Image], cancel: CancelToken) -> Vectors:
        """Embed RGB photos or RGBA cut-outs.

        Returns float32 of shape (n, dim) in the order of the images, each row of length 1. Raises `Cancelled` or
        `DeadlineExceeded` soon after `cancel` is cancelled.
        """
        ...


class TextEmbedder(Embedder, Protocol):
    """Embedder that maps texts to vectors as well, so that a text is similar to the images that it describes."""

    def embed_texts(self, texts: Sequence[str], cancel: CancelToken) -> Vectors:
        """Embed texts. Returns and raises the same as `embed`. Texts that are too long for the model are cut off."""
        ...
