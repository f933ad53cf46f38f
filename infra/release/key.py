"""The API key with which releases upload and delete a photo. The job `lookalike-release-key` creates it."""

import subprocess

from infra.release.http import RequestFailed

RELEASE_KEY = "lookalike-release-key"
"""Name of the secret, and of the job."""


def read_release_key(project: str) -> str:
    """Return the key, or an empty string if there is none yet. Raises `RequestFailed` if it cannot be read."""
    command = ["gcloud", "secrets", "versions", "access", "latest", f"--secret={RELEASE_KEY}", f"--project={project}"]
    try:
        result = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        raise RequestFailed("gcloud is not installed: https://cloud.google.com/sdk/docs/install") from None
    if result.returncode == 0:
        return result.stdout.strip()
    if "NOT_FOUND" in result.stderr:
        return ""
    raise RequestFailed(f"The secret {RELEASE_KEY} cannot be read: {result.stderr.strip()}")
