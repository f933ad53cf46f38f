"""Runs steps one after the other and tells what each did."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from infra.deploy.deployment import Deployment
from infra.deploy.tools import StepFailed
from infra.release.http import RequestFailed


@dataclass(frozen=True)
class Step:
    """A step. `run` returns whether it changed anything, and raises `StepFailed`."""

    title: str
    run: Callable[[Deployment], bool]
    duration: str = ""
    """How long it takes the first time, if it is long: an estimate."""


def run_steps(deployment: Deployment, steps: Sequence[Step]) -> bool:
    """Run all steps. Returns whether anything changed. Raises `StepFailed` with the number and title of the step."""
    changed = False
    for number, step in enumerate(steps, 1):
        title = f"[{number}/{len(steps)}] {step.title}"
        deployment.say(f"{title} ({step.duration} the first time)" if step.duration else title)
        started = time.monotonic()
        try:
            has_changed = step.run(deployment)
        except (StepFailed, RequestFailed) as error:
            raise StepFailed(f"{title} failed: {error}", getattr(error, "advice", "")) from error
        seconds = time.monotonic() - started
        deployment.say(f"    {'done' if has_changed else 'nothing to change'}, {seconds:.0f} s")
        changed |= has_changed
    return changed
