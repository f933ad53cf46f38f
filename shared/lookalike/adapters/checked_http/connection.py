"""A connection to an IP address that was checked before, for a host name."""

import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection

from lookalike.domain.web_address import DEFAULT_PORTS, WebAddress

Resolver = Callable[[str, int], Sequence[str]]
"""Returns the IP addresses of a host for a port. Raises `OSError`."""
MAX_CONNECT_ATTEMPTS = 4
"""Addresses of one host that are tried."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits in seconds."""

    connect: float = 5.0
    """To connect to one address."""
    read: float = 15.0
    """Without any data."""
    total: float = 60.0
    """For a request and its whole response, with resolving and connecting."""


def resolve_host(host: str, port: int) -> list[str]:
    """Return the IP addresses of a host, in the order in which the system prefers them. Raises `OSError`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def default_tls_context() -> ssl.SSLContext:
    """Return a context that verifies certificates with the system's authorities."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class CheckedConnection(HTTPConnection):
    """Connects to one of the given IP addresses. `tls` is the context for https, and `None` for http.

    Another thread may call `abort`.
    """

    def __init__(
        self, address: WebAddress, addresses: Sequence[str], timeouts: Timeouts, tls: ssl.SSLContext | None
    ) -> None:
        super().__init__(address.host, address.port)
        self.default_port = DEFAULT_PORTS[address.scheme]
        self._addresses, self._timeouts, self._tls = list(addresses)[:MAX_CONNECT_ATTEMPTS], timeouts, tls
        self._socket: socket.socket | None = None
        self._is_aborted = False

    def connect(self) -> None:
        """Connect, and verify the certificate for the host name. Raises `OSError`."""
        self.sock = self._watched(self._connect_first())
        if self._tls is not None:
            # The handshake comes after `_watched`, so that `abort` can end it.
            wrapped = self._tls.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
            self.sock = wrapped
            self._watched(wrapped)
            wrapped.do_handshake()

    def abort(self) -> None:
        """Make the calls of other threads on this connection fail at once."""
        self._is_aborted = True
        if self._socket is not None:
            with suppress(OSError):
                # The method of the base class: that of TLS sockets would let a running call go on without encryption.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _connect_first(self) -> socket.socket:
        error: OSError = ConnectionError(f"The host {self.host} has no addresses")
        for address in self._addresses:
            try:
                connected = socket.create_connection((address, self.port), self._timeouts.connect)
            except OSError as failure:
                error = failure
                continue
            connected.settimeout(self._timeouts.read)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connected
        raise error

    def _watched(self, connected: socket.socket) -> socket.socket:
        self._socket = connected
        if self._is_aborted:
            connected.close()
            raise ConnectionAbortedError
        return connected
