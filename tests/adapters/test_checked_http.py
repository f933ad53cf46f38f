"""Server-side request forgery: which hosts are connected to, with which names, and how often a name is resolved."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lookalike.adapters.checked_http import CheckedHttp, RetryPolicy, Timeouts, WebRequest
from lookalike.adapters.checked_http.connection import default_tls_context, resolve_host
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Cancelled, Forbidden, Unavailable
from lookalike.domain.ports.pictures import Validators
from lookalike.domain.web_address import AllowedHosts, parse_web_address
from tests.adapters.web_harness import HOST, PICTURE, FakeResolver, address, client_of, pictures_of, reply, trust
from tests.emulators.web_server import WebServer, certificate, server_tls, web_server


def fetch(client: CheckedHttp, url: str) -> bytes:
    found = pictures_of(client, RetryPolicy(2, 0.02, 1)).fetch(url, Validators(), CancelToken())
    assert found is not None
    return found.data


@pytest.fixture(autouse=True)
def connections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts of all connections. A host name fails: it would be resolved a second time."""
    connected: list[str] = []
    resolve = socket.getaddrinfo

    def literal_addresses_only(host: str, *arguments: Any, **options: Any) -> Any:
        connected.append(host)
        return resolve(host, *arguments, **options | {"flags": socket.AI_NUMERICHOST})

    monkeypatch.setattr(socket, "getaddrinfo", literal_addresses_only)
    return connected


# Every test has a server that would respond, so that a missing check shows.


