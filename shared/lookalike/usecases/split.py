"""A photo comes in, its garments come out, cut out. Nothing is stored."""

from dataclasses import dataclass

from PIL import Image

from lookalike import images
from lookalike.domain.model import Detection
from lookalike.usecases.jobs import RunningJob
from lookalike.usecases.models import Models, whole_photo_detection
from lookalike.usecases.thread_pool import map_concurrently


@dataclass(frozen=True, slots=True)
class SplitResult:
    """The garments found and each as a PNG, and the size of the upright photo."""

    detections: list[Detection]
    images: list[bytes]
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Split:
    models: Models

    def split_photo(self, data: bytes, force: bool, job: RunningJob) -> SplitResult:
        """With `force`, the whole photo is the one piece where no garment is found."""
        job.enter_stage("reading")
        picture = images.read_image(data)
        job.enter_stage("detecting")
        garments = self.models.detect(picture, job.cancel, thorough=True) or (
            [whole_photo_detection(picture)] if force else []
        )
        job.enter_stage("cutting")
        return SplitResult(garments, map_concurrently(lambda one: _png(one, picture), garments), *picture.size)


def _png(garment: Detection, picture: Image.Image) -> bytes:
    return images.png(garment.cut_out(picture))
