"""A photo comes in, its garments come out, cut out. Nothing is stored."""

from dataclasses import dataclass

from PIL import Image

from lookalike import images
from lookalike.domain.model import Detection
from lookalike.usecases.jobs import Work
from lookalike.usecases.models import Models, whole
from lookalike.usecases.thread_pool import together


@dataclass(frozen=True, slots=True)
class Pieces:
    """The garments found and each as a PNG, and the size of the upright photo."""

    garments: list[Detection]
    pictures: list[bytes]
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Split:
    models: Models

    def photo(self, data: bytes, force: bool, work: Work) -> Pieces:
        """With `force`, the whole photo is the one piece where no garment is found."""
        work.entering("reading")
        picture = images.read_image(data)
        work.entering("detecting")
        garments = self.models.detect(picture, work.cancel, thorough=True) or ([whole(picture)] if force else [])
        work.entering("cutting")
        return Pieces(garments, together(lambda one: _png(one, picture), garments), *picture.size)


def _png(garment: Detection, picture: Image.Image) -> bytes:
    return images.png(garment.cut_out(picture))
