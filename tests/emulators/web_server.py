"""Web server with scripted responses, optionally with TLS and a certificate made on the spot."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class Received:
    """A request as the server received it. `connection` is the client's port: the same for a reused connection."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int
    at: float


class WebServer(ThreadingHTTPServer):
    """Responds as `responses` says for a path; 404 for others. Records requests, and how many ran at the same time."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.responses: dict[str, Callable[[Handler], None]] = {}
        self.received: list[Received] = []
        self.running, self.most_running = 0, 0
        self.lock = threading.Lock()

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that close the connection early."""


class Handler(BaseHTTPRequestHandler):
    """Responds to one connection."""

    server: WebServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Record the request and respond as scripted."""
        server, path = self.server, self.path.partition("?")[0]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        with server.lock:
            server.received.append(
                Received(self.command, self.path, headers, body, self.client_address[1], time.monotonic())
            )
            server.running += 1
            server.most_running = max(server.most_running, server.running)
        try:
            # a client that gave up has closed the connection
            with suppress(ConnectionError, ssl.SSLError):
                server.responses.get(path, not_found)(self)
        finally:
            with server.lock:
                server.running -= 1

    def do_POST(self) -> None:
        """Do the same."""
        self.do_GET()

    def reply(self, status: int, data: bytes = b"", **headers: str) -> None:
        """Send a response. Underscores in names of headers stand for hyphens."""
        self.start(status, Content_Length=str(len(data)), **headers)
        self.wfile.write(data)

    def start(self, status: int, **headers: str) -> None:
        """Send the status and the headers."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def not_found(handler: Handler) -> None:
    """Respond with 404."""
    handler.reply(404)


@contextmanager
def web_server(tls: ssl.SSLContext | None = None) -> Iterator[WebServer]:
    """Run a server on a free port of 127.0.0.1."""
    with WebServer() as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def certificate(name: str, folder: Path) -> Path:
    """Write a self-signed certificate for a host name, with its key, to a PEM file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + signed.public_bytes(Encoding.PEM))
    return path


def server_tls(pem: Path) -> ssl.SSLContext:
    """Return the server's context for a certificate with its key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context
