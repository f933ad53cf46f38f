"""Runs the snippets of one page in order, in one shell, against a running server."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from lookalike.settings import Settings
from tests.docs.markdown import Block

BEGIN = "=== block "


@dataclass(frozen=True, slots=True)
class Outcome:
    block: Block
    output: str


def run_page(blocks: list[Block], folder: Path, port: int) -> list[Outcome]:
    """Run the sh and python blocks; the shell's variables last from one to the next.

    Raises `AssertionError` with the page and line of the block that failed.
    """
    # a response has no line break at its end, and the output of the next command must not be joined to it
    script = ["set -euo pipefail", 'curl() { command curl "$@" && echo; }']
    for number, block in enumerate(blocks):
        script += [f"echo '{BEGIN}{number}'", _command(block, folder / f"snippet{number}.py", port), "echo"]
    output, status = run(["bash", "-c", "\n".join(script)], folder)
    parts = re.split(rf"^{BEGIN}\d+\n", output, flags=re.MULTILINE)[1:]
    if status:
        failed = blocks[len(parts) - 1]
        raise AssertionError(f"{failed.place} fails with status {status}:\n{failed.text}\n{parts[-1]}")
    return [Outcome(block, part) for block, part in zip(blocks, parts, strict=True)]


def run(command: list[str], folder: Path) -> tuple[str, int]:
    """Run a command without any settings of this environment: output and errors as text, and the exit status."""
    settings = {name.upper() for name in Settings.model_fields}
    environment = {name: value for name, value in os.environ.items() if name not in settings}
    environment["PYTHONUNBUFFERED"] = "1"
    ran = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return ran.stdout, ran.returncode


def _command(block: Block, file: Path, port: int) -> str:
    text = block.text.replace("localhost:5001", f"localhost:{port}")
    if block.language == "sh":
        return text
    file.write_text(text + "\n")
    return f"{sys.executable} {file}"
