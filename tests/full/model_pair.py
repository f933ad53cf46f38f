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
from lookalike.adapters.grounding_dino.config import ModelConfig
from lookalike.adapters.grounding_dino.network import EncoderOutput, GroundingDino, Queries
from lookalike.adapters.grounding_dino.text import Prompt, Tokenizer
from lookalike.adapters.weights import DETECTOR, VOCABULARY
from tests.full import reference_models

PROMPT = "red shirt . shoes . a dress . hat ."


@dataclass(frozen=True)
class ReferenceStages:
    """What went through the package's network, with the names and shapes of ours."""

    text_features: Tensor
    maps: list[Tensor]
    encoder_output: EncoderOutput
    queries: Queries
    logits: Tensor
    boxes: Tensor


@dataclass
class ModelPair:
    """`theirs` and the checkpoint from which ours come."""

    shape: ModelConfig
    reference: GroundingDINO
    checkpoint: Path
    vocabulary: Path

    @classmethod
    def make(cls, shape: ModelConfig, folder: Path) -> "ModelPair":
        theirs = reference_models.make_detector(shape, folder)
        return cls(shape, theirs, reference_models.save_detector(theirs, folder / "made-up.pth"), folder / "vocab.txt")

    @classmethod
    def load(cls, shape: ModelConfig, weights: Path) -> "ModelPair":
        with tempfile.TemporaryDirectory() as text:
            theirs = reference_models.make_detector(shape, Path(text))
        there = torch.load(weights / DETECTOR.name, weights_only=True)["model"]
        theirs.load_state_dict(clean_state_dict(there))
        return cls(shape, theirs, weights / DETECTOR.name, weights / VOCABULARY.name)

    @property
    def tokenizer(self) -> Tokenizer:
        return Tokenizer(self.vocabulary)

    @property
    def prompt(self) -> Prompt:
        return self.tokenizer.tokenize(PROMPT)

    def build(self, dtype: torch.dtype = torch.float32) -> GroundingDino:
        return pytorch.load_network(lambda: GroundingDino(self.shape), self.checkpoint, "model").prepare(dtype)

    @torch.inference_mode()
    def run_reference(self, pixels: Tensor) -> ReferenceStages:
        transformer = self.reference.transformer
        watched = {"text": self.reference.feat_map, "all": transformer, "encoder": transformer.encoder}
        with record_calls(watched | {"decoder": transformer.decoder}) as seen:
            said = self.reference(pixels, captions=[self.prompt.text] * len(pixels))
        maps, (cells, words), decoder = seen["all"][0][0], seen["encoder"][2], seen["decoder"][1]
        sizes = tuple((one.shape[2], one.shape[3]) for one in maps)
        queries = Queries(decoder["tgt"].transpose(0, 1), decoder["refpoints_unsigmoid"].transpose(0, 1))
        fits = said["pred_logits"][..., : words.shape[1]]
        return ReferenceStages(
            seen["text"][2][0], maps, EncoderOutput(cells, words, sizes), queries, fits, said["pred_boxes"]
        )


@contextmanager
def record_calls(modules: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The arguments, named arguments and result of each module's last call."""
    seen: dict[str, Any] = {}

    def watch(name: str) -> Any:
        return lambda module, args, named, result: seen.__setitem__(name, (args, named, result))

    hooks = [module.register_forward_hook(watch(name), with_kwargs=True) for name, module in modules.items()]
    yield seen
    for hook in hooks:
        hook.remove()


def relative_difference(one: Tensor, other: Tensor) -> float:
    """Relative L2 norm of the difference."""
    return float((one.float() - other.float()).norm() / other.float().norm())
