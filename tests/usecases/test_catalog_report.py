"""Catalog report: counts, map, outliers, likely wrong labels, duplicates and missing pictures."""

from dataclasses import replace

import numpy as np
import pytest

from lookalike.domain.model import Segment, Vectors
from lookalike.domain.product import Product
from lookalike.domain.stored_product import StoredPicture, StoredProduct
from lookalike.usecases import catalog_report
from lookalike.usecases.catalog_report import BuildReport, CatalogReport, principal_components
from tests.fakes.catalog import FakeCatalog
from tests.usecases import index_harness
from tests.usecases.index_harness import EMBEDDER, unit_vectors
from tests.usecases.test_duplicate_review import ReviewHarness


@pytest.fixture(autouse=True)
def same_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every test the same random vectors, whichever tests ran before."""
    monkeypatch.setattr(index_harness, "rng", np.random.default_rng(7))


class ReportHarness(ReviewHarness):
    """A catalog with pictures, whose rows are around a few directions."""

    def add_cluster(self, count: int, label: str | None, noise: float = 0.3) -> list[int]:
        """Store rows around a random direction with this label."""
        rows = self.add_copies(count, noise)
        for row_id in rows:
            self.catalog.update_segment(self.name(row_id), {"label": label})
        return rows

    def show_product(self, row_id: int, **fields: str) -> None:
        """Store a product that the garment shows."""
        segment = self.catalog.segments([row_id])[row_id]
        picture = StoredPicture("https://shop.example/1.jpg", photo=segment.photo, garment=segment.name)
        self.catalog.save_product(StoredProduct(Product(str(row_id), **fields), "shop", (picture,)))  # type: ignore[arg-type]

    def report(self) -> CatalogReport:
        index = self.open_live_index().index
        count = lambda: self.catalog.count_missing_vectors(EMBEDDER)  # noqa: E731
        build = BuildReport(self.catalog, self.catalog, self.store, index, self.review, EMBEDDER, count)
        return build.build()


def row_ids(segments: list[Segment]) -> list[int]:
    return [segment.row_id for segment in segments]


def test_report_of_a_catalog_with_every_problem() -> None:
    harness = ReportHarness()
    tops, hats = harness.add_cluster(15, "top"), harness.add_cluster(15, "hat")
    harness.catalog.update_segment(harness.name(tops[3]), {"label": "hat"})
    copies = harness.add_copies(2, 0.001)
    (lonely,) = harness.add_rows(unit_vectors(1))
    harness.add_rows(unit_vectors(2), "another-model")
    segment = harness.catalog.segments([hats[0]])[hats[0]]
    harness.store.delete(segment.thumbnail or "")
    report = harness.report()
    assert (report.garments, report.without_vector, len(report.sample)) == (33, 2, 33)
    assert dict(report.counts["label"]) == {"top": 17, "hat": 16}
    assert report.counts["brand"] == [] and report.counts["color"] == []
    assert [(one.segment.row_id, one.expected) for one in report.wrong_labels] == [(tops[3], "top")]
    assert (report.wrong_labels[0].agreement or 0) >= 0.8 and report.wrong_label_count == 1
    assert {lonely, *copies} & {one.segment.row_id for one in report.outliers[:5]}
    assert [one.similarity for one in report.outliers] == sorted(one.similarity for one in report.outliers)
    assert tuple(copies) in [group.row_ids for group in report.duplicates]
    assert {hats[0], lonely} <= set(row_ids([*report.missing])) and report.missing_count == 4
    assert report.positions.shape == (33, 2) and report.positions.min() >= 0 and report.positions.max() <= 1


def test_labels_are_compared_with_products_of_the_whole_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_report, "MAX_SAMPLE", 12)
    monkeypatch.setattr(catalog_report, "MAX_LISTED", 3)
    harness = ReportHarness()
    tops = harness.add_cluster(12, "top")
    rest = [harness.add_rows(unit_vectors(1))[0] for _ in range(4)]
    for row_id in rest:
        harness.catalog.update_segment(harness.name(row_id), {"label": "hat"})
        harness.show_product(row_id, product_type="Women > Skirts")
    harness.catalog.update_segment(harness.name(tops[0]), {"label": "skirt"})
    harness.show_product(tops[0], title="Striped t-shirt")
    harness.show_product(tops[1], title="Striped t-shirt")
    monkeypatch.setattr(BuildReport, "_sample_ids", lambda self: tops)
    report = harness.report()
    assert report.wrong_label_count == 5
    assert row_ids([one.segment for one in report.wrong_labels]) == [tops[0], *rest[:2]]
    first, second = report.wrong_labels[:2]
    assert first.expected == "top" and first.reasons == [
        f"title of product {tops[0]}: Striped t-shirt",
        "100% of its neighbors",
    ]
    assert second.reasons == [f"product type of product {rest[0]}: Women > Skirts"]


def test_empty_catalog_has_an_empty_report() -> None:
    report = ReportHarness().report()
    assert report.garments == report.missing_count == report.duplicate_group_count == 0
    assert not report.sample and report.positions.shape == (0, 2)


def test_large_catalog_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_report, "MAX_SAMPLE", 10)
    monkeypatch.setattr(catalog_report, "SEARCH_BLOCK", 4)
    harness = ReportHarness()
    harness.add_rows(unit_vectors(40))
    report = harness.report()
    assert (report.garments, len(report.sample), len(report.outliers)) == (40, 10, 10)
    assert report.missing_count == 40 and len(report.missing) == catalog_report.MAX_LISTED


def test_picture_inside_a_row_of_the_original_is_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = ReportHarness()
    inside, lost = harness.add_rows(unit_vectors(2))
    stored = FakeCatalog.segments
    monkeypatch.setattr(
        FakeCatalog,
        "segments",
        lambda self, ids: {one: replace(found, thumbnail=None) for one, found in stored(self, ids).items()},
    )
    monkeypatch.setattr(FakeCatalog, "legacy_image", lambda self, row_id: b"image" if row_id == inside else None)
    assert row_ids([*harness.report().missing]) == [lost]


def test_principal_components_keep_what_varies_most() -> None:
    line = np.linspace(-1, 1, 50)
    vectors: Vectors = np.zeros((50, 8), np.float32)
    vectors[:, 3], vectors[:, 5] = line, 0.1 * np.sin(20 * line)
    positions, explained = principal_components(vectors)
    assert explained == pytest.approx(1) and abs(np.corrcoef(positions[:, 0], line)[0, 1]) > 0.999
    assert np.ptp(positions[:, 0]) == pytest.approx(1) and np.ptp(positions[:, 1]) < 0.2
    assert principal_components(vectors[:1])[0].tolist() == [[0.5, 0.5]]
    assert principal_components(np.ones((5, 8), np.float32))[1] == 0
