"""`make bench-full`: the full models and the packages that they come from, measured in one run on one machine.

Weights are random, in the published shapes, so nothing is downloaded. The computation takes as long as with the published
weights. Both sides get the same weights and the same input, and run on the GPU if there is one.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from threading import Lock

import torch
from groundingdino.util.utils import clean_state_dict
from PIL import Image
from torch import Tensor

from lookalike.adapters.crops import CropEmbedder
from lookalike.adapters.grounding_dino.config import SWIN_T
from lookalike.adapters.grounding_dino.detector import GroundingDinoDetector
from lookalike.adapters.pytorch import Engine
from lookalike.adapters.resnet50 import open_network
from lookalike.adapters.weights import DETECTOR, RESNET50, VOCABULARY
from lookalike.bootstrap.full_models import GPU_BATCH_WAIT
from lookalike.domain.cancel import CancelToken
from tests.benchmarks.report import Report, add_option, write_reports
from tests.e2e.server import Server
from tests.full import reference_models
from tests.full.model_pair import PROMPT, ModelPair
from tests.full.serving import full_model_settings, measure_cancellations

PACKAGES = ("torch", "torchvision", "rf-groundingdino", "transformers", "numpy", "pillow")
HEIGHT, WIDTH = 800, 1066
"""Pixels of the detector's input."""
CROPS = 16
"""Crops of a batch."""
CLIENTS = 64
"""Concurrent requests."""
GPU_BATCH = 8
"""Photos of a batch that is measured on a GPU only."""
TABLE = Report("full-models", ("measured", "lookalike, ms", "compared with, ms", "ratio"))
WARM_UP_PROGRAM = """
from lookalike.bootstrap import services
services().models.warm_up()
"""


def median_seconds(call: Callable[[], object], times: int) -> float:
    """Return the median seconds of a call, after one warm-up call."""
    call()
    return median(time_call(call) for _ in range(times))


def time_call(call: Callable[[], object]) -> float:
    """Return the seconds of one call, including the work that it leaves to the GPU."""
    start = time.perf_counter()
    call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def add_row(label: str, seconds: float, compared_seconds: float) -> None:
    """Print and record a comparison. The label names what lookalike does, then what it is compared with."""
    ratio = compared_seconds / seconds
    print(f"{label:<82}{seconds * 1000:14,.0f}{compared_seconds * 1000:19,.0f}{ratio:8.1f}", flush=True)
    TABLE.add(label, f"{seconds * 1000:,.0f}", f"{compared_seconds * 1000:,.0f}", f"{ratio:.1f}")


def dtype_name(dtype: torch.dtype) -> str:
    """Return the name of a data type without its module."""
    return str(dtype).removeprefix("torch.")


def compare_detection(pair: ModelPair, engine: Engine, times: int) -> None:
    """Compare the network with rf-groundingdino's, in the engine's data type and in float32."""
    pixels = torch.randn(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1)).to(engine.device)
    reference = pair.reference.to(engine.device)
    autocast_dtype = torch.bfloat16 if engine.dtype == torch.float32 else engine.dtype

    def run_reference() -> object:
        return reference(pixels, captions=[pair.prompt.text])

    float32_seconds = median_seconds(run_reference, times)
    with torch.autocast(engine.device.type, autocast_dtype):
        autocast_seconds = median_seconds(run_reference, times)
    # a dict removes the duplicate of an engine that computes in float32
    for dtype in dict.fromkeys((engine.dtype, torch.float32)):
        label = f"detection, {HEIGHT} × {WIDTH}, {dtype_name(dtype)}"
        seconds = time_network(pair, engine, pixels.to(dtype), times)
        add_row(f"{label}; the package's float32", seconds, float32_seconds)
        if dtype == engine.dtype:
            add_row(f"{label}; the package's {dtype_name(autocast_dtype)} autocast", seconds, autocast_seconds)
        if engine.on_gpu:
            batch_seconds = time_network(pair, engine, pixels.to(dtype).repeat(GPU_BATCH, 1, 1, 1), times)
            batch_label = f"{label}, each photo of a batch of {GPU_BATCH}"
            add_row(f"{batch_label}; the package's float32", batch_seconds / GPU_BATCH, float32_seconds)
    reference.cpu()


def time_network(pair: ModelPair, engine: Engine, pixels: Tensor, times: int) -> float:
    """Return the median seconds of lookalike's network for photos (b, 3, h, w), in their data type."""
    network = pair.build(pixels.dtype)
    # the text is encoded before the network moves to the device, as the detector does it
    text = network.encode_prompt(pair.prompt).to(engine.device)
    network = network.to(engine.device)
    return median_seconds(lambda: network(pixels, text, lambda: None), times)


