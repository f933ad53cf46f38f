"""Findings of an inspection, grouped by the way in which they can be mended."""

from dataclasses import dataclass

from lookalike.domain.model import Photo, Segment, StoredObject


@dataclass(frozen=True, slots=True)
class Findings:
    """Result of an inspection. Empty fields are healthy."""

    recuttable: tuple[Segment, ...] = ()
    """Garments without an image, whose original photo exists: they can be cut out again."""
    lost: tuple[Segment, ...] = ()
    """Garments without an image and without an original photo. Searches find them, but show no picture."""
    without_thumbnail: tuple[Segment, ...] = ()
    """Garments with an image, but without a thumbnail, which can be computed from it."""
    without_original: tuple[Photo, ...] = ()
    """Photos whose original is missing, while their garments are complete or lost."""
    unknown_photos: tuple[str, ...] = ()
    """Names of photos whose original exists, but no row. They can be stored again."""
    orphans: tuple[StoredObject, ...] = ()
    """All other objects without a row, which are older than any running upload."""
    index_problem: str = ""
    """How the current index version does not fit the catalog."""

    @property
    def is_empty(self) -> bool:
        """Whether everything fits."""
        return not (self.index_problem or any(self.counts().values()))

    def counts(self) -> dict[str, int]:
        """Return the number of each kind, by a description."""
        return {
            "garments without an image, whose photo exists": len(self.recuttable),
            "garments without an image and without a photo": len(self.lost),
            "garments without a thumbnail": len(self.without_thumbnail),
            "photos without their original": len(self.without_original),
            "photos without a row": len(self.unknown_photos),
            "other objects without a row": len(self.orphans),
        }

    def summary(self) -> str:
        """Return one line about everything that does not fit."""
        parts = [f"{count} {name}" for name, count in self.counts().items() if count]
        return "; ".join([*parts, *([self.index_problem] if self.index_problem else [])])
