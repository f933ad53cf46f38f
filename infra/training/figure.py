"""Draw an example image: garments detected in a dozen validation photos, and the most similar training garments."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from infra.training.data import Sample, load_photographs, make_parser
from infra.training.evaluate_search import NEAREST, Images, Rows, cached_cut_outs
from infra.training.labels import SEED
from lookalike.adapters.compact_detector import CompactDetector
from lookalike.adapters.compact_embedder import CompactEmbedder
from lookalike.batch.result_image import GarmentRow, Match, draw_result_image
from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import Detection

PHOTOS, COLUMNS, COLUMN_WIDTH = 12, 2, 1000


class Searcher:
    """The models, and the flat-lay garments of the training part that are searched."""

    def __init__(self, weights: Path, samples: list[Sample], cache: Path) -> None:
        self.detector = CompactDetector(weights / "detector.onnx")
        self.embedder = CompactEmbedder(weights / "embedder.onnx")
        self.names = [sample.folder for sample in samples]
        self.cut_outs: Images = cached_cut_outs(self.detector, samples, cache)
        self.vectors: Rows = self.embedder.embed(self.cut_outs, CancelToken())

    def draw(self, sample: Sample) -> Image.Image:
        """Draw the photo, its garments and the most similar garments of each."""
        photo = Image.fromarray(sample.image)
        detections = self.detector.detect(photo, CancelToken())
        return draw_result_image(photo, [self.search(photo, detection) for detection in detections])

    def search(self, photo: Image.Image, detection: Detection) -> GarmentRow:
        """Return the row of the drawing for one garment."""
        similarities = self.vectors @ self.embedder.embed([detection.cut_out(photo)], CancelToken())[0]
        nearest = np.argsort(-similarities)[:NEAREST]
        matches = [Match(self.cut_outs[index], self.names[index], float(similarities[index])) for index in nearest]
        return GarmentRow(detection.box, detection.label or "", detection.score, matches)


def choose(samples: Sequence[Sample], count: int) -> list[Sample]:
    """Choose samples with a fixed seed."""
    numbers = np.random.default_rng(SEED).permutation(len(samples))[:count]
    return [samples[number] for number in numbers]


def arrange_in_columns(images: Sequence[Image.Image]) -> Image.Image:
    """Arrange images in columns of one width, each below the shortest column so far."""
    resized = [image.resize((COLUMN_WIDTH, round(image.height * COLUMN_WIDTH / image.width))) for image in images]
    heights, corners = [0] * COLUMNS, []
    for image in resized:
        column = int(np.argmin(heights))
        corners.append((column * COLUMN_WIDTH, heights[column]))
        heights[column] += image.height
    canvas = Image.new("RGB", (COLUMNS * COLUMN_WIDTH, max(heights)), "white")
    for image, corner in zip(resized, corners, strict=True):
        canvas.paste(image, corner)
    return canvas


def main() -> None:
    """Draw the image."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--weights", type=Path, required=True, help="folder of the ONNX files")
    parser.add_argument("--to", type=Path, required=True, help="image file to write")
    options = parser.parse_args()
    photographs = load_photographs(options.data, options.work)
    searcher = Searcher(options.weights, photographs.flat, options.work / "cutouts.pickle")
    parts = photographs.street_validation, photographs.flat_validation
    samples = [sample for part in parts for sample in choose(part, PHOTOS // len(parts))]
    arrange_in_columns([searcher.draw(sample) for sample in samples]).save(options.to)


if __name__ == "__main__":
    main()
