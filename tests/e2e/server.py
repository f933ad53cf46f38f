"""`lookalike serve` as a subprocess with a home of its own, and HTTP requests to it."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lookalike.client import Client

REMOVED_SETTINGS = ("DATABASE_URL", "STORE_URL", "K_SERVICE")


@dataclass
class HttpResponse:
    """Status, body and headers of a response."""

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        """The parsed body."""
        return json.loads(self.body)


@dataclass
class Server:
    """A server process. Tests start, stop and kill it themselves."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    port: int = 0
    timeout: float = 60
    """Seconds to wait for a response."""
    process: subprocess.Popen[bytes] | None = None
    clients: list[Client] = field(default_factory=list)
    """Clients to close when the server stops."""

    def start(self) -> "Server":
        """Start the process and wait until it is ready."""
        self.port = self.port or free_port()
        self.process = self.run("serve", wait=False)
        for _ in range(300):
            if self.process.poll() is not None:
                raise AssertionError(self.log())
            if "Ready: " in self.log():
                return self
            time.sleep(0.1)
        raise AssertionError(f"The server is not ready after 30 s: {self.log()}")

    def run(self, *arguments: str, wait: bool = True) -> subprocess.Popen[bytes]:
        """Run a command of `lookalike` in the server's folder. The output goes to `<command>.log`."""
        self.folder.mkdir(exist_ok=True)
        command = [sys.executable, "-c", "from lookalike.cli import main; main()", *arguments]
        with (self.folder / f"{arguments[0]}.log").open("wb") as out:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment(),
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if wait:
            process.wait(120)
        return process

    def environment(self) -> dict[str, str]:
        """Return the environment of the server's processes."""
        inherited = {key: value for key, value in os.environ.items() if key not in REMOVED_SETTINGS}
        return inherited | {"PORT": str(self.port or 5001), "PYTHONUNBUFFERED": "1", **self.settings}

    def log(self, command: str = "serve") -> str:
        """Return the output of a command so far."""
        return (self.folder / f"{command}.log").read_text()

    def stop(self, stop_signal: signal.Signals = signal.SIGTERM) -> int:
        """Stop the server and return its exit status. SIGTERM goes to the parent process, SIGKILL to all processes."""
        assert self.process is not None
        while self.clients:
            self.clients.pop().close()
        if self.process.poll() is None:
            if stop_signal is signal.SIGKILL:
                os.killpg(self.process.pid, stop_signal)
            else:
                self.process.send_signal(stop_signal)
        return self.process.wait(20)

    @property
    def token(self) -> str:
        """The administrator's token, from the address that the server prints."""
        return self.log().split("#token=")[1].split()[0]

    @property
    def admin_headers(self) -> dict[str, str]:
        """Authorization header of the administrator."""
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def address(self) -> str:
        """Base address of the server."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, token: str | None = None) -> Client:
        """Return a client, with the administrator's token unless another one or "" is given. It is closed by `stop`."""
        self.clients.append(Client(self.address, self.token if token is None else token, timeout=self.timeout))
        return self.clients[-1]

    def request(
        self, method: str, path: str, fields: Any = None, headers: Mapping[str, str] | None = None
    ) -> HttpResponse:
        """Send a request, with `fields` as JSON body. Errors are returned as responses, too."""
        data, headers = None, dict(headers or {})
        if fields is not None:
            data, headers["Content-Type"] = json.dumps(fields).encode(), "application/json"
        url = path if path.startswith("http") else f"{self.address}{path}"
        request = urllib.request.Request(url, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as response:
                return HttpResponse(response.status, response.read(), dict(response.headers))
        except urllib.error.HTTPError as error:
            return HttpResponse(error.code, error.read(), dict(error.headers))

    def upload(self, photo: bytes, name: str, **fields: Any) -> HttpResponse:
        """Upload a photo as administrator."""
        body = {"image_base64": encode_base64(photo), "image_name": name, **fields}
        return self.request("POST", "/upload_image", body, self.admin_headers)

    def cancel(self, request_id: str) -> HttpResponse:
        """Cancel a request as administrator, as soon as it exists."""
        for _ in range(2000):
            response = self.request("POST", f"/cancel_request/{request_id}", None, self.admin_headers)
            if response.status != 404:
                return response
            time.sleep(0.005)
        raise AssertionError(f"The request {request_id} did not start within 10 s")

    def search(self, photo: bytes, **fields: Any) -> HttpResponse:
        """Search without a token."""
        return self.request("POST", "/relay_image", {"image_base64": encode_base64(photo), **fields})


def free_port() -> int:
    """Return a TCP port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def encode_base64(data: bytes) -> str:
    """Return the data as text for JSON."""
    return base64.b64encode(data).decode()
