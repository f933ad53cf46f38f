"""Builds the image in Cloud Build, unless there is one of the same source."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from infra.deploy.deployment import ROOT, Deployment
from infra.deploy.foundation import REPOSITORY
from infra.deploy.tools import StepFailed

CONFIG = "infra/deploy/image.yaml"
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "shared", "functions", "infra/docker", CONFIG)
"""Files and folders of which the image is made, and how."""
LEFT_OUT = ("__pycache__", ".egg-info", "sample_closet")


def build_image(deployment: Deployment) -> bool:
    """Build the image of this source, for GPUs too if they are used. Images are deployed by digest."""
    tag = f"source-{source_digest(ROOT)}"
    weights = deployment.settings.gpu_weights
    kinds = ["cpu", *(["gpu"] if weights else [])]
    # the weights are part of the image or not
    tags = {"cpu": tag, "gpu": f"{tag}-{weights}"}
    found = {kind: _find(deployment, kind, tags[kind]) for kind in kinds}
    is_missing = not all(found.values())
    if is_missing:
        _build(deployment, tags)
        found = {kind: _find(deployment, kind, tags[kind]) for kind in kinds}
    if not all(found.values()):
        raise StepFailed("The build has pushed no image", "Look at the history of Cloud Build in the console.")
    deployment.say(f"    {found['cpu']}")
    return deployment.save_settings(image=found["cpu"], gpu_image=found.get("gpu", "")) or is_missing


def source_digest(root: Path) -> str:
    """Return the start of the SHA-256 of everything that the image is made of."""
    digest = hashlib.sha256()
    for path in _source_files(root):
        digest.update(f"{path.relative_to(root)}\0{path.stat().st_mode & 0o111}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _source_files(root: Path) -> Iterator[Path]:
    for name in SOURCES:
        paths = [root / name] if (root / name).is_file() else sorted((root / name).rglob("*"))
        for path in paths:
            if path.is_file() and not any(part.endswith(LEFT_OUT) for part in path.relative_to(root).parts):
                yield path


def _repository(deployment: Deployment) -> str:
    return f"{deployment.region}-docker.pkg.dev/{deployment.project}/{REPOSITORY}"


def _find(deployment: Deployment, kind: str, tag: str) -> str:
    """Return the image with its digest, or an empty string."""
    name = f"{_repository(deployment)}/{kind}"
    image = deployment.gcloud.find("artifacts", "docker", "images", "describe", f"{name}:{tag}")
    return f"{name}@{image['image_summary']['digest']}" if image else ""


def _build(deployment: Deployment, tags: dict[str, str]) -> None:
    staging = f"{deployment.state_bucket}/builds"
    values = {
        "_REPOSITORY": _repository(deployment),
        "_TAG": tags["cpu"],
        "_GPU_TAG": tags["gpu"],
        "_GPU_WEIGHTS": deployment.settings.gpu_weights,
    }
    deployment.gcloud.show(
        *("builds", "submit", str(ROOT), f"--config={ROOT / CONFIG}", f"--region={deployment.region}"),
        f"--gcs-source-staging-dir={staging}",
        f"--substitutions={','.join(f'{name}={value}' for name, value in values.items())}",
    )
    # also the versions: uploaded sources are of no use, and the bucket keeps what is deleted
    deployment.gcloud.run("storage", "rm", "--recursive", "--all-versions", f"{staging}/**")
