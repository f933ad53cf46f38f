"""The plan of `lookalike doctor --repair`, as text for the operator."""

from collections.abc import Iterable, Iterator

from lookalike.usecases.consistency import Findings

SHOWN_NAMES = 5


def describe_plan(findings: Findings, stores_photos: bool) -> Iterator[str]:
    """Yield a line for each kind of finding: how many, what would be done, and some names."""
    kept = (
        "left alone; --store-photos stores them again, without their owner, and otherwise the next sweep deletes them"
    )
    plan: list[tuple[str, Iterable[str]]] = [
        ("garments without an image: cut out again from their photo", (one.name for one in findings.recuttable)),
        ("garments without a thumbnail: computed from their image", (one.name for one in findings.without_thumbnail)),
        ("garments without an image and a photo: DELETED", (one.name for one in findings.lost)),
        ("photos without their original: recorded as not kept", (one.name for one in findings.without_original)),
        (f"photos without a row: {'stored again' if stores_photos else kept}", findings.unknown_photos),
        ("other objects without a row, older than a day: deleted", (one.path for one in findings.orphans)),
        ("index that does not fit: rebuilt", [findings.index_problem] if findings.index_problem else []),
    ]
    for text, items in plan:
        names = list(items)
        if names:
            more = f", and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
            yield f"{len(names)} {text} ({', '.join(names[:SHOWN_NAMES])}{more})"
    if findings.lost:
        yield "Before you delete garments: look for their images in the bucket's old versions; see infra/restore.md"
