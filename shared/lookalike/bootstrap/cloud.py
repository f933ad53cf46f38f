"""Build what controls jobs in the cloud."""

from importlib.util import find_spec

from lookalike.domain.errors import Misconfigured
from lookalike.settings import Settings
from lookalike.usecases.cloud_jobs import CloudJobs

INGEST_JOB, REEMBED_JOB = "lookalike-ingest", "lookalike-reembed"
"""Names that infra/terraform gives the jobs."""


def open_cloud_jobs(settings: Settings) -> CloudJobs:
    """Return the jobs of GOOGLE_CLOUD_PROJECT. Raises `Misconfigured` without this setting or without Google's libraries.

    Opens no connection.
    """
    if not settings.google_cloud_project:
        raise Misconfigured(
            "Set GOOGLE_CLOUD_PROJECT to the project of the deployment, and GOOGLE_CLOUD_REGION to its region"
        )
    if not (find_spec("requests") and find_spec("google") and find_spec("google.auth")):
        raise Misconfigured("Google's libraries are missing: pip install 'lookalike[gcp]'")
    import requests

    from lookalike.adapters.cloud_run_jobs import API, CloudRunJobs
    from lookalike.adapters.google_session import open_google_session

    location = f"projects/{settings.google_cloud_project}/locations/{settings.google_cloud_region}"
    if settings.cloud_run_emulator_host:
        return CloudJobs(CloudRunJobs(location, requests.Session, settings.cloud_run_emulator_host))
    return CloudJobs(CloudRunJobs(location, open_google_session, API))
