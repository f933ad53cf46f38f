"""Check a history of concurrent writes and reads: each read must fit some order of the writes under way.

A garment's name is a register with the states absent, present, absent: it is uploaded under a name that was never used,
and after its deletion nobody uploads it again. So a history is explained by two moments for each garment, at which it
appears and disappears. An acknowledged write takes effect between its start and its end. A write whose outcome is
unknown takes effect at any time after its start, or never. This is linearizability (Herlihy and Wing, 1990), with the
treatment of unknown outcomes that Jepsen uses.

Linearizable registers do not yet make a consistent read of several garments. `_check_reads` adds that each read sees a
set of writes that contains, for each write in it, all writes that had ended before that write began.
"""

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Write:
    """An upload or a deletion of garments. Times are in seconds of one clock."""

    names: tuple[str, ...]
    start: float
    end: float
    is_deletion: bool = False
    is_acknowledged: bool = True
    """False if the outcome is unknown. `end` then means nothing."""

    def __str__(self) -> str:
        kind = "deletion" if self.is_deletion else "upload"
        return f"{kind} from {_time(self.start)} to {_time(self.end)}{'' if self.is_acknowledged else ', unknown'}"


@dataclass(frozen=True, slots=True)
class Read:
    """The garments that one answer showed."""

    start: float
    end: float
    present: Collection[str]
    covers: Container[str]
    """Garments that the answer would show if they were present: what is covered and not shown was absent."""
    label: str = "a read"
    """Names the read in messages."""

    def __str__(self) -> str:
        return f"{self.label} from {_time(self.start)} to {_time(self.end)}"


@dataclass(slots=True)
class Register:
    """Everything that a history contains about one garment."""

    name: str
    uploads: list[Write] = field(default_factory=list)
    deletions: list[Write] = field(default_factory=list)
    seen: list[Read] = field(default_factory=list)
    """Reads that showed the garment."""
    missed: list[Read] = field(default_factory=list)
    """Reads that covered the garment and did not show it."""

    @property
    def first_upload(self) -> float:
        """The earliest moment at which the garment can appear."""
        return min((write.start for write in self.uploads), default=math.inf)

    @property
    def first_deletion(self) -> float:
        """The earliest moment at which the garment can disappear."""
        return min((write.start for write in self.deletions), default=math.inf)

    @property
    def stored_by(self) -> float:
        """The latest moment at which an upload can have taken effect, as far as uploads were acknowledged."""
        return min((write.end for write in self.uploads if write.is_acknowledged), default=math.inf)

    @property
    def deleted_by(self) -> float:
        """The latest moment at which the garment can disappear, as far as deletions were acknowledged."""
        return min((write.end for write in self.deletions if write.is_acknowledged), default=math.inf)

    def violation(self) -> str | None:
        """Return why no two moments explain the history, or `None` if some do."""
        present_by = min(self.stored_by, min((read.end for read in self.seen), default=math.inf))
        # The latest possible moment: it leaves the most reads before it that may have missed the garment, and any
        # earlier one would only move more of them behind it.
        appears = min(present_by, self.deleted_by)
        if appears < self.first_upload:
            return f"{self.name} was there by {_time(appears)}, but its upload {_began(self.first_upload)}"
        missed = min((read for read in self.missed if read.start > appears), key=lambda read: read.end, default=None)
        stored = (write.start for write in self.uploads if write.is_acknowledged)
        present_until = max((*stored, *(read.start for read in self.seen)), default=-math.inf)
        if self.deleted_by < present_until:
            return f"{self.name} was deleted by {_time(self.deleted_by)} and there again after {_time(present_until)}"
        if missed is None or missed.end >= max(self.first_deletion, present_until):
            return None
        fact = f"{self.name} was there by {_time(appears)} and is missing in {missed}"
        if missed.end < self.first_deletion:
            return f"{fact}, but its deletion {_began(self.first_deletion)}"
        return f"{fact}, but was there again after {_time(present_until)}"

    def describe_writes(self) -> str:
        """Return the times of all writes, for messages."""
        return "; ".join(map(str, sorted([*self.uploads, *self.deletions], key=lambda write: write.start)))


def find_violations(writes: Iterable[Write], reads: Sequence[Read]) -> list[str]:
    """Return one message for each part of the history that no order of the writes explains."""
    writes = list(writes)
    registers = build_registers(writes, reads)
    found = [
        f"{message} ({register.describe_writes()})"
        for register in registers.values()
        if (message := register.violation())
    ]
    uploads = [write for write in writes if not write.is_deletion]
    return [*found, *_check_reads(registers, reads), *_check_atomicity(uploads, registers)]


def build_registers(writes: Iterable[Write], reads: Sequence[Read]) -> dict[str, Register]:
    """Sort a history by garment. A garment that was shown and never uploaded has a register, too."""
    registers: dict[str, Register] = {}
    for write in writes:
        for name in write.names:
            register = registers.setdefault(name, Register(name))
            (register.deletions if write.is_deletion else register.uploads).append(write)
    for read in reads:
        for name in read.present:
            registers.setdefault(name, Register(name)).seen.append(read)
    _add_missed(registers, sorted(reads, key=lambda read: read.start))
    return registers


def _add_missed(registers: dict[str, Register], reads: Sequence[Read]) -> None:
    """Fill `Register.missed`. `reads` are ordered by their start.

    Leaves out reads that ended before the first upload or began after an acknowledged deletion: they say nothing new.
    """
    starts = [read.start for read in reads]
    longest = max((read.end - read.start for read in reads), default=0.0)
    for name, register in registers.items():
        first, last = register.first_upload, register.deleted_by
        near = reads[bisect_left(starts, first - longest) : bisect_right(starts, last)]
        register.missed = [
            read for read in near if read.end >= first and name in read.covers and name not in read.present
        ]


def _check_reads(registers: dict[str, Register], reads: Sequence[Read]) -> Iterator[str]:
    """Check that no read shows a write and misses one that had ended before it began.

    A read may leave out what is deleted while its answer is assembled. So a missing garment does not prove that the
    read saw the deletion.
    """
    shown: dict[int, tuple[float, str]] = defaultdict(lambda: (-math.inf, ""))
    unseen: dict[int, tuple[float, str]] = defaultdict(lambda: (math.inf, ""))
    for name, register in registers.items():
        for read in register.seen:
            shown[id(read)] = max(shown[id(read)], (register.first_upload, f"the upload of {name}"))
            unseen[id(read)] = min(unseen[id(read)], (register.deleted_by, f"the deletion of {name}"))
        for read in register.missed:
            if register.first_deletion > read.end:
                unseen[id(read)] = min(unseen[id(read)], (register.stored_by, f"the upload of {name}"))
    for read in reads:
        (began, later), (ended, earlier) = shown[id(read)], unseen[id(read)]
        if ended < began:
            yield (
                f"{read} shows {later}, which began at {_time(began)}, "
                f"and not {earlier}, which had ended at {_time(ended)}"
            )


def _check_atomicity(uploads: Iterable[Write], registers: dict[str, Register]) -> Iterator[str]:
    """Check that no read shows only a part of an upload, unless a deletion had begun."""
    for upload in uploads:
        parts = [registers[name] for name in upload.names]
        seen = {id(read): read for part in parts for read in part.seen}
        for part in parts:
            for read in part.missed:
                if id(read) in seen and part.first_deletion > read.end:
                    yield f"{read} shows only a part of the upload of {', '.join(upload.names)}: {part.name} is missing"


def _time(moment: float) -> str:
    return f"{moment:.3f} s"


def _began(moment: float) -> str:
    return "never began" if moment == math.inf else f"began at {_time(moment)}"
