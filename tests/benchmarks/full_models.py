"""`make bench-full`: the full models beside the packages that they come from, in one run on one machine.

Made-up weights of the published shapes (no download), which compute exactly as long as the published ones. What is compared
gets the same weights and the same input. On a GPU, ours runs there and so does the package.
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
from tests.e2e.serving import Server
from tests.full import reference_models
from tests.full.model_pair import PROMPT, ModelPair
from tests.full.serving import full_model_settings, measure_cancellations

PACKAGES = ("torch", "torchvision", "rf-groundingdino", "transformers", "numpy", "pillow")
HEIGHT, WIDTH, CROPS, CLIENTS = 800, 1066, 16, 64
TABLE = Report("full-models", ("measured", "milliseconds", "compared with, ms", "ratio"))
START = """
from lookalike.bootstrap import services
found = services()
found.models.warm()
"""


def seconds(work: Callable[[], object], times: int) -> float:
    """Of one call, the median after a first one that does not count."""
    work()
    return median(timed(work) for _ in range(times))


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def row(what: str, took: float, compared: float | None = None) -> None:
    ratio = f"{compared / took:10.2f}" if compared else ""
    print(f"{what:<66}{took * 1000:10.0f}{ratio}")
    other = (f"{compared * 1000:,.0f}", f"{compared / took:.1f}") if compared else ("–", "–")
    TABLE.add(what.strip(), f"{took * 1000:,.0f}", *other)


def detection(pair: ModelPair, engine: Engine, times: int) -> None:
    pixels = torch.randn(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1)).to(engine.device)
    theirs = pair.reference.to(engine.device)

    def package() -> object:
        return theirs(pixels, captions=[pair.prompt.text])

    print(f"\ndetection, {HEIGHT} x {WIDTH}{'':<39}milliseconds  package's float32 over it")
    plain = seconds(package, times)
    row("rf-groundingdino, float32", plain)
    with torch.autocast(engine.device.type, engine.dtype if engine.dtype != torch.float32 else torch.bfloat16):
        row("rf-groundingdino, autocast", seconds(package, times), plain)
    for dtype in {torch.float32: 0, engine.dtype: 1}:
        network = pair.build(dtype)
        text = network.encode_prompt(pair.prompt).to(engine.device)
        network = network.to(engine.device)
        once = seconds(lambda n=network, t=text, d=dtype: n(pixels.to(d), t, lambda: None), times)  # type: ignore[misc]
        row(f"ours, {str(dtype).removeprefix('torch.')}", once, plain)
        if engine.on_gpu:
            several = pixels.repeat(8, 1, 1, 1).to(dtype)
            eight = seconds(lambda n=network, t=text, s=several: n(s, t, lambda: None), times)  # type: ignore[misc]
            row("  the same, of a batch of 8, for each", eight / 8, plain)
    theirs.cpu()


def whole_path(pair: ModelPair, weights: Path, engine: Engine, times: int) -> None:
    """From a photo to garments. The original loads its model for each request."""
    photo = Image.effect_noise((1200, 1600), 60).convert("RGB")
    pixels = torch.randn(1, 3, HEIGHT, WIDTH, device=engine.device)
    detector = GroundingDinoDetector(weights / DETECTOR.name, weights / VOCABULARY.name, engine, Lock(), PROMPT)

    with tempfile.TemporaryDirectory() as folder:
        text = reference_models.save_text_encoder(pair.shape, Path(folder))

        def original() -> None:
            network = reference_models.build_detector(pair.shape, text)
            there = torch.load(weights / DETECTOR.name, map_location="cpu", weights_only=True)
            network.load_state_dict(clean_state_dict(there["model"]), strict=False)
            network.to(engine.device)(pixels, captions=[pair.prompt.text])

        original()
        first = timed(original)
    print("\na photo of 1200 x 1600 to garments                                milliseconds  original's over it")
    row("the original's way: the package's model built, loaded and run", first)
    row("ours, loaded once", seconds(lambda: detector.detect(photo, CancelToken()), times), first)


def embedding(weights: Path, engine: Engine, times: int) -> None:
    theirs = reference_models.make_resnet50().to(engine.device)
    theirs.fc = torch.nn.Identity()
    pixels = torch.randn(CROPS, 3, 224, 224, generator=torch.Generator().manual_seed(1)).to(engine.device)
    print(
        f"\nResNet50, {CROPS} crops in a batch                                     milliseconds  torchvision's over it"
    )
    plain = seconds(lambda: theirs(pixels), times)
    row("torchvision, eager float32", plain)
    ours = open_network(weights / RESNET50.name, engine)
    ready: Tensor = pixels.to(engine.dtype).contiguous(memory_format=torch.channels_last)
    row(f"ours, {str(engine.dtype).removeprefix('torch.')}", seconds(lambda: ours(ready, lambda: None), times), plain)


def many(weights: Path, engine: Engine) -> None:
    """Clients that ask at the same time, beside the same requests one after the other."""
    network, wait = open_network(weights / RESNET50.name, engine), GPU_BATCH_WAIT if engine.on_gpu else 0
    embedder = CropEmbedder(network, "made-up", 2048, engine, Lock(), wait)
    crops = [Image.effect_noise((300, 400), 60 + number).convert("RGB") for number in range(CLIENTS)]
    embedder.embed(crops, CancelToken())
    print(f"\n{CLIENTS} clients, each with one crop to embed                          milliseconds  one by one over it")
    alone = timed(lambda: [embedder.embed([crop], CancelToken()) for crop in crops])
    row("one after the other", alone)
    with ThreadPoolExecutor(CLIENTS) as pool:
        row("at once", timed(lambda: list(pool.map(lambda crop: embedder.embed([crop], CancelToken()), crops))), alone)


def start(weights: Path) -> None:
    """A fresh process until its models are warm."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, **full_model_settings(weights), "LOOKALIKE_HOME": home}
        began = time.perf_counter()
        said = subprocess.run([sys.executable, "-c", START], env=environment, cwd=home, capture_output=True, text=True)
        took = time.perf_counter() - began
    lines = [json.loads(line) for line in (said.stdout + said.stderr).splitlines() if line.startswith("{")]
    steps = next(line["steps"] for line in lines if "steps" in line)
    warm = next(line["seconds"] for line in lines if line["message"] == "Models warm")
    print(f"\nfrom the start of a process to warm models: {took:.2f} s")
    print(", ".join(f"{name} {value:.2f}" for name, value in {**steps, "first inference": warm}.items()))


def cancelling(weights: Path, times: int = 20) -> None:
    """A detection of many seconds, cancelled by a request to another process."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), full_model_settings(weights), patience=120).start()
        other = Server(Path(folder), {"REINDEX_EVERY": "0"}).start()
        try:
            waits = measure_cancellations(server, other, times)
        finally:
            server.stop()
            other.stop()
    print(
        f"\nfrom the answer to a cancellation, given in another process, until the processor is free ({times} times):"
    )
    print(f"median {median(waits):.2f} s, 95 % within {quantiles(waits, n=20)[-1]:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=3)
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
        start(weights)
        detection(pair, engine, times)
        whole_path(pair, weights, engine, times)
        embedding(weights, engine, times)
        many(weights, engine)
        cancelling(weights)
    if options.write_docs:
        write_reports([TABLE], PACKAGES)


if __name__ == "__main__":
    main()
