"""The package's network and ours with the same weights, and what goes through the package's stages."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from groundingdino.models.GroundingDINO.groundingdino import GroundingDINO
from groundingdino.util.utils import clean_state_dict
from torch import Tensor

from lookalike.adapters import pytorch
from lookalike.adapters.grounding_dino.network import Encoded, GroundingDino, Queries
from lookalike.adapters.grounding_dino.shape import Shape
from lookalike.adapters.grounding_dino.text import Prompt, Words
from lookalike.adapters.weights import DETECTOR, VOCABULARY
from tests.full import oracle

PROMPT = "red shirt . shoes . a dress . hat ."


@dataclass(frozen=True)
class Stages:
    """What went through the package's network, with the names and shapes of ours."""

    words: Tensor
    maps: list[Tensor]
    encoded: Encoded
    queries: Queries
    fits: Tensor
    boxes: Tensor


@dataclass
class Pair:
    """`theirs` and the checkpoint from which ours come."""

    shape: Shape
    theirs: GroundingDINO
    checkpoint: Path
    vocabulary: Path

    @classmethod
    def make(cls, shape: Shape, folder: Path) -> "Pair":
        theirs = oracle.make(shape, folder)
        return cls(shape, theirs, oracle.save(theirs, folder / "made-up.pth"), folder / "vocab.txt")

    @classmethod
    def of(cls, shape: Shape, weights: Path) -> "Pair":
        with tempfile.TemporaryDirectory() as text:
            theirs = oracle.make(shape, Path(text))
        there = torch.load(weights / DETECTOR.name, weights_only=True)["model"]
        theirs.load_state_dict(clean_state_dict(there))
        return cls(shape, theirs, weights / DETECTOR.name, weights / VOCABULARY.name)

    @property
    def words(self) -> Words:
        return Words(self.vocabulary)

    @property
    def prompt(self) -> Prompt:
        return self.words.prompt(PROMPT)

    def ours(self, dtype: torch.dtype = torch.float32) -> GroundingDino:
        return pytorch.load(lambda: GroundingDino(self.shape), self.checkpoint, "model").prepare(dtype)

    @torch.inference_mode()
    def stages(self, pixels: Tensor) -> Stages:
        transformer = self.theirs.transformer
        watched = {"text": self.theirs.feat_map, "all": transformer, "encoder": transformer.encoder}
        with watching(watched | {"decoder": transformer.decoder}) as seen:
            said = self.theirs(pixels, captions=[self.prompt.text] * len(pixels))
        maps, (cells, words), decoder = seen["all"][0][0], seen["encoder"][2], seen["decoder"][1]
        sizes = tuple((one.shape[2], one.shape[3]) for one in maps)
        queries = Queries(decoder["tgt"].transpose(0, 1), decoder["refpoints_unsigmoid"].transpose(0, 1))
        fits = said["pred_logits"][..., : words.shape[1]]
        return Stages(seen["text"][2][0], maps, Encoded(cells, words, sizes), queries, fits, said["pred_boxes"])


@contextmanager
def watching(modules: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The arguments, named arguments and result of each module's last call."""
    seen: dict[str, Any] = {}

    def watch(name: str) -> Any:
        return lambda module, args, named, result: seen.__setitem__(name, (args, named, result))

    hooks = [module.register_forward_hook(watch(name), with_kwargs=True) for name, module in modules.items()]
    yield seen
    for hook in hooks:
        hook.remove()


def apart(one: Tensor, other: Tensor) -> float:
    """Relative L2 norm of the difference."""
    return float((one.float() - other.float()).norm() / other.float().norm())
