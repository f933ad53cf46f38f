"""An emulated project for the tests of `make deploy` and `make destroy`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from infra.deploy import __main__ as command
from infra.release.cloud_run import CloudRun
from infra.release.http import Address
from infra.release.rollout import PRIVATE, PUBLIC
from lookalike.bootstrap import Services
from lookalike.domain.api_keys import KeyRole
from lookalike.local.gateway import Gateway
from lookalike.usecases.api_keys import KeyRequest
from tests.conftest import FUNCTIONS_FOLDER
from tests.emulators.auth_server import AuthServer
from tests.emulators.cloud_commands import CloudCommands
from tests.emulators.cloud_run_services import CloudRunServices

ADMIN, PASSWORD = "ada@example.com", "correct horse battery"


@dataclass
class CloudProject:
    """The project, with real functions as revisions, and a sign-in service."""

    commands: CloudCommands
    emulator: CloudRunServices
    auth: AuthServer
    answers: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def run(self, action: str, *options: str, region: str = "europe-west1") -> str:
        """Run an action, and return what it printed, with the error it exited with."""
        self.lines.clear()
        self.commands.calls.clear()
        address = Address(self.emulator.url)
        try:
            command.main(
                [action, "--project=shop", f"--region={region}", "--watch=0", *options],
                say=self.lines.append,
                ask_text=self._answer,
                ask_secret=self._answer,
                make_cloud=lambda project, region: CloudRun(project, region, lambda: "token", address, address, 0.001),
                sleep=lambda seconds: None,
            )
        except SystemExit as error:
            self.lines.append(f"EXIT {error}")
        return "\n".join(self.lines)

    def deploy(self, *options: str) -> str:
        """Deploy with the sign-in service and an administrator."""
        return self.run("deploy", f"--supabase-url={self.auth.url}", f"--admin={ADMIN}", *options)

    def _answer(self, question: str) -> str:
        self.lines.append(question)
        if not self.answers:
            raise EOFError
        return self.answers.pop(0)


def make_project(
    commands: CloudCommands,
    emulator: CloudRunServices,
    auth: AuthServer,
    real: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> CloudProject:
    """Return an empty project, whose functions are those of this source once they are deployed."""
    gateway = Gateway(FUNCTIONS_FOLDER)

    def deploy(image: str) -> None:
        for name in PUBLIC + PRIVATE:
            emulator.deploy(f"lookalike-{name}", gateway)
        if not commands.secrets.get("lookalike-release-key", ["secret"])[-1].startswith("lk_"):
            _, key = real.api_keys.create(KeyRequest(KeyRole.ADMIN, "releases"))
            commands.secrets["lookalike-release-key"] = [key]

    commands.deploy = deploy
    commands.undeploy = lambda name: (emulator.services.pop(name), None)[1]
    commands.functions = lambda: [*emulator.services]
    commands.relay_url = lambda: emulator.services["lookalike-relay"].url
    monkeypatch.setenv("PATH", str(commands.folder / "bin"))
    monkeypatch.setenv("SUPABASE_KEY", auth.PUBLIC)
    monkeypatch.setenv("SUPABASE_SERVICE_KEY", auth.SERVICE)
    monkeypatch.setattr("infra.release.http.time.sleep", lambda seconds: None)
    return CloudProject(commands, emulator, auth, [PASSWORD])


def known_to_gcloud(tree: Any, call: list[str]) -> str:
    """Return what gcloud's own table of commands does not know of a call, or an empty string."""
    node, everywhere = tree, set(tree["flags"])
    for part in call[1:]:
        if not part.startswith("-"):
            if part in node.get("commands", {}):
                node = node["commands"][part]
            elif node.get("commands"):
                return f"{part} in {' '.join(call)}"
    # the table has the positive form of flags
    flags = {part.partition("=")[0].replace("--no-", "--") for part in call if part.startswith("-")}
    return " ".join(flags - everywhere - set(node.get("flags", {})))


def completions(gcloud: str) -> Path:
    """Return the file with all commands of an installed gcloud."""
    return Path(gcloud).resolve().parents[1] / "data" / "cli" / "gcloud_completions.py"
