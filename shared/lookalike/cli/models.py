"""`lookalike models …`"""

import sys
from pathlib import Path

import click

from lookalike.cli.common import EXISTING_FOLDER, open_services, progress_bar, progress_bar_of_length, report_errors


@click.group()
def models() -> None:
    """Weights of the full models (MODELS=full), and models in folders."""


@models.command("fetch")
@click.option("--mirror", default="", help="URL of a folder that has the files, instead of their publishers'.")
@report_errors
def models_fetch(mirror: str) -> None:
    """Download the weights into MODELS_DIR, a folder or a bucket. Resumes an interrupted download."""
    from lookalike.batch.weights import fetch_weights

    for file, state in fetch_weights(open_services(), mirror, progress_bar_of_length):
        click.echo(f"{file.name}: {state}")


@models.command("list")
@report_errors
def models_list() -> None:
    """Check that each weight file is present and has the right checksum."""
    from lookalike.batch.weights import check_weights

    states = list(check_weights(open_services()))
    for file, problem in states:
        click.echo(problem or f"{file.name}: ok")
    sys.exit(1 if any(problem for _, problem in states) else 0)


@models.command("add")
@click.argument("folder", type=EXISTING_FOLDER)
@click.option("--name", default="", help="Readable part of the model's name (default: from config.json).")
@click.option("--variant", default="", help="Suffix of the ONNX files to use: quantized, int8, fp16, q4…")
@click.option(
    "--label", "labels", multiple=True, metavar="NAME=KIND", help="Garment kind of a detector's label, or none."
)
@report_errors
def models_add(folder: Path, name: str, variant: str, labels: tuple[str, ...]) -> None:
    """Check the model in FOLDER, test it, measure its speed, and write lookalike.json.

    FOLDER is an ONNX export with the JSON files beside it: an embedder (CLIP, SigLIP, SigLIP 2, DINOv2, DINOv3) or a
    detector (DETR and its successors).
    """
    from lookalike.batch.model_folders import add_folder

    added = add_folder(folder.resolve(), name, variant, parse_labels(labels))
    manifest = added.manifest
    size = f", {manifest.dim} dimensions" if manifest.kind == "embedder" else ""
    click.echo(f"{manifest.name}: {manifest.kind}{size}, {len(manifest.files)} files")
    speeds = (f"{milliseconds:g} ms for one {what}" for what, milliseconds in added.milliseconds.items())
    click.echo(f"self-test passed; {', '.join(speeds)}")
    for label, kind in manifest.labels.items():
        click.echo(f"  {label}: {kind or 'ignored'}")
    click.echo(f"wrote {folder / 'lookalike.json'}; to use the model, set")
    click.echo("\n".join(added.settings))


def parse_labels(labels: tuple[str, ...]) -> dict[str, str]:
    """Return the kinds by label of options NAME=KIND."""
    if wrong := [label for label in labels if "=" not in label]:
        raise click.BadParameter(f"{wrong[0]!r} must be NAME=KIND", param_hint="--label")
    # names of labels may contain an equals sign, kinds cannot
    return {name: kind for name, _, kind in (label.rpartition("=") for label in labels)}


@models.command("calibrate")
@click.argument("model", metavar="FOLDER|running")
@click.argument("pairs", type=click.Path(exists=True, path_type=Path))
@click.option("--whole", is_flag=True, help="Embed whole photos instead of the largest garment in each.")
@report_errors
def models_calibrate(model: str, pairs: Path, whole: bool) -> None:
    """Measure what similarities mean, on PAIRS of your own photos, and write it into lookalike.json.

    PAIRS is a CSV file with lines image,image,same (1: the same garment, 0: different ones), or a folder with a
    subfolder for each garment. "running" is the folder that EMBEDDER names.
    """
    from lookalike.batch.calibrate_folder import RUNNING, calibrate_folder

    if model != RUNNING and not Path(model).is_dir():
        raise click.BadParameter(f"{model!r} is not a folder", param_hint="FOLDER|running")
    folder, report = calibrate_folder(
        open_services(), model, pairs, whole, lambda paths: progress_bar(paths, "Embedding")
    )
    found = report.calibration
    click.echo(f"{report.same_pairs} pairs of the same garment, {report.other_pairs} pairs of different garments")
    click.echo(
        f"slope {found.slope:g}, offset {found.offset:g}, copies from a similarity of {found.duplicate_threshold:g}"
    )
    click.echo(
        f"on pairs held back: match is {report.mean_same:.2f} for the same garment and {report.mean_others:.2f} for "
        f"different ones, on average; calibration error {report.error:.3f}"
    )
    click.echo(f"wrote {folder / 'lookalike.json'}; restart the servers that use it")
