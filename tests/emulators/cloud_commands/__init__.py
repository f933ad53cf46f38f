"""Executables `gcloud` and `terraform` that record their calls and keep the state of a project, in the process of the test.

The executables only pass their arguments on: to `CloudCommands`, whose methods `gcloud_…` and `terraform_…` answer them.
"""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from tests.emulators.cloud_commands.gcloud import GcloudCommands
from tests.emulators.cloud_commands.state import Failed
from tests.emulators.cloud_commands.terraform import TerraformCommands

CLIENT = """\
#!/bin/bash
# without other programs, so that it starts fast and works with any PATH
exec 3<>/dev/tcp/127.0.0.1/{port}
stdin=
case " $* " in *" --data-file=- "*) IFS= read -rd "" stdin ;; esac
printf "%s\\0" "$#" "${{0##*/}}" "$@" "$stdin" >&3
IFS= read -rd "" code <&3 && IFS= read -rd "" output <&3 && IFS= read -rd "" errors <&3 || exit 70
printf %s "$output"
printf %s "$errors" >&2
exit "$code"
"""
READING = {
    "describe",
    "list",
    "ls",
    "cat",
    "du",
    "access",
    "get-iam-policy",
    "print-access-token",
    "list-configs",
    "wait",
}
READING_TERRAFORM = {"version", "init", "plan", "show", "output", "list"}
"""Words of commands that change nothing."""


class CloudCommands(GcloudCommands, TerraformCommands):
    """The project with both programs."""

    def changes(self) -> list[str]:
        """Return the calls that change something."""
        return [" ".join(call) for call in self.calls if not _only_reads(call)]

    def answer(self, program: str, arguments: list[str], stdin: str) -> tuple[int, str, str]:
        """Run a command. Returns its exit status, output and errors."""
        self.calls.append([program, *arguments])
        line = " ".join([program, *arguments])
        for part in [part for part in self.fails if part in line]:
            return 1, "", self.fails.pop(part) + "\n"
        words = [part for part in arguments if not part.startswith("-")]
        options = dict(part.lstrip("-").partition("=")[::2] for part in arguments if part.startswith("-"))
        for count in range(min(5, len(words)), 0, -1):
            name = f"{program}_{'_'.join(words[:count])}".replace("-", "_")
            if method := getattr(self, name, None):
                try:
                    result = method(words[count:], options, stdin)
                except Failed as error:
                    return 1, "", f"ERROR: ({program}) {error}\n"
                return result if isinstance(result, tuple) else (0, _text(result), "")
        return 2, "", f"{program} does not know {words}"


def _only_reads(call: list[str]) -> bool:
    words = {part for part in call if not part.startswith("-")}
    return bool(words & READING) if call[0] == "gcloud" else bool(words & READING_TERRAFORM)


def _text(result: Any) -> str:
    return result if isinstance(result, str) else "" if result is None else json.dumps(result)


def _read_text(file: BufferedIOBase) -> str:
    return b"".join(iter(lambda: file.read(1), b"\0")).decode()


@contextmanager
def cloud_commands(folder: Path) -> Iterator[CloudCommands]:
    """Write the executables into `folder/bin`, and answer them."""
    commands = CloudCommands(folder)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            count = int(_read_text(self.rfile))
            program, *arguments, stdin = [_read_text(self.rfile) for _ in range(count + 2)]
            for part in commands.answer(program, arguments, stdin):
                self.wfile.write(f"{part}\0".encode())

    programs = folder / "bin"
    programs.mkdir()
    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        for name in ("gcloud", "terraform"):
            (programs / name).write_text(CLIENT.format(port=server.server_address[1]))
            (programs / name).chmod(0o755)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield commands
        finally:
            server.shutdown()
            thread.join()
