"""Write the trained networks as ONNX files: float16 weights, made float32 as they are loaded."""

import argparse
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from infra.training.boxes import UNIT, to_distances
from infra.training.data import CLASSES, FOLDERS
from infra.training.detector import CANVAS
from infra.training.embedder import LABELS, SIDE
from infra.training.network import DetectorNetwork, EmbedderNetwork, EmbedderTraining

Network = TypeVar("Network", bound=nn.Module)


class DetectorGraph(nn.Module):
    """uint8 (1, H, W, 3) -> probabilities (classes, H/4, W/4) and (11,), distances in pixels (4, H/8, W/8).

    All are means with those of the mirrored photo.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, photo, edges = self.network(torch.cat([pixels, pixels.flip(2)]))
        likely, far = logits.softmax(1), to_distances(edges) * UNIT
        left, top, right, bottom = far[1].flip(2)
        mirrored = torch.stack([right, top, left, bottom])
        return (likely[0] + likely[1].flip(2)) / 2, photo.sigmoid().mean(0), (far[0] + mirrored) / 2


class EmbedderGraph(nn.Module):
    """uint8 (n, H, W, 4) -> unit rows (n, 64) of category and (n, 128) of garment, mean with the mirror's."""

    def __init__(self, network: EmbedderNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        once, again = self.network(pixels), self.network(pixels.flip(2))
        category, garment = once[0] + again[0], once[1] + again[1]
        return functional.normalize(category, dim=1), functional.normalize(garment, dim=1)


def halve(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store large float32 initialisers as float16, with a Cast that the runtime folds at loading."""
    floats = [part for part in model.graph.initializer if part.data_type == TensorProto.FLOAT]
    large = [part for part in floats if np.prod(part.dims) > 64]
    for number, part in enumerate(large):
        half = numpy_helper.from_array(numpy_helper.to_array(part).astype(np.float16), f"half_{number}")
        cast = helper.make_node("Cast", [half.name], [part.name], to=TensorProto.FLOAT)
        model.graph.initializer.remove(part)
        model.graph.initializer.append(half)
        model.graph.node.insert(0, cast)
    return model


def bare(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without what the exporter notes of where each node comes from."""
    del model.metadata_props[:], model.graph.metadata_props[:], model.graph.value_info[:]
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    return model


def write(network: nn.Module, example: Tensor, outputs: list[str], path: Path) -> None:
    """Export to `path`, whole or not at all: sides are free for one example, else the number is."""
    fresh = path.with_suffix(".part")
    height, width = torch.export.Dim("height", min=32, max=4096), torch.export.Dim("width", min=32, max=4096)
    shape = {1: height, 2: width} if len(example) == 1 else {0: torch.export.Dim("number", min=1, max=64)}
    program = torch.onnx.export(
        network.eval(),
        (example,),
        input_names=["pixels"],
        output_names=outputs,
        dynamic_shapes=(shape,),
        dynamo=True,
    )
    assert program is not None
    program.optimize()
    onnx.save(halve(bare(program.model_proto)), fresh)
    onnx.checker.check_model(str(fresh))
    fresh.replace(path)


def averaged(network: Network, checkpoint: Path) -> Network:
    """The network with the averaged weights of a checkpoint."""
    network.load_state_dict(torch.load(checkpoint, weights_only=True)["average"])
    return network.eval()


def garments_in(checkpoint: Path) -> int:
    """How many garments the training's bank held."""
    return len(torch.load(checkpoint, weights_only=True)["average"]["bank"])


def export_detector(checkpoint: Path, path: Path) -> None:
    graph = DetectorGraph(averaged(DetectorNetwork(len(CLASSES)), checkpoint))
    example = torch.zeros(1, *CANVAS, 3, dtype=torch.uint8)
    write(graph, example, ["classes", "photo", "edges"], path)


def export_embedder(checkpoint: Path, path: Path) -> None:
    training = averaged(EmbedderTraining(len(FOLDERS), LABELS, garments_in(checkpoint)), checkpoint)
    example = torch.zeros(2, SIDE, SIDE, 4, dtype=torch.uint8)
    write(EmbedderGraph(training.embedder), example, ["category", "garment"], path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="where the checkpoints are")
    parser.add_argument("--weights", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--only", choices=("detector", "embedder"))
    chosen = parser.parse_args()
    for name, export in (("detector", export_detector), ("embedder", export_embedder)):
        if chosen.only in (None, name):
            export(chosen.work / f"{name}.pt", chosen.weights / f"{name}.onnx")


if __name__ == "__main__":
    main()
