"""Harness for tests of uploads, ingestion and stored segments."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from PIL import Image

from lookalike.domain.model import Caller
from lookalike.usecases.ingest import Ingest
from lookalike.usecases.jobs import Jobs, RunningJob, validate_or_create_job_id
from lookalike.usecases.models import Models
from lookalike.usecases.segments import Segments
from lookalike.usecases.upload import Upload, UploadResult
from tests.fakes.catalog import FakeCatalog
from tests.fakes.models import FakeDetector, FakeEmbedder, make_detection
from tests.fakes.store import FakeStore


def encode_photo(color: str = "red") -> bytes:
    """Return a PNG of 60 x 40 pixels in one color."""
    file = io.BytesIO()
    Image.new("RGB", (60, 40), color).save(file, "PNG")
    return file.getvalue()


RED, BLUE = encode_photo("red"), encode_photo("blue")


class UploadHarness:
    """Uploads with fakes. The detector finds a top and a skirt in every photo."""

    def __init__(
        self,
        store: FakeStore | None = None,
        catalog: FakeCatalog | None = None,
        *,
        keep_originals: bool = True,
        claim_timeout: float = 60,
    ) -> None:
        self.detector = FakeDetector(make_detection(0), make_detection(30, "skirt"))
        self.store, self.catalog = store or FakeStore(), catalog or FakeCatalog()
        models = Models(self.detector, FakeEmbedder(), max_waiting=32)
        timeout = timedelta(seconds=claim_timeout)
        self.upload = Upload(models, self.store, self.catalog, keep_originals, timeout)
        self.jobs = Jobs(self.catalog, 30)
        self.segments = Segments(self.catalog, self.store)

    @contextmanager
    def run_job(self) -> Iterator[RunningJob]:
        """Run the body as an upload job of Anna's."""
        with self.jobs.run_job("upload", Caller("anna"), validate_or_create_job_id(None)) as job:
            yield job

    def upload_photo(self, name: str = "look", data: bytes = RED, force: bool = True) -> UploadResult:
        """Upload a photo as Anna."""
        with self.run_job() as job:
            return self.upload.upload_photo(data, name, "anna", force, job)

    def make_ingest(self) -> Ingest:
        """Return an ingestion that uses this upload."""
        return Ingest(self.upload, self.segments, self.catalog, self.jobs)

    def paths(self) -> list[str]:
        """Return the paths of all objects."""
        return [stored.path for stored in self.store.list()]
