"""`lookalike evaluate`"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.common import OUTPUT_FILE, open_services, progress_bar_of_length, report_errors
from lookalike.cli.index import choose_models, describe_models
from lookalike.domain.errors import Unavailable

if TYPE_CHECKING:
    from lookalike.batch.evaluation_report import Switch
    from lookalike.bootstrap import Services
    from lookalike.settings import Settings

EXISTING = click.Path(exists=True, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


@click.command()
@click.argument("source", metavar="[PAIRS.csv|FOLDER]", type=EXISTING, required=False)
@click.option("--gallery", type=FOLDER, help="Folder whose photos are searched. The photos of FOLDER are the queries.")
@click.option("--against", metavar="MODELS", help="Other models to compare with: compact, full:EMBEDDER, folder:PATH.")
@click.option("--whole-photo", is_flag=True, help="Embed whole photos instead of the garments detected in them.")
@click.option("--worst", type=OUTPUT_FILE, help="Image for the worst queries, their wrong results and what was missed.")
@click.option("--clicks", is_flag=True, help="Evaluate past searches by the results that users chose.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@report_errors
def evaluate(
    source: Path | None,
    gallery: Path | None,
    against: str | None,
    whole_photo: bool,
    worst: Path | None,
    clicks: bool,
    as_json: bool,
) -> None:
    """Measure how well photos of the same product find each other, with the models that the settings select.

    FOLDER has one folder for each product; so has the folder of --gallery, with the same names. PAIRS.csv has the columns query, image and, optionally, relevance. Nothing
    is stored. Photos that cannot be read are reported and skipped.
    """
    if clicks == (source is not None):
        raise click.UsageError("give either a CSV file or folder, or --clicks")
    if source is not None:
        evaluate_photos(source, gallery, against, whole_photo, worst, as_json)
    elif gallery or against or whole_photo or worst:
        raise click.UsageError("--clicks reads past searches: it has none of the options for photos")
    else:
        evaluate_past_searches(as_json)


def evaluate_photos(
    source: Path, gallery: Path | None, against: str | None, whole_photo: bool, worst: Path | None, as_json: bool
) -> None:
    """Evaluate one system, or compare two, and print the report."""
    from lookalike.batch.evaluation_report import text_lines, to_json
    from lookalike.batch.judged_photos import read_judged_photos
    from lookalike.batch.worst_cases import write_worst_cases
    from lookalike.usecases.evaluation import Evaluation, System

    check_image_path(worst)
    services = open_services()
    other = None if against is None else other_services(services, against)
    compared = [services] if other is None else [services, other]
    judged = read_judged_photos(source, gallery)
    evaluation = Evaluation([System(describe_models(one.settings), one.models) for one in compared], whole_photo)
    with progress_bar_of_length(len(judged.photos), "Embedding") as progress:
        report = evaluation.run(judged, progress.update)
    switch = None if other is None else describe_switch(other)
    click.echo(json.dumps(to_json(report, switch)) if as_json else "\n".join(text_lines(report, switch)))
    if worst is not None:
        count = write_worst_cases(report, judged, worst)
        click.echo(f"{worst}: the {count} worst queries" if count else "No query failed: no image written", err=as_json)


def evaluate_past_searches(as_json: bool) -> None:
    """Evaluate past searches by the chosen results, and print the report."""
    from lookalike.batch.click_report import click_lines, clicks_to_json
    from lookalike.usecases.click_evaluation import evaluate_clicks

    report = evaluate_clicks(open_services().history.history)
    click.echo(json.dumps(clicks_to_json(report)) if as_json else "\n".join(click_lines(report)))


def check_image_path(path: Path | None) -> None:
    """Raise `BadParameter` if no image can be written there: better now than after minutes of computation."""
    if path is not None and (path.suffix.lower() not in IMAGE_SUFFIXES or not path.parent.is_dir()):
        raise click.BadParameter(f"{path}: name a .jpg, .png or .webp file in an existing folder", param_hint="--worst")


def other_services(services: "Services", spec: str) -> "Services":
    """Return services with the models of `--against`. Raises `UsageError` if they are not valid."""
    models, _, embedder = spec.partition(":")
    if models == "folder":
        return services.with_models(*choose_models(services.settings, None, spec))
    if models not in ("compact", "full") or (models == "compact" and embedder in ("resnet50", "dinov2")):
        raise click.UsageError(f"--against {spec}: use compact, full:EMBEDDER or folder:PATH")
    return services.with_models(*choose_models(services.settings, models, embedder))


def describe_switch(other: "Services") -> "Switch":
    """Return what a switch to these services' models needs."""
    from lookalike.batch.evaluation_report import Switch

    try:
        missing = other.missing_vectors.count()
    except Unavailable:
        # an evaluation takes minutes, and it needs no database
        missing = None
    return Switch(missing, reembed_command(other.settings))


def reembed_command(settings: "Settings") -> str:
    """Return the command that gives stored garments vectors of these models."""
    return f"lookalike reembed --models {settings.models}" + (settings.embedder and f" --embedder {settings.embedder}")
