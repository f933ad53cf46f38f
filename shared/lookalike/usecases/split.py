"""A photo comes in, its garments come out, cut out. Nothing is stored."""

from dataclasses import dataclass

from PIL import Image

from lookalike import images
from lookalike.domain.model import Detection
from lookalike.usecases.jobs import RunningJob
from lookalike.usecases.models import Models, whole_photo
from lookalike.usecases.thread_pool import map_concurrently


@dataclass(frozen=True, slots=True)
class SplitResult:
    """The garments found and each as a PNG, and the size of the upright photo."""

    garments: list[Detection]
    images: list[bytes]
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Split:
    models: Models

    def photo(self, data: bytes, force: bool, work: RunningJob) -> SplitResult:
        """With `force`, the whole photo is the one piece where no garment is found."""
        work.entering("reading")
        picture = images.read_image(data)
        work.entering("detecting")
        garments = self.models.detect(picture, work.cancel, thorough=True) or ([whole_photo(picture)] if force else [])
        work.entering("cutting")
        return SplitResult(garments, map_concurrently(lambda one: _png(one, picture), garments), *picture.size)


def _png(garment: Detection, picture: Image.Image) -> bytes:
    return images.png(garment.cut_out(picture))