def compare_photo_to_garments(pair: ModelPair, weights: Path, engine: Engine, times: int) -> None:
    """Compare the detector with the original system, which loads its model for each request."""
    photo = Image.effect_noise((1200, 1600), 60).convert("RGB")
    pixels = torch.randn(1, 3, HEIGHT, WIDTH, device=engine.device)
    detector = GroundingDinoDetector(weights / DETECTOR.name, weights / VOCABULARY.name, engine, Lock(), PROMPT)
    with tempfile.TemporaryDirectory() as folder:
        text_encoder = reference_models.save_text_encoder(pair.config, Path(folder))

        def run_original() -> None:
            network = reference_models.build_detector(pair.config, text_encoder)
            checkpoint = torch.load(weights / DETECTOR.name, map_location="cpu", weights_only=True)
            network.load_state_dict(clean_state_dict(checkpoint["model"]), strict=False)
            network.to(engine.device)(pixels, captions=[pair.prompt.text])

        # the first call reads the files into the page cache
        run_original()
        original_seconds = time_call(run_original)
    seconds = median_seconds(lambda: detector.detect(photo, CancelToken()), times)
    label = "a photo to garments; the original's way, which loads its model for each request"
    add_row(label, seconds, original_seconds)


def compare_embedding(weights: Path, engine: Engine, times: int) -> None:
    """Compare the ResNet50 with torchvision's."""
    reference = reference_models.make_resnet50().to(engine.device)
    reference.fc = torch.nn.Identity()
    pixels = torch.randn(CROPS, 3, 224, 224, generator=torch.Generator().manual_seed(1)).to(engine.device)
    reference_seconds = median_seconds(lambda: reference(pixels), times)
    network = open_network(weights / RESNET50.name, engine)
    network_pixels: Tensor = pixels.to(engine.dtype).contiguous(memory_format=torch.channels_last)
    seconds = median_seconds(lambda: network(network_pixels, lambda: None), times)
    label = f"ResNet50, {CROPS} crops in a batch, {dtype_name(engine.dtype)}; torchvision's eager float32"
    add_row(label, seconds, reference_seconds)


def compare_concurrency(weights: Path, engine: Engine) -> None:
    """Compare concurrent requests, which share batches, with the same requests one after the other."""
    network, max_delay = open_network(weights / RESNET50.name, engine), GPU_BATCH_WAIT if engine.on_gpu else 0
    embedder = CropEmbedder(network, "random-weights", 2048, engine, Lock(), max_delay)
    crops = [Image.effect_noise((300, 400), 60 + number).convert("RGB") for number in range(CLIENTS)]
    embedder.embed(crops, CancelToken())
    sequential = time_call(lambda: [embedder.embed([crop], CancelToken()) for crop in crops])
    with ThreadPoolExecutor(CLIENTS) as pool:
        concurrent = time_call(lambda: list(pool.map(lambda crop: embedder.embed([crop], CancelToken()), crops)))
    add_row(f"{CLIENTS} clients with a crop each at once; one after the other", concurrent, sequential)


def measure_start(weights: Path) -> None:
    """Print the time from the start of a process to warm models, and that of its steps from the log."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, **full_model_settings(weights), "LOOKALIKE_HOME": home}
        command = [sys.executable, "-c", WARM_UP_PROGRAM]
        start = time.perf_counter()
        process = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True)
        seconds = time.perf_counter() - start
    if process.returncode:
        raise RuntimeError(f"the process did not start:\n{process.stderr}")
    lines = [json.loads(line) for line in (process.stdout + process.stderr).splitlines() if line.startswith("{")]
    steps = next(line["steps"] for line in lines if "steps" in line)
    warm_up = next(line["seconds"] for line in lines if line["message"] == "Models warm")
    print(f"from the start of a process to warm models: {seconds:.2f} s")
    print(", ".join(f"{name} {value:.2f}" for name, value in {**steps, "first inference": warm_up}.items()))


def measure_cancellation(weights: Path, times: int = 20) -> None:
    """Print how soon the processor is free after a detection of many seconds is canceled through another process."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), full_model_settings(weights), timeout=120).start()
        other = Server(Path(folder), {"REINDEX_EVERY": "0"}).start()
        try:
            delays = measure_cancellations(server, other, times)
        finally:
            server.stop()
            other.stop()
    print(f"from the response to a cancellation in another process until the processor is free ({times} times):")
    print(f"median {median(delays):.2f} s, 95 % within {quantiles(delays, n=20)[-1]:.2f} s")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=3, help="timed calls of each kind")
    add_option(parser)
    options = parser.parse_args()
    times = options.times
    warnings.simplefilter("ignore")
    engine = Engine.start()
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    print(f"{platform.machine()}, {os.cpu_count()} cores, {engine}, Python {platform.python_version()}; {versions}")
    with torch.inference_mode(), tempfile.TemporaryDirectory() as folder:
        weights = reference_models.write_weights(Path(folder))
        pair = ModelPair.load(SWIN_T, weights)
        measure_start(weights)
        print(f"\n{TABLE.columns[0]:<82}" + "{:>14}{:>19}{:>8}".format(*TABLE.columns[1:]))
        compare_detection(pair, engine, times)
        compare_photo_to_garments(pair, weights, engine, times)
        compare_embedding(weights, engine, times)
        compare_concurrency(weights, engine)
        print()
        measure_cancellation(weights)
    if options.write_docs:
        write_reports([TABLE], PACKAGES)


if __name__ == "__main__":
    main()
