"""Split: detects the garments of a photo and cuts them out. Only the job row is written."""

from dataclasses import dataclass, field

from PIL import Image

from lookalike import images
from lookalike.domain.model import Detection
from lookalike.usecases.jobs import RunningJob
from lookalike.usecases.models import Models, whole_photo_detection
from lookalike.usecases.photo_reader import PhotoReader
from lookalike.usecases.thread_pool import map_concurrently


@dataclass(frozen=True, slots=True)
class SplitResult:
    """Detected garments, their cut-outs as PNG in the same order, and the size of the upright photo in pixels."""

    detections: list[Detection]
    images: list[bytes]
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Split:
    """Detection and cutting out, without storage."""

    models: Models
    photos: PhotoReader = field(default_factory=PhotoReader)

    def split_photo(self, data: bytes, force: bool, job: RunningJob) -> SplitResult:
        """Split an encoded photo. With `force`, returns the whole photo if no garment is found.

        Raises the same as `images.read_image` and `Models.detect`.
        """
        job.enter_stage("reading")
        with self.photos.open_photo(data, job.cancel_token) as photo:
            job.enter_stage("detecting")
            detections = self.models.detect(photo, job.cancel_token, thorough=True)
            if not detections and force:
                detections = [whole_photo_detection(photo)]
            job.enter_stage("cutting")
            cut_outs = map_concurrently(lambda detection: _encode_cut_out(detection, photo), detections)
            return SplitResult(detections, cut_outs, *photo.size)


def _encode_cut_out(detection: Detection, photo: Image.Image) -> bytes:
    return images.png(detection.cut_out(photo))
