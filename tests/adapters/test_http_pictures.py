"""Pictures fetched from a local server: what is fetched, refused and retried."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest

from lookalike.adapters.checked_http import RetryPolicy, Timeouts
from lookalike.adapters.http_pictures import HttpPictures
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import (
    Cancelled,
    DeadlineExceeded,
    Forbidden,
    InvalidField,
    LookalikeError,
    NotFound,
    TooLarge,
    Unavailable,
    UnsupportedFormat,
)
from lookalike.domain.ports.pictures import FetchedPicture, Validators
from tests.adapters.web_harness import (
    HOST,
    MAX_BYTES,
    PICTURE,
    USER_AGENT,
    FakeResolver,
    address,
    client_of,
    in_turn,
    pictures_of,
    reply,
)
from tests.emulators.web_server import Handler, WebServer, web_server

NOTHING = Validators()


@pytest.fixture
def pictures(server: WebServer) -> HttpPictures:
    return pictures_of(client_of(server))


def fetch(pictures: HttpPictures, url: str, known: Validators = NOTHING) -> FetchedPicture | None:
    return pictures.fetch(url, known, CancelToken())


def data_of(pictures: HttpPictures, url: str) -> bytes:
    found = fetch(pictures, url)
    assert found is not None
    return found.data


# What is fetched


def test_picture_is_fetched_with_its_validators(server: WebServer, pictures: HttpPictures) -> None:
    modified = "Wed, 25 Nov 2026 10:00:00 GMT"
    server.responses["/a.jpg"] = reply(ETag='"one"', Last_Modified=modified)
    assert fetch(pictures, address(server, "/a.jpg?w=1")) == FetchedPicture(PICTURE, Validators('"one"', modified))
    (request,) = server.received
    assert request.path == "/a.jpg?w=1" and request.headers["user-agent"] == USER_AGENT
    assert request.headers["host"] == f"{HOST}:{server.server_port}"
    assert request.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("kind", ["image/png", "IMAGE/JPEG; q=1", "application/octet-stream", "binary/octet-stream"])
def test_types_of_pictures_are_accepted(server: WebServer, pictures: HttpPictures, kind: str) -> None:
    server.responses["/a.jpg"] = reply(Content_Type=kind)
    assert data_of(pictures, address(server)) == PICTURE


def test_chunked_picture_and_one_without_a_length_are_fetched(server: WebServer, pictures: HttpPictures) -> None:
    def chunked(handler: Handler) -> None:
        handler.start(200, Content_Type="image/jpeg", Transfer_Encoding="chunked")
        for start in range(0, len(PICTURE), 1000):
            part = PICTURE[start : start + 1000]
            handler.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        handler.wfile.write(b"0\r\n\r\n")

    def until_closed(handler: Handler) -> None:
        handler.start(200, Connection="close")
        handler.wfile.write(PICTURE)

    server.responses |= {"/a.jpg": chunked, "/b.jpg": until_closed}
    assert data_of(pictures, address(server)) == data_of(pictures, address(server, "/b.jpg")) == PICTURE


def test_connections_are_reused_also_after_the_server_has_closed_them(server: WebServer) -> None:
    resolver = FakeResolver()
    pictures = pictures_of(client_of(server, resolver))
    server.responses["/a.jpg"] = reply()

    def close_silently(handler: Handler) -> None:
        handler.reply(200, PICTURE)
        handler.close_connection = True

    server.responses["/last.jpg"] = close_silently
    for path in ("/a.jpg", "/a.jpg", "/last.jpg", "/a.jpg"):
        assert data_of(pictures, address(server, path)) == PICTURE
    first, second, third, fourth = [request.connection for request in server.received]
    assert first == second == third != fourth and len(resolver.names) == 2


def test_unchanged_picture_is_not_fetched(server: WebServer, pictures: HttpPictures) -> None:
    def unless_known(handler: Handler) -> None:
        is_known = handler.headers["If-None-Match"] == '"one"'
        handler.reply(304) if is_known else handler.reply(200, PICTURE, ETag='"two"')

    server.responses["/a.jpg"] = unless_known
    date = "Wed, 25 Nov 2026 10:00:00 GMT"
    assert fetch(pictures, address(server), Validators('"one"', date)) is None
    assert server.received[-1].headers["if-modified-since"] == date
    assert fetch(pictures, address(server), Validators('"old"')) == FetchedPicture(PICTURE, Validators('"two"'))
    assert len({request.connection for request in server.received}) == 1


def test_304_without_validators_is_an_error(server: WebServer, pictures: HttpPictures) -> None:
    server.responses["/a.jpg"] = reply(304, b"")
    with pytest.raises(InvalidField, match="304"):
        fetch(pictures, address(server))


def test_validators_with_line_breaks_are_not_sent_back(server: WebServer, pictures: HttpPictures) -> None:
    server.responses["/a.jpg"] = reply(ETag='"one"\r\n folded')
    assert fetch(pictures, address(server), Validators('"a"\r\nX-Injected: yes')) == FetchedPicture(PICTURE)
    assert "x-injected" not in server.received[0].headers and "if-none-match" not in server.received[0].headers


# What is refused


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, NotFound), (410, NotFound), (401, Forbidden), (403, Forbidden), (400, InvalidField), (206, InvalidField)],
)
def test_other_statuses_are_errors(
    server: WebServer, pictures: HttpPictures, status: int, error: type[LookalikeError]
) -> None:
    server.responses["/a.jpg"] = reply(status)
    with pytest.raises(error, match=rf"{HOST}.*{status}"):
        fetch(pictures, address(server, "/a.jpg?signature=secret"))
    assert len(server.received) == 1


def test_other_types_and_compressed_bodies_are_refused(server: WebServer, pictures: HttpPictures) -> None:
    server.responses |= {"/a.jpg": reply(Content_Type="text/html"), "/b.jpg": reply(Content_Encoding="gzip")}
    with pytest.raises(UnsupportedFormat, match="text/html"):
        fetch(pictures, address(server))
    with pytest.raises(UnsupportedFormat, match="gzip"):
        fetch(pictures, address(server, "/b.jpg"))


def test_large_pictures_are_refused_before_and_while_reading(server: WebServer, pictures: HttpPictures) -> None:
    sent = 0

    def endless(handler: Handler) -> None:
        nonlocal sent
        handler.start(200, Content_Type="image/jpeg", Transfer_Encoding="chunked")
        while sent < 100 * MAX_BYTES:
            handler.wfile.write(b"2710\r\n" + bytes(10_000) + b"\r\n")
            sent += 10_000

    server.responses |= {"/a.jpg": lambda handler: handler.start(200, Content_Length="1000000"), "/b.jpg": endless}
    for path in ("/a.jpg", "/b.jpg"):
        with pytest.raises(TooLarge, match="MiB"):
            fetch(pictures, address(server, path))
    assert sent < 100 * MAX_BYTES
    server.responses["/a.jpg"] = reply(data=bytes(MAX_BYTES))
    assert len(data_of(pictures, address(server))) == MAX_BYTES


# Redirects


def test_redirects_to_the_same_host_are_followed(server: WebServer, pictures: HttpPictures) -> None:
    server.responses |= {f"/{number}": reply(302, b"", Location=f"/{number + 1}?x=1") for number in range(4)}
    server.responses["/3"] = reply()
    assert data_of(pictures, address(server, "/0")) == PICTURE
    server.responses |= {"/3": reply(308, b"", Location="/4"), "/4": reply()}
    with pytest.raises(Forbidden, match="more than 3 times"):
        fetch(pictures, address(server, "/0"))


@pytest.mark.parametrize(
    "target",
    ["http://other.example/b.jpg", "http://169.254.169.254/latest", "//127.0.0.1/b.jpg", f"http://{HOST}/b.jpg"],
)
def test_redirects_elsewhere_are_refused_and_named(server: WebServer, pictures: HttpPictures, target: str) -> None:
    server.responses["/a.jpg"] = reply(301, b"", Location=target)
    with pytest.raises(Forbidden, match="redirects to http://" + target.split("/")[2]):
        fetch(pictures, address(server))
    assert len(server.received) == 1


def test_redirects_to_other_schemes_are_refused(server: WebServer, pictures: HttpPictures) -> None:
    server.responses["/a.jpg"] = reply(302, b"", Location="file:///etc/passwd")
    with pytest.raises(InvalidField, match="http"):
        fetch(pictures, address(server))


# Retries


def test_temporary_failures_are_retried(server: WebServer, pictures: HttpPictures) -> None:
    def cut(handler: Handler) -> None:
        handler.start(200, Content_Length=str(len(PICTURE)))
        handler.wfile.write(PICTURE[:100])
        handler.close_connection = True

    server.responses["/a.jpg"] = in_turn(reply(503), cut, reply())
    assert data_of(pictures, address(server)) == PICTURE
    server.responses["/a.jpg"] = reply(500)
    with pytest.raises(Unavailable, match="500, after 3 attempts"):
        fetch(pictures, address(server))
    server.responses["/a.jpg"] = cut
    with pytest.raises(Unavailable, match="ended early"):
        fetch(pictures, address(server))


def test_retry_after_is_respected_in_seconds_and_as_a_date(server: WebServer, pictures: HttpPictures) -> None:
    def in_two_seconds(handler: Handler) -> None:
        handler.reply(503, Retry_After=format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True))

    server.responses |= {
        "/a.jpg": in_turn(reply(429, Retry_After="1"), reply()),
        "/b.jpg": in_turn(in_two_seconds, reply()),
        "/c.jpg": reply(503, Retry_After="3600"),
    }
    for path in ("/a.jpg", "/b.jpg"):
        assert data_of(pictures, address(server, path)) == PICTURE
        first, second = [request.at for request in server.received if request.path == path]
        assert 0.8 < second - first < 3
    started = time.monotonic()
    with pytest.raises(Unavailable, match="asks to wait 3600 s, after 1 attempts"):
        fetch(pictures, address(server, "/c.jpg"))
    assert time.monotonic() - started < 1


def test_server_that_is_not_there_is_unavailable(server: WebServer) -> None:
    with web_server() as stopped:
        url = address(stopped)
        pictures = pictures_of(client_of(stopped), RetryPolicy(2, 0.05, 1))
    with pytest.raises(Unavailable, match="after 2 attempts"):
        fetch(pictures, url)


# Limits per host, time and cancellation


def test_at_most_four_requests_to_a_host_at_a_time(server: WebServer, pictures: HttpPictures) -> None:
    def slowly(handler: Handler) -> None:
        time.sleep(0.05)
        handler.reply(200, PICTURE)

    server.responses["/a.jpg"] = slowly
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: data_of(pictures, address(server)), range(32)))
    assert found == [PICTURE] * 32 and server.most_running == 4


def test_requests_are_spaced_after_429(server: WebServer, pictures: HttpPictures) -> None:
    server.responses |= {"/a.jpg": reply(), "/busy.jpg": in_turn(reply(429), reply())}
    for _ in range(3):
        fetch(pictures, address(server))
    fetch(pictures, address(server, "/busy.jpg"))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: fetch(pictures, address(server)), range(4)))
    gaps = [later.at - earlier.at for earlier, later in pairwise(server.received[5:])]
    assert len(gaps) == 3 and min(gaps) > 0.1


@pytest.mark.parametrize("when", ["headers", "body", "drip", "queue", "retry"])
def test_cancellation_ends_a_fetch_within_half_a_second(server: WebServer, when: str) -> None:
    pictures = pictures_of(client_of(server, timeouts=Timeouts(20, 20, 60)), RetryPolicy(3, 10, 30))
    release, entered = threading.Event(), threading.Event()

    def respond(handler: Handler) -> None:
        entered.set()
        if when == "retry":
            return handler.reply(503)
        if when in ("body", "drip"):
            handler.start(200, Content_Length=str(len(PICTURE)))
        while not release.wait(0.05):
            if when == "drip":
                handler.wfile.write(b"x")
        return None

    server.responses["/a.jpg"] = respond
    token = CancelToken()
    with ThreadPoolExecutor(8) as pool:
        running = [
            pool.submit(pictures.fetch, address(server), NOTHING, token) for _ in range(5 if when == "queue" else 1)
        ]
        assert entered.wait(5)
        time.sleep(0.2)
        cancelled_at = time.monotonic()
        token.cancel()
        for future in running:
            with pytest.raises(Cancelled):
                future.result(2)
        assert time.monotonic() - cancelled_at < 0.5
    release.set()


def test_deadline_of_the_token_ends_a_fetch(server: WebServer, pictures: HttpPictures) -> None:
    server.responses["/a.jpg"] = lambda _: time.sleep(1.5)
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        pictures.fetch(address(server), NOTHING, CancelToken(started + 0.3))
    assert time.monotonic() - started < 0.8


def test_slow_server_is_given_up(server: WebServer) -> None:
    """A server that sends a little at a time is limited by the total time, a silent one by the time without data."""

    def drip(handler: Handler) -> None:
        handler.start(200, Content_Length="1000")
        for _ in range(40):
            handler.wfile.write(b"x")
            time.sleep(0.05)

    server.responses |= {"/a.jpg": drip, "/b.jpg": lambda _: time.sleep(1)}
    total = pictures_of(client_of(server, timeouts=Timeouts(1, 1, 0.4)))
    with pytest.raises(Unavailable, match=r"completely within 0\.4 s"):
        fetch(total, address(server))
    silent = pictures_of(client_of(server, timeouts=Timeouts(1, 0.2, 5)), RetryPolicy(2, 0.01, 1))
    with pytest.raises(Unavailable, match="2 attempts: timed out"):
        fetch(silent, address(server, "/b.jpg"))
    assert len([request for request in server.received if request.path == "/b.jpg"]) == 2
