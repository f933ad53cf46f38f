"""The checker of histories accepts everything that a correct store can do, and finds each kind of defect."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.soak.history import Read, Register, Write, find_violations

PHOTOS = {"a": ("a_0", "a_1"), "b": ("b_0",), "c": ("c_0",)}
EVERYTHING = frozenset(name for names in PHOTOS.values() for name in names) | {"never uploaded"}
LATER = 10_000.0
"""After the end of all generated histories."""


@dataclass
class Store:
    """A correct store: its garments, and the history that its clients record."""

    present: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    writes: list[Write] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)

    def read(self, start: float, end: float, hidden: frozenset[str] = frozenset(), label: str = "a read") -> None:
        """Record a read. `hidden`: garments that it does not cover, because others are more similar."""
        self.reads.append(Read(start, end, self.present - hidden, EVERYTHING - hidden, label))


@st.composite
def correct_histories(draw: st.DrawFn) -> Store:
    """Histories of writes and reads that take effect one after the other, each at a moment between start and end."""
    store, margins = Store(), st.floats(0, 50)
    for moment in range(0, 10 * draw(st.integers(0, 30)), 10):
        start, end = moment - draw(margins), moment + draw(margins)
        kind, photo = draw(st.sampled_from(["upload", "delete", "read"])), draw(st.sampled_from(sorted(PHOTOS)))
        names = PHOTOS[photo]
        if kind == "read":
            store.read(start, end, draw(st.frozensets(st.sampled_from(sorted(EVERYTHING)))))
        elif kind == "upload" and not store.deleted & set(names):
            add_write(store, Write(names, start, end), draw)
        elif kind == "delete" and store.present >= set(names):
            add_write(store, Write(names, start, end, is_deletion=True), draw)
    return store


def add_write(store: Store, write: Write, draw: st.DrawFn) -> None:
    """Record a write and let it take effect, unless its outcome is unknown."""
    is_acknowledged = draw(st.booleans())
    if is_acknowledged or draw(st.booleans()):
        store.present = store.present - set(write.names) if write.is_deletion else store.present | set(write.names)
    if write.is_deletion:
        # Also if the deletion had no effect: a client does not upload under a name that may have been deleted.
        store.deleted |= set(write.names)
    # The client may notice the lost connection before or after the write takes effect.
    end = write.end if is_acknowledged else write.start + draw(st.floats(0, 100))
    store.writes.append(replace(write, end=end, is_acknowledged=is_acknowledged))


@given(correct_histories())
def test_correct_histories_have_no_violation(store: Store) -> None:
    assert find_violations(store.writes, store.reads) == []


@given(correct_histories(), st.booleans())
def test_lost_upload_is_found(store: Store, is_seen_first: bool) -> None:
    store.writes.append(Write(("new",), LATER, LATER + 1, is_acknowledged=not is_seen_first))
    if is_seen_first:
        store.reads.append(Read(LATER, LATER + 2, ["new"], ["new"]))
    assert not find_violations(store.writes, store.reads)
    store.reads.append(Read(LATER + 3, LATER + 4, [], ["new"], "search 7"))
    (message,) = find_violations(store.writes, store.reads)
    assert message.startswith("new was there by") and "search 7" in message and "never began" in message
    assert f"(upload from 10000.000 s to 10001.000 s{', unknown' * is_seen_first})" in message


@given(correct_histories(), st.booleans())
def test_resurrected_deletion_is_found(store: Store, is_acknowledged: bool) -> None:
    store.writes.append(Write(("new",), LATER, LATER + 1))
    store.writes.append(Write(("new",), LATER + 2, LATER + 3, is_deletion=True, is_acknowledged=is_acknowledged))
    if not is_acknowledged:
        store.reads.append(Read(LATER + 4, LATER + 5, [], ["new"]))
    assert not find_violations(store.writes, store.reads)
    store.reads.append(Read(LATER + 6, LATER + 7, ["new"], []))
    (message,) = find_violations(store.writes, store.reads)
    assert message.startswith("new") and "there again after" in message


@given(correct_histories())
def test_garment_that_was_never_uploaded_is_found(store: Store) -> None:
    store.reads.append(Read(LATER, LATER + 1, ["phantom"], []))
    (message,) = find_violations(store.writes, store.reads)
    assert message.startswith("phantom was there by") and "its upload never began" in message


@given(correct_histories())
def test_garment_that_is_shown_before_its_upload_began_is_found(store: Store) -> None:
    store.reads.append(Read(LATER, LATER + 1, ["early"], []))
    store.writes.append(Write(("early",), LATER + 2, LATER + 3))
    (message,) = find_violations(store.writes, store.reads)
    assert "its upload began at 10002.000 s" in message


@given(correct_histories())
def test_read_that_shows_a_later_upload_without_an_earlier_one_is_found(store: Store) -> None:
    store.writes += [Write(("first",), LATER + 1, LATER + 2), Write(("second",), LATER + 3, LATER + 4)]
    store.reads.append(Read(LATER, LATER + 5, ["first"], ["first", "second"]))
    assert not find_violations(store.writes, store.reads)
    store.reads.append(Read(LATER, LATER + 5, ["second"], ["first", "second"], "search 7"))
    (message,) = find_violations(store.writes, store.reads)
    assert message.startswith("search 7 ") and "not the upload of first" in message


@given(correct_histories())
def test_read_that_shows_a_later_upload_and_a_garment_that_was_deleted_before_is_found(store: Store) -> None:
    store.writes += [Write(("old",), LATER, LATER + 1), Write(("old",), LATER + 3, LATER + 4, is_deletion=True)]
    store.writes.append(Write(("new",), LATER + 5, LATER + 6))
    store.reads.append(Read(LATER + 2, LATER + 7, ["old"], ["old", "new"]))
    assert not find_violations(store.writes, store.reads)
    store.reads.append(Read(LATER + 2, LATER + 7, ["old", "new"], []))
    (message,) = find_violations(store.writes, store.reads)
    assert "shows the upload of new" in message and "not the deletion of old" in message


@given(correct_histories())
def test_read_that_shows_a_part_of_an_upload_is_found(store: Store) -> None:
    store.writes.append(Write(("left", "right"), LATER, LATER + 3))
    store.reads.append(Read(LATER + 1, LATER + 2, ["left"], ["left", "right"]))
    (message,) = find_violations(store.writes, store.reads)
    assert "only a part of the upload of left, right: right is missing" in message
    store.writes.append(Write(("right",), LATER + 1, LATER + 4, is_deletion=True, is_acknowledged=False))
    assert not find_violations(store.writes, store.reads)


def test_unknown_upload_may_take_effect_late_but_not_come_and_go() -> None:
    writes = [Write(("a",), 0, 1, is_acknowledged=False)]
    reads = [Read(2, 3, [], ["a"]), Read(4, 5, ["a"], ["a"])]
    assert not find_violations(writes, reads)
    assert find_violations(writes, [*reads, Read(6, 7, [], ["a"])])


def test_read_that_overlaps_a_write_may_go_either_way() -> None:
    writes = [Write(("a",), 0, 10), Write(("a",), 20, 30, is_deletion=True)]
    either = [Read(start, start + 1, names, ["a"]) for start in (5, 25) for names in ([], ["a"])]
    for before, after in itertools.product(either[:2], either[2:]):
        assert not find_violations(writes, [before, after])


@dataclass(frozen=True)
class Step:
    """An operation on one garment, for the exhaustive search."""

    kind: str
    start: int
    end: float
    is_certain: bool = True


STEPS = st.builds(
    lambda kind, start, length, is_certain: Step(kind, start, start + length, is_certain or kind in ("seen", "missed")),
    st.sampled_from(["upload", "delete", "seen", "missed"]),
    st.integers(0, 8),
    st.integers(0, 4),
    st.booleans(),
)


@settings(max_examples=500)
@given(st.lists(STEPS, max_size=5))
def test_register_agrees_with_an_exhaustive_search_for_an_order(steps: list[Step]) -> None:
    register = Register("a")
    for step in steps:
        write = Write(("a",), step.start, step.end, step.kind == "delete", step.is_certain)
        read = Read(step.start, step.end, ["a"] if step.kind == "seen" else [], ["a"])
        {"upload": register.uploads, "delete": register.deletions}.get(step.kind, []).append(write)
        {"seen": register.seen, "missed": register.missed}.get(step.kind, []).append(read)
    assert (register.violation() is None) == any(map(is_explanation, possible_orders(steps)))


def possible_orders(steps: list[Step]) -> Iterator[tuple[Step, ...]]:
    """List the orders in which the steps can have taken effect. Uncertain ones may be left out."""
    certain = [step for step in steps if step.is_certain]
    uncertain = [replace(step, end=math.inf) for step in steps if not step.is_certain]
    for count in range(len(uncertain) + 1):
        for chosen in itertools.combinations(uncertain, count):
            for order in itertools.permutations([*certain, *chosen]):
                if all(first.start <= second.end for first, second in itertools.combinations(order, 2)):
                    yield order


def is_explanation(order: tuple[Step, ...]) -> bool:
    """Return whether a garment that is uploaded once and deleted once answers as the steps say."""
    state = "new"
    for step in order:
        match step.kind, state:
            case "upload", "new" | "present":
                state = "present"
            case "delete", "present" | "deleted":
                state = "deleted"
            case ("seen", "present") | ("missed", "new" | "deleted"):
                pass
            case _:
                return False
    return True


@pytest.mark.parametrize("kind", ["upload", "delete"])
def test_empty_history_and_unread_writes_are_correct(kind: str) -> None:
    assert find_violations([], []) == []
    upload = Write(("a",), 0, 1)
    assert find_violations([upload, replace(upload, start=2, end=3, is_deletion=kind == "delete")], []) == []
