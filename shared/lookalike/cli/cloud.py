"""Options and output of the commands that run as a job in the cloud."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from lookalike.cli.common import progress_bar_of_length

if TYPE_CHECKING:
    from lookalike.domain.ports.batch_jobs import JobExecution
    from lookalike.settings import Settings


def run_in_cloud(
    settings: "Settings", job: str, arguments: Sequence[str], tasks: int | None, label: str
) -> "JobExecution":
    """Start a job and show its progress until it has ended. Raises `LookalikeError` if it does not succeed.

    Interrupting the command does not stop the job.
    """
    from lookalike.bootstrap.cloud import open_cloud_jobs

    jobs = open_cloud_jobs(settings)
    execution = jobs.start(job, arguments, tasks)
    name = execution.name.rpartition("/")[2]
    click.echo(f"Started {name} with {execution.tasks} tasks", err=True)
    try:
        with progress_bar_of_length(execution.tasks, label) as progress:
            return jobs.follow(execution, lambda state: progress.update(state.finished - progress.pos, describe(state)))
    except KeyboardInterrupt:
        region = settings.google_cloud_region
        click.echo(
            f"{name} goes on in the cloud. To stop it: gcloud run jobs executions cancel {name} --region={region}",
            err=True,
        )
        raise


def describe(state: "JobExecution") -> str:
    """Return the counts of an execution that has not ended yet."""
    failed = f", {state.failed} failed" if state.failed else ""
    return f"{state.finished} of {state.tasks} tasks done, {state.running} running{failed}"
