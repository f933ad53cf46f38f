"""Models in use, and what a change to others would need."""

from collections.abc import Sequence
from dataclasses import dataclass

from lookalike.domain.ports import SecondaryVectors


@dataclass(frozen=True, slots=True)
class EmbedderChoice:
    """An embedder, and the settings that choose it."""

    models: str
    embedder: str
    name: str
    """Name that is stored with its vectors."""
    dim: int


@dataclass(frozen=True, slots=True)
class EmbedderState:
    """An embedder with the number of garments that have no vector of it, so that its searches would not find them."""

    choice: EmbedderChoice
    missing: int


@dataclass(frozen=True, slots=True)
class ModelOverview:
    """Counts what each embedder lacks. The first of `choices` is in use."""

    vectors: SecondaryVectors
    choices: Sequence[EmbedderChoice]

    def read(self) -> tuple[int, list[EmbedderState]]:
        """Return the number of all garments, and the state of each embedder, the one in use first."""
        states = [EmbedderState(choice, self.vectors.count_missing_vectors(choice.name)) for choice in self.choices]
        return self.vectors.count_segments(), states
