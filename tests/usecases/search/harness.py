"""Harness for search tests: uploads and searches with fakes."""

import io
from dataclasses import replace
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import Caller, Segment
from lookalike.usecases.jobs import Jobs, validate_or_create_job_id
from lookalike.usecases.live_index import LiveIndex
from lookalike.usecases.models import Models
from lookalike.usecases.search import PhotoExample, Search, SearchRequest, SearchResult
from lookalike.usecases.segments import Segments
from lookalike.usecases.upload import Upload
from tests.fakes.catalog import FakeCatalog
from tests.fakes.models import FakeDetector, FakeEmbedder
from tests.fakes.store import FakeStore
from tests.usecases.index_harness import IndexHarness


def encode_stripes(*colors: str) -> bytes:
    """Return a PNG with one stripe of 20 x 30 pixels for each color."""
    image = Image.new("RGB", (20 * len(colors), 30))
    for number, color in enumerate(colors):
        image.paste(color, (20 * number, 0, 20 * number + 20, 30))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


class SearchHarness:
    """Uploads and searches with fakes. Garments are stripes of one color, and are embedded as that color."""

    def __init__(self) -> None:
        self.detector = FakeDetector()
        self.catalog, self.store = FakeCatalog(), FakeStore()
        models = Models(self.detector, FakeEmbedder(), max_waiting=8)
        self.upload = Upload(models, self.store, self.catalog, False, timedelta(seconds=60))
        self.models = models
        self.search = self.make_search(self.catalog)
        self.jobs, self.segments = Jobs(self.catalog, 30), Segments(self.catalog, self.store)

    def make_search(self, catalog: FakeCatalog) -> Search:
        index = self.make_index(catalog)
        return Search(lambda: self.models, FakeEmbedder.name, index, self.store, catalog, cursor_key=b"key")

    def make_index(self, catalog: FakeCatalog) -> LiveIndex:
        return LiveIndex(IndexHarness(self.store).versions, catalog, FakeEmbedder.name, FakeEmbedder.dim)

    def add_photo(self, name: str, color: str) -> Segment:
        """Upload a whole photo of one color."""
        self.detector.detections = []
        return self.upload_photo(name, encode_stripes(color))

    def upload_photo(self, name: str, data: bytes) -> Segment:
        """Upload a photo and return its first segment."""
        with self.jobs.run_job("upload", Caller(), validate_or_create_job_id(None)) as job:
            return self.upload.upload_photo(data, name, None, True, job).segments[0]

    def embed(self, color: str) -> NDArray[np.float32]:
        """Return the vector (dim,) of a photo of one color."""
        vector: NDArray[np.float32] = FakeEmbedder().embed([Image.new("RGB", (20, 30), color)], CancelToken())[0]
        return vector

    def run(self, request: SearchRequest) -> SearchResult:
        with self.jobs.run_job("search", Caller(), validate_or_create_job_id(None)) as job:
            return self.search.search(request, job)

    def run_search(self, data: bytes, request: SearchRequest) -> SearchResult:
        """Search with a photo as the only example."""
        return self.run(replace(request, examples=[PhotoExample(data)]))


def photo_names(result: SearchResult) -> list[list[str]]:
    """Return the photo of each match, for each group."""
    return [[match.segment.photo for match in group.matches] for group in result.groups]
