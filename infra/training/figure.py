"""Draw what the delivered models do with a dozen validation photos: the garments found, and those of the training part nearest to each."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from infra.training.data import SEED, Sample, arguments, load
from infra.training.evaluate_search import NEAREST, Pictures, Rows, kept_cut_outs
from lookalike.adapters.compact_detector import CompactDetector
from lookalike.adapters.compact_embedder import CompactEmbedder
from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import Detection
from lookalike.local.picture import Match, Row, result_picture

PHOTOS, COLUMNS, WIDTH = 12, 2, 1000


class Searcher:
    """Both models, and the training part's flat-lay garments to find."""

    def __init__(self, weights: Path, samples: list[Sample], cache: Path) -> None:
        self.detector = CompactDetector(weights / "detector.onnx")
        self.embedder = CompactEmbedder(weights / "embedder.onnx")
        self.names = [sample.folder for sample in samples]
        self.known: Pictures = kept_cut_outs(self.detector, samples, cache)
        self.rows: Rows = self.embedder.embed(self.known, CancelToken())

    def picture(self, sample: Sample) -> Image.Image:
        """The photo, its garments and what is nearest to each."""
        photo = Image.fromarray(sample.image)
        found = self.detector.detect(photo, CancelToken())
        return result_picture(photo, [self.row(photo, one) for one in found])

    def row(self, photo: Image.Image, one: Detection) -> Row:
        likeness = self.rows @ self.embedder.embed([one.cut_out(photo)], CancelToken())[0]
        nearest = np.argsort(-likeness)[:NEAREST]
        matches = [Match(self.known[index], self.names[index], float(likeness[index])) for index in nearest]
        return Row(one.box, one.label or "", one.score, matches)


def picked(samples: Sequence[Sample], count: int) -> list[Sample]:
    """A seeded choice."""
    numbers = np.random.default_rng(SEED).permutation(len(samples))[:count]
    return [samples[number] for number in numbers]


def sheet(pictures: Sequence[Image.Image]) -> Image.Image:
    """The pictures in columns, each put where the least is so far."""
    pictures = [one.resize((WIDTH, round(one.height * WIDTH / one.width))) for one in pictures]
    heights, places = [0] * COLUMNS, []
    for one in pictures:
        column = int(np.argmin(heights))
        places.append((column * WIDTH, heights[column]))
        heights[column] += one.height
    whole = Image.new("RGB", (COLUMNS * WIDTH, max(heights)), "white")
    for one, place in zip(pictures, places, strict=True):
        whole.paste(one, place)
    return whole


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--weights", type=Path, required=True, help="the folder of the ONNX files")
    parser.add_argument("--to", type=Path, required=True, help="the picture to write")
    chosen = parser.parse_args()
    photographs = load(chosen.data, chosen.work)
    searcher = Searcher(chosen.weights, photographs.flat, chosen.work / "cutouts.pickle")
    parts = photographs.street_validation, photographs.flat_validation
    samples = [sample for part in parts for sample in picked(part, PHOTOS // len(parts))]
    sheet([searcher.picture(sample) for sample in samples]).save(chosen.to)


if __name__ == "__main__":
    main()
