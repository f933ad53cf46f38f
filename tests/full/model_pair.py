"""GroundingDINO of the reference package and of lookalike with the same weights, for comparing them stage by stage."""

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
    """Outputs of the reference network's stages, in the shapes of lookalike's network."""

    text_features: Tensor
    maps: list[Tensor]
    encoder_output: EncoderOutput
    queries: Queries
    logits: Tensor
    boxes: Tensor


@dataclass
class ModelPair:
    """The reference network, and the checkpoint from which lookalike's network is built."""

    config: ModelConfig
    reference: GroundingDINO
    checkpoint: Path
    vocabulary: Path

    @classmethod
    def make(cls, config: ModelConfig, folder: Path) -> "ModelPair":
        """Create a reference network with random weights and save its checkpoint in the folder."""
        reference = reference_models.make_detector(config, folder)
        checkpoint = reference_models.save_detector(reference, folder / "random.pth")
        return cls(config, reference, checkpoint, folder / "vocab.txt")

    @classmethod
    def load(cls, config: ModelConfig, weights: Path) -> "ModelPair":
        """Load the reference network from the checkpoint in the folder `weights`."""
        with tempfile.TemporaryDirectory() as text_folder:
            reference = reference_models.make_detector(config, Path(text_folder))
        state_dict = torch.load(weights / DETECTOR.name, weights_only=True)["model"]
        reference.load_state_dict(clean_state_dict(state_dict))
        return cls(config, reference, weights / DETECTOR.name, weights / VOCABULARY.name)

    @property
    def tokenizer(self) -> Tokenizer:
        """Tokenizer with the vocabulary of both networks."""
        return Tokenizer(self.vocabulary)

    @property
    def prompt(self) -> Prompt:
        """The tokenized prompt of the comparisons."""
        return self.tokenizer.tokenize(PROMPT)

    def build(self, dtype: torch.dtype = torch.float32) -> GroundingDino:
        """Build lookalike's network from the checkpoint."""
        return pytorch.load_network(lambda: GroundingDino(self.config), self.checkpoint, "model").prepare(dtype)

    @torch.inference_mode()
    def run_reference(self, pixels: Tensor) -> ReferenceStages:
        """Run the reference network on normalized photos (b, 3, h, w) and return the outputs of its stages."""
        transformer = self.reference.transformer
        modules = {
            "text": self.reference.feat_map,
            "transformer": transformer,
            "encoder": transformer.encoder,
            "decoder": transformer.decoder,
        }
        with record_calls(modules) as calls:
            output = self.reference(pixels, captions=[self.prompt.text] * len(pixels))
        maps = calls["transformer"].args[0]
        cells, tokens = calls["encoder"].result
        decoder_inputs = calls["decoder"].kwargs
        sizes = tuple((level.shape[2], level.shape[3]) for level in maps)
        # the reference decoder has the batch in the second dimension
        queries = Queries(decoder_inputs["tgt"].transpose(0, 1), decoder_inputs["refpoints_unsigmoid"].transpose(0, 1))
        # the reference pads the logits to 256 tokens
        logits = output["pred_logits"][..., : tokens.shape[1]]
        encoder_output = EncoderOutput(cells, tokens, sizes)
        return ReferenceStages(calls["text"].result[0], maps, encoder_output, queries, logits, output["pred_boxes"])


@dataclass(frozen=True)
class Call:
    """Arguments and result of one call of a module."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any


@contextmanager
def record_calls(modules: dict[str, Any]) -> Iterator[dict[str, Call]]:
    """Record the last call of each module, by name."""
    calls: dict[str, Call] = {}

    def recorder(name: str) -> Any:
        return lambda module, args, kwargs, result: calls.__setitem__(name, Call(args, kwargs, result))

    hooks = [module.register_forward_hook(recorder(name), with_kwargs=True) for name, module in modules.items()]
    yield calls
    for hook in hooks:
        hook.remove()


def relative_difference(actual: Tensor, expected: Tensor) -> float:
    """Return the L2 norm of the difference over that of the expected tensor."""
    return float((actual.float() - expected.float()).norm() / expected.float().norm())
