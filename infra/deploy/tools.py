"""Runs gcloud and Terraform, and turns their errors into advice."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

INSTALL = {
    "gcloud": "Install the Google Cloud CLI: https://cloud.google.com/sdk/docs/install",
    "terraform": "Install Terraform 1.11 or newer: https://developer.hashicorp.com/terraform/install",
}
ADVICE = {
    "does not have storage.buckets.get access": "The name of the bucket is taken by another project. Use another project.",
    # before the messages about permissions, of which it can be a part
    "has not been used in project": "The service was just enabled and needs up to five minutes.",
    "PERMISSION_DENIED": "Your account needs the role Owner in the project.",
    "does not have permission": "Your account needs the role Owner in the project.",
    "Error 403": "Your account needs the role Owner in the project. A service that was just enabled may need five minutes.",
    "Error acquiring the state lock": "Another run is at work, or was killed. If none is, remove the lock: terraform "
    "-chdir=infra/terraform force-unlock ID",
    "QUOTA": "The project has too little quota in this region. Ask for more in the console (IAM, Quotas), or use another region.",
    "uota exceeded": "The project has too little quota in this region. Ask for more in the console (IAM, Quotas).",
    "Reauthentication": "Sign in again: gcloud auth login, and gcloud auth application-default login",
    "invalid_grant": "Sign in again: gcloud auth login, and gcloud auth application-default login",
    "could not find default credentials": "Sign in for Terraform: gcloud auth application-default login",
    "is not ready": "A revision does not start. Read its log: gcloud run services logs read NAME --region=REGION",
}
"""Advice, by a part of an error message. The first that matches is shown."""
NOT_FOUND = ("NOT_FOUND", "not found", "does not exist", "matched no objects", "notFound")
"""Parts of gcloud's messages about what does not exist."""
LAST_LINES = 25
"""Lines of the output of a failed command that are shown again."""


class StepFailed(Exception):
    """A step could not be done. `advice` says what to do."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice or next((text for part, text in ADVICE.items() if part in message), "")


class CommandFailed(StepFailed):
    """A command exited with an error. `output` is its standard error."""

    def __init__(self, command: str, code: int, output: str) -> None:
        super().__init__(f"{command} failed with {code}:\n{output.strip()}")
        self.output, self.code = output, code

    @property
    def is_not_found(self) -> bool:
        """Whether the resource does not exist."""
        return any(part in self.output for part in NOT_FOUND)


@dataclass(frozen=True)
class Tool:
    """A command line program."""

    program: str
    environment: Mapping[str, str] = field(default_factory=dict)
    say: Callable[[str], object] = print

    def run(self, *arguments: str, stdin: str = "") -> str:
        """Run a command and return its output. Raises `CommandFailed`."""
        result = subprocess.run(
            [self.program, *arguments], input=stdin, capture_output=True, text=True, env=self._environment()
        )
        if result.returncode:
            raise CommandFailed(self._describe(arguments), result.returncode, result.stderr or result.stdout)
        return result.stdout.strip()

    def find(self, *arguments: str) -> Any:
        """Return what a command describes, from its JSON, or `None` if that does not exist."""
        try:
            return self.json(*arguments)
        except CommandFailed as error:
            if error.is_not_found:
                return None
            raise

    def json(self, *arguments: str) -> Any:
        """Run a command that can print JSON, and return its content; `None` if there is none."""
        text = self.run(*arguments, "--format=json")
        return json.loads(text) if text else None

    def show(self, *arguments: str, expected: tuple[int, ...] = (0,)) -> int:
        """Run a long command whose output the reader follows. Returns its exit status. Raises `CommandFailed`."""
        command = [self.program, *arguments]
        last: list[str] = []
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self._environment(),
        ) as process:
            assert process.stdout
            for line in process.stdout:
                self.say(f"    {line.rstrip()}")
                last = [*last, line][-LAST_LINES:]
        if process.returncode not in expected:
            raise CommandFailed(self._describe(arguments), process.returncode, "".join(last))
        return process.returncode

    def _describe(self, arguments: tuple[str, ...]) -> str:
        # values of settings can be long, and are not needed to find the command
        return " ".join([self.program, *(part for part in arguments if not part.startswith("-var="))])

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **self.environment}


def missing_tools() -> list[str]:
    """Return how to install each missing program."""
    return [advice for program, advice in INSTALL.items() if shutil.which(program) is None]
