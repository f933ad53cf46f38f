"""Every snippet of the documentation is run against a real server, or says why it is not."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lookalike.batch.sample_closet import query_photos
from tests.docs.expected import json_in, missing_lines, same_form
from tests.docs.markdown import ROOT, Block, blocks, pages
from tests.docs.session import run, run_page
from tests.e2e.server import Server

LANGUAGES = {"sh", "python", "ts", "json", "text", "html", "http"}
MAKE_RUN = "make run"
WITH_SNIPPETS = [page for page in pages() if any(one.is_run for one in blocks(page))]


@dataclass(frozen=True, slots=True)
class Running:
    """A server, and what `make run` prints until it serves."""

    server: Server
    output: str


def steps_of_make_run() -> list[list[str]]:
    """The commands of `make run` before the last, which serves."""
    environment = {**os.environ, "LC_ALL": "C"}
    shown = subprocess.run(["make", "-n", "run"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    commands = [shlex.split(line) for line in shown.stdout.splitlines() if line.startswith(".venv/bin/lookalike ")]
    assert commands[-1][1:] == ["serve"]
    return commands[:-1]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("docs")
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "shared").symlink_to(ROOT / "shared")
    output = ""
    for command in steps_of_make_run():
        printed_by_step, status = run(command, folder)
        assert status == 0, printed_by_step
        output += printed_by_step
    server = Server(folder).start()
    try:
        yield Running(server, output + server.log().replace(f":{server.port}/", ":5001/"))
    finally:
        server.stop()


def test_blocks_have_a_known_language_and_a_reason_if_not_run() -> None:
    for page in pages():
        for block in blocks(page):
            assert block.language in LANGUAGES, f"{block.place}: {block.language or 'no language'}"
            if block.language == "json":
                json.loads(block.text)


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_SNIPPETS, ids=lambda page: str(page.relative_to(ROOT)))
def test_snippets_run_and_print_what_is_documented(page: Path, running: Running) -> None:
    found = blocks(page)
    runnable = [block for block in found if block.is_run]
    outputs = {
        outcome.block: outcome.output for outcome in run_page(runnable, running.server.folder, running.server.port)
    }
    for block, output in outputs.items():
        assert bool(re.search(r'"success": *false', output)) == block.shows_error, (
            f"{block.place}: real output is\n{output}"
        )
    for before, block in pairwise(found):
        if block.language == "json" and block.shows_log:
            expected = json.loads(block.text)
            log_an_upload(running.server)
            same_form(expected, logged(running.server, expected["message"], expected.get("route")))
        elif block.language == "json" and before in outputs:
            same_form(json.loads(block.text), json_in(outputs[before]))
        if block.language == "text" and (output := printed(before, outputs, running)):
            assert not missing_lines(block.text, output), f"{block.place}: real output is\n{output}"


def printed(block: Block, outputs: dict[Block, str], running: Running) -> str:
    if block.language == "sh" and MAKE_RUN in block.text:
        return running.output
    return outputs.get(block, "")


def log_an_upload(server: Server) -> None:
    """Upload a photo and delete it again, so that the log has its line whichever pages ran before."""
    photo = next(path for path in query_photos() if path.stem == "dress")
    assert server.upload(photo.read_bytes(), "logged").status == 200
    path = "/splitted_images/by_original/logged"
    assert server.request("DELETE", path, None, server.admin_headers).status == 200


def logged(server: Server, message: str, route: str | None) -> Any:
    """The last line of the server's log with that message and, unless it is None, that route."""
    fields = {"message": message} | ({"route": route} if route else {})
    wanted = [json.dumps({name: value})[1:-1] for name, value in fields.items()]
    return json_in("\n".join(line for line in server.log().splitlines() if all(part in line for part in wanted)))
