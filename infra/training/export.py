"""Export the trained networks as ONNX files with float16 weights, which onnxruntime converts to float32 at loading."""

import argparse
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from infra.training.boxes import DISTANCE_UNIT, to_distances
from infra.training.detector import CANVAS
from infra.training.embedder import LABELS, SIDE
from infra.training.labels import CLASSES, FOLDERS
from infra.training.network import DetectorNetwork, EmbedderTraining

Network = TypeVar("Network", bound=nn.Module)


class DetectorGraph(nn.Module):
    """The detector as exported: with probabilities instead of logits, for one photo."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map a uint8 photo (1, H, W, 3) to class probabilities, photo scores and edge distances.

        Shapes: (classes, H/4, W/4), (11,) and (4, H/8, W/8), in pixels.
        """
        logits, photo, edges = self.network(pixels)
        return logits.softmax(1)[0], photo.sigmoid()[0], to_distances(edges)[0] * DISTANCE_UNIT


def store_as_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store large float32 initializers as float16, each with a Cast node, in place.

    onnxruntime folds the Cast nodes at loading, so the network computes in float32.
    """
    floats = [tensor for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT]
    large = [tensor for tensor in floats if np.prod(tensor.dims) > 64]
    for number, tensor in enumerate(large):
        half = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), f"half_{number}")
        cast = helper.make_node("Cast", [half.name], [tensor.name], to=TensorProto.FLOAT)
        model.graph.initializer.remove(tensor)
        model.graph.initializer.append(half)
        model.graph.node.insert(0, cast)
    return model


def strip_metadata(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove the exporter's notes on the origin of each node, which contain paths, in place."""
    del model.metadata_props[:], model.graph.metadata_props[:], model.graph.value_info[:]
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    return model


def write(network: nn.Module, example: Tensor, outputs: list[str], path: Path) -> None:
    """Export the network to `path` atomically.

    Height and width are dynamic if the example has a batch of one; otherwise the batch size is.
    """
    partial = path.with_suffix(".part")
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
    onnx.save(store_as_float16(strip_metadata(program.model_proto)), partial)
    onnx.checker.check_model(str(partial))
    partial.replace(path)


def load_averaged(network: Network, checkpoint: Path) -> Network:
    """Load the averaged weights of a checkpoint into the network, in evaluation mode."""
    network.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True)["average"])
    return network.eval()


def bank_size(checkpoint: Path) -> int:
    """Return the number of garments in the checkpoint's memory bank."""
    return len(torch.load(checkpoint, map_location="cpu", weights_only=True)["average"]["bank"])


def export_detector(checkpoint: Path, path: Path) -> None:
    """Export the detector of a checkpoint."""
    graph = DetectorGraph(load_averaged(DetectorNetwork(len(CLASSES)), checkpoint))
    example = torch.zeros(1, *CANVAS, 3, dtype=torch.uint8)
    write(graph, example, ["classes", "photo", "edges"], path)


def export_embedder(checkpoint: Path, path: Path) -> None:
    """Export the embedder of a checkpoint, without the parts that only training needs."""
    training = load_averaged(EmbedderTraining(len(FOLDERS), LABELS, bank_size(checkpoint)), checkpoint)
    example = torch.zeros(2, SIDE, SIDE, 4, dtype=torch.uint8)
    write(training.embedder, example, ["category", "garment"], path)


def main() -> None:
    """Export the networks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder of the checkpoints")
    parser.add_argument("--weights", type=Path, required=True, help="folder to write to")
    parser.add_argument("--only", choices=("detector", "embedder"))
    options = parser.parse_args()
    for name, export in (("detector", export_detector), ("embedder", export_embedder)):
        if options.only in (None, name):
            export(options.work / f"{name}.pt", options.weights / f"{name}.onnx")


if __name__ == "__main__":
    main()