@pytest.mark.parametrize(
    "resolved",
    [
        ["127.0.0.1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["0.0.0.0"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["fe80::1"],
        ["fe80::1%2"],
        ["fd00:ec2::254"],
        ["fd12::1"],
        ["100.64.0.1"],
        ["198.18.0.1"],
        ["64:ff9b::a9fe:a9fe"],
        ["2002:7f00:1::"],
        ["224.0.0.1"],
        ["8.8.8.8", "127.0.0.1"],
        ["2606:4700::1111", "::1"],
    ],
)
def test_host_with_an_address_that_is_not_public_is_refused(
    server: WebServer, connections: list[str], resolved: list[str]
) -> None:
    server.responses["/a.jpg"] = reply()
    client = client_of(server, FakeResolver(resolved), f"{HOST}:{server.server_port}")
    with pytest.raises(Forbidden, match=f"leads to {resolved[-1].split('%')[0]}"):
        fetch(client, address(server))
    assert not connections and not server.received


@pytest.mark.parametrize("host", ["localhost", "metadata.google.internal", "metadata.goog", "printer.local", "db"])
def test_local_names_and_metadata_services_are_not_resolved(server: WebServer, host: str) -> None:
    resolver = FakeResolver(["8.8.8.8"])
    with pytest.raises(Forbidden):
        fetch(client_of(server, resolver, ""), f"http://{host}/a.jpg")
    assert not resolver.names


@pytest.mark.parametrize(
    "literal", ["127.0.0.1", "[::1]", "169.254.169.254", "[::ffff:169.254.169.254]", "192.168.1.1"]
)
def test_ip_addresses_in_the_url_are_checked(connections: list[str], literal: str) -> None:
    client = CheckedHttp(AllowedHosts())
    with pytest.raises(Forbidden):
        fetch(client, f"http://{literal}/latest/meta-data")
    assert set(connections) <= {parse_web_address(f"http://{literal}").host}


def test_other_ports_are_refused_unless_listed(server: WebServer) -> None:
    server.responses["/a.jpg"] = reply()
    resolver = FakeResolver(["127.0.0.1"])
    with pytest.raises(Forbidden, match=f"PICTURE_HOSTS can permit it as {HOST}:{server.server_port}"):
        fetch(client_of(server, resolver, "127.0.0.0/8"), address(server))
    assert not resolver.names and fetch(client_of(server, resolver), address(server)) == PICTURE


def test_name_is_resolved_once_for_a_connection(server: WebServer, connections: list[str]) -> None:
    """DNS rebinding: the first answer is permitted, the second is not. Only the first is used."""
    server.responses["/a.jpg"] = reply()
    resolver = FakeResolver(["127.0.0.1"], ["169.254.169.254"])
    client = client_of(server, resolver)
    assert fetch(client, address(server)) == PICTURE
    assert resolver.names == [HOST] and connections == ["127.0.0.1"]
    # the next connection is checked again
    client.close()
    with pytest.raises(Forbidden, match=r"169\.254\.169\.254"):
        fetch(client, address(server))
    assert connections == ["127.0.0.1"]


def test_rebinding_between_a_request_and_its_redirect_is_refused(server: WebServer, connections: list[str]) -> None:
    server.responses |= {"/a.jpg": reply(302, b"moved", Location="/b.jpg"), "/b.jpg": reply()}
    client = client_of(server, FakeResolver(["127.0.0.1"], ["10.0.0.1"]))
    with pytest.raises(Forbidden, match=r"leads to 10\.0\.0\.1"):
        fetch(client, address(server))
    assert connections == ["127.0.0.1"] and [request.path for request in server.received] == ["/a.jpg"]


def test_next_address_is_tried_if_one_does_not_respond(server: WebServer, connections: list[str]) -> None:
    server.responses["/a.jpg"] = reply()
    assert fetch(client_of(server, FakeResolver(["127.0.0.9", "127.0.0.1"])), address(server)) == PICTURE
    assert connections == ["127.0.0.9", "127.0.0.1"]


def test_proxy_of_the_environment_is_not_used(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would resolve the name itself."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server.responses["/a.jpg"] = reply()
    assert fetch(client_of(server), address(server)) == PICTURE


def test_system_resolver_returns_each_address_once() -> None:
    assert resolve_host("127.0.0.1", 80) == ["127.0.0.1"] and resolve_host("::1", 443) == ["::1"]


def test_name_that_does_not_exist_is_not_retried(server: WebServer) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    client = CheckedHttp(AllowedHosts(), resolver=resolve)
    with pytest.raises(Unavailable, match="cannot be resolved"):
        fetch(client, "https://images.shop.example/a.jpg")
    assert len(asked) == 1


def test_cancellation_does_not_wait_for_the_resolver() -> None:
    release, token = threading.Event(), CancelToken(time.monotonic() + 30)

    def resolve(host: str, port: int) -> list[str]:
        token.cancel()
        release.wait(10)
        return ["8.8.8.8"]

    client = CheckedHttp(AllowedHosts(), resolver=resolve)
    started = time.monotonic()
    with pytest.raises(Cancelled):
        client.send(WebRequest("GET", parse_web_address("https://shop.example/"), {}), token)
    assert time.monotonic() - started < 0.5
    release.set()


# TLS


@contextmanager
def tls_server(name: str, folder: Path, requested: list[str | None]) -> Iterator[tuple[WebServer, Path]]:
    """Run a server with a certificate for a name. Appends the names that clients ask for (SNI)."""
    pem = certificate(name, folder)
    context = server_tls(pem)
    context.sni_callback = lambda _, name, __: requested.append(name)
    with web_server(context) as server:
        server.responses["/a.jpg"] = reply()
        yield server, pem


def test_certificate_is_verified_for_the_host_name_of_a_connection_to_an_address(tmp_path: Path) -> None:
    names: list[str | None] = []
    with tls_server(HOST, tmp_path, names) as (server, pem):
        client = client_of(server, tls=trust(pem))
        assert fetch(client, address(server, scheme="https")) == PICTURE
        assert fetch(client, address(server, scheme="https")) == PICTURE
        client.close()
    assert names == [HOST] and server.received[0].headers["host"] == f"{HOST}:{server.server_port}"


def test_certificate_of_another_name_is_refused_and_not_retried(tmp_path: Path) -> None:
    with tls_server("other.example", tmp_path, []) as (server, pem):
        with pytest.raises(Unavailable, match=f"certificate is not valid .*{HOST}"):
            fetch(client_of(server, tls=trust(pem)), address(server, scheme="https"))
        assert not server.received


def test_certificate_of_an_unknown_authority_is_refused(tmp_path: Path) -> None:
    with tls_server(HOST, tmp_path, []) as (server, _):
        with pytest.raises(Unavailable, match="certificate is not valid"):
            fetch(client_of(server), address(server, scheme="https"))
        assert not server.received


def test_default_context_verifies_certificates() -> None:
    context = default_tls_context()
    assert context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_silent_server_does_not_delay_the_end_of_a_handshake(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        allowed = AllowedHosts.parse(f"{HOST}:{port},127.0.0.0/8")
        client = CheckedHttp(allowed, Timeouts(5, 5, 0.4), FakeResolver())
        request = WebRequest("GET", parse_web_address(f"https://{HOST}:{port}/"), {})
        with pytest.raises(Unavailable, match=r"within 0\.4 s"):
            client.send(request, CancelToken())
