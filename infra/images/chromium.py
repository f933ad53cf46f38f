"""Control headless Chromium over the DevTools protocol. Needs no package besides Chromium itself.

Protocol: https://chromedevtools.github.io/devtools-protocol/. With `--remote-debugging-pipe`, Chromium reads JSON
from file descriptor 3 and writes JSON to 4. Each message ends with a NUL byte.
"""

import base64
import fcntl
import itertools
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

COMMANDS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    *("--headless", "--remote-debugging-pipe", "--disable-gpu", "--hide-scrollbars"),
    *("--no-first-run", "--disable-background-networking"),
)
READ_SIZE = 1 << 20
POLL_INTERVAL = 0.1
"""Seconds between two checks of a condition in the page."""


class Page:
    """A tab of a running Chromium."""

    def __init__(self, commands: int, messages: int) -> None:
        """`commands` and `messages` are the file descriptors to write to and to read from."""
        self._commands, self._messages = commands, messages
        self._buffer = b""
        self._ids = itertools.count(1)
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result. Raises `RuntimeError` if Chromium reports an error."""
        message: dict[str, Any] = {"id": next(self._ids), "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while (reply := self._read()).get("id") != message["id"]:
            # Events arrive between the replies. None of them is needed.
            pass
        if "error" in reply:
            raise RuntimeError(f"{method}: {reply['error']['message']}")
        result: dict[str, Any] = reply["result"]
        return result

    def open(self, url: str, width: int, height: int, color_scheme: str = "light") -> None:
        """Load a page in a window of this size, in CSS pixels, without animations."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        media = {"prefers-color-scheme": color_scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in media.items()]
        self.call("Emulation.setEmulatedMedia", features=features)
        self.call("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression. Raises `RuntimeError` if it throws."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if details := result.get("exceptionDetails"):
            raise RuntimeError(f"{expression}: {details.get('exception', details)}")
        return result["result"].get("value")

    def wait_for(self, expression: str, timeout: float = 30) -> None:
        """Wait until a JavaScript expression is true. Raises `TimeoutError` after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not self.evaluate(expression):
            if time.monotonic() > deadline:
                raise TimeoutError(f"Not true after {timeout:g} s: {expression}")
            time.sleep(POLL_INTERVAL)

    def screenshot(self, quality: int) -> bytes:
        """Return the visible part of the page as a JPEG of this quality (0 to 100)."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="jpeg", quality=quality)["data"])

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            data = os.read(self._messages, READ_SIZE)
            if not data:
                raise RuntimeError("Chromium exited")
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        parsed: dict[str, Any] = json.loads(message)
        return parsed


def find_chromium() -> str:
    """Return the path of Chromium or Chrome. Raises `FileNotFoundError` if neither is installed."""
    found = next(filter(None, map(shutil.which, COMMANDS)), None)
    if found is None:
        raise FileNotFoundError("Chromium is not installed. On Debian and Ubuntu: apt-get install chromium")
    return found


@contextmanager
def start_chromium() -> Iterator[Page]:
    """Start headless Chromium with an empty profile and yield a tab. Chromium ends with the block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        arguments = [find_chromium(), *OPTIONS, f"--user-data-dir={profile}"]
        if os.geteuid() == 0:
            # Chromium refuses to start its sandbox as root, for example in a container.
            arguments.append("--no-sandbox")
        child_in, commands = os.pipe()
        messages, child_out = os.pipe()
        pid = _spawn(arguments, child_in, child_out)
        try:
            page = Page(commands, messages)
            yield page
            page.call("Browser.close")
        finally:
            # Chromium exits when the pipe is closed, also after an error.
            os.close(commands)
            os.waitpid(pid, 0)
            os.close(messages)


def _spawn(arguments: list[str], child_in: int, child_out: int) -> int:
    """Start a process with these descriptors as 3 and 4, and close them here. Return its id."""
    # Numbers above 4, so that setting descriptor 3 cannot overwrite the source of descriptor 4.
    sources = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10) for descriptor in (child_in, child_out)]
    actions = [(os.POSIX_SPAWN_DUP2, source, target) for source, target in zip(sources, (3, 4), strict=True)]
    log = (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)
    pid = os.posix_spawn(arguments[0], arguments, os.environ, file_actions=[*actions, log])
    for descriptor in (child_in, child_out, *sources):
        os.close(descriptor)
    return pid
