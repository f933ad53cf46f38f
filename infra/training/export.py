"""Export the trained networks as ONNX files that compute with eight-bit numbers."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from PIL import Image
from torch import Tensor, nn

from infra.training.boxes import DISTANCE_UNIT, to_distances
from infra.training.data import Bytes, Photographs, load_photographs, make_parser
from infra.training.detector import CANVAS
from infra.training.embedder import LABELS, SIDE
from infra.training.evaluate_search import cut_out_garments
from infra.training.labels import CLASSES, FOLDERS
from infra.training.network import DetectorNetwork, EmbedderTraining
from lookalike.adapters.compact_detector import CompactDetector, network_input
from lookalike.adapters.compact_embedder import fit_on_canvas

STREET_CALIBRATION_PHOTOS, FLAT_CALIBRATION_PHOTOS = 40, 40
"""Training photos whose activations set the ranges of the eight-bit numbers."""


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


class CalibrationInputs(CalibrationDataReader):
    """Inputs of the network, whose activations set the ranges of the eight-bit numbers."""

    def __init__(self, inputs: Iterable[NDArray[np.uint8]]) -> None:
        self.inputs = iter(inputs)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """Return the next input, or `None` after the last one."""
        pixels = next(self.inputs, None)
        return None if pixels is None else {"pixels": pixels}


def quantize(model: Path, inputs: Iterable[NDArray[np.uint8]], path: Path) -> None:
    """Write the network with eight-bit weights and activations (static quantization of onnxruntime)."""
    prepared = path.with_suffix(".prepared.onnx")
    quant_pre_process(str(model), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared),
        str(path),
        CalibrationInputs(inputs),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "Gemm", "Add", "Clip", "Relu", "Resize"],
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        # seven bits: products of eight bits overflow on CPUs without VNNI
        reduce_range=True,
    )
    prepared.unlink()


def strip_metadata(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove the exporter's notes on the origin of each node, which contain paths, in place."""
    del model.metadata_props[:], model.graph.metadata_props[:], model.graph.value_info[:]
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    return model


def write(
    network: nn.Module, example: Tensor, outputs: list[str], inputs: Iterable[NDArray[np.uint8]], path: Path
) -> None:
    """Export the network with eight-bit numbers to `path` atomically. `inputs` set their ranges.

    Height and width are dynamic if the example has a batch of one; otherwise the batch size is.
    """
    exact, partial = path.with_suffix(".exact.onnx"), path.with_suffix(".part")
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
    onnx.save(program.model_proto, exact)
    quantize(exact, inputs, partial)
    onnx.save(strip_metadata(onnx.load(partial)), partial)
    onnx.checker.check_model(str(partial))
    partial.replace(path)
    exact.unlink()


def mean_weights(checkpoints: Sequence[Path]) -> dict[str, Tensor]:
    """Return the mean of the averaged weights of several trainings that started from the same weights.

    It often generalizes better than each of them (Wortsman et al., 2022).
    """
    states = [torch.load(checkpoint, map_location="cpu", weights_only=True)["average"] for checkpoint in checkpoints]
    return {name: torch.stack([state[name].float() for state in states]).mean(0) for name in states[0]}


def export_detector(weights: dict[str, Tensor], photographs: Photographs, path: Path) -> None:
    """Export the detector with these weights."""
    network = DetectorNetwork(len(CLASSES))
    network.load_state_dict(weights)
    example = torch.zeros(1, *CANVAS, 3, dtype=torch.uint8)
    inputs = (network_input(Image.fromarray(photo))[None] for photo in calibration_photos(photographs))
    write(DetectorGraph(network), example, ["classes", "photo", "edges"], inputs, path)


def export_embedder(
    weights: dict[str, Tensor], photographs: Photographs, detector: CompactDetector, path: Path
) -> None:
    """Export the embedder with these weights, without the parts that only training needs."""
    training = EmbedderTraining(len(FOLDERS), LABELS, len(weights["bank"]))
    training.load_state_dict(weights)
    example = torch.zeros(2, SIDE, SIDE, 4, dtype=torch.uint8)
    cut_outs = cut_out_garments(detector, calibration_photos(photographs))
    inputs = (fit_on_canvas(cut_out)[None] for cut_out in cut_outs)
    write(training.embedder, example, ["category", "garment"], inputs, path)


def calibration_photos(photographs: Photographs) -> list[Bytes]:
    """Return photos of both training parts, evenly spaced."""
    parts = (photographs.street, STREET_CALIBRATION_PHOTOS), (photographs.flat, FLAT_CALIBRATION_PHOTOS)
    return [sample.image for samples, count in parts for sample in samples[:: len(samples) // count][:count]]


def main() -> None:
    """Export the networks."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--weights", type=Path, required=True, help="folder to write to")
    for name in ("detector", "embedder"):
        help_text = f"checkpoints of the {name}, of which the mean is exported; without one, the file stays as it is"
        parser.add_argument(f"--{name}", type=Path, nargs="+", metavar="CHECKPOINT", help=help_text)
    options = parser.parse_args()
    if not (options.detector or options.embedder):
        parser.error("give --detector, --embedder or both")
    photographs = load_photographs(options.data, options.work)
    detector = options.weights / "detector.onnx"
    if options.detector:
        export_detector(mean_weights(options.detector), photographs, detector)
    if options.embedder:
        embedder = options.weights / "embedder.onnx"
        export_embedder(mean_weights(options.embedder), photographs, CompactDetector(detector), embedder)


if __name__ == "__main__":
    main()
