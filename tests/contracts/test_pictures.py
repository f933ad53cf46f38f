"""Contract of the port `PictureFetcher`: the fake, and HTTP with a local server."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Cancelled, Forbidden, InvalidField, NotFound
from lookalike.domain.ports.pictures import FetchedPicture, PictureFetcher, Validators
from tests.adapters.web_harness import PICTURE, address, client_of, pictures_of
from tests.emulators.web_server import Handler, web_server
from tests.fakes.pictures import FakePictures


@dataclass(frozen=True)
class World:
    """A fetcher, the address of a path, and a function that sets the picture there."""

    pictures: PictureFetcher
    address: Callable[[str], str]
    put: Callable[[str, bytes], None]


def serve(data: bytes) -> Callable[[Handler], None]:
    etag = f'"{len(data)}"'

    def respond(handler: Handler) -> None:
        if handler.headers["If-None-Match"] == etag:
            handler.reply(304)
        else:
            handler.reply(200, data, ETag=etag, Content_Type="image/jpeg")

    return respond


@pytest.fixture(params=["fake", "http"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "fake":
        fake, base = FakePictures(), "https://images.shop.example"
        fake.errors[f"{base}/private"] = Forbidden("The address is not public")
        yield World(fake, lambda path: base + path, lambda path, data: fake.pictures.update({base + path: data}))
        return
    with web_server() as server:
        server.responses["/private"] = lambda handler: handler.reply(302, Location="http://169.254.169.254/")
        client = client_of(server)

        def put(path: str, data: bytes) -> None:
            server.responses[path] = serve(data)

        yield World(pictures_of(client), lambda path: address(server, path), put)
        client.close()


def fetch(world: World, path: str, known: Validators | None = None) -> FetchedPicture | None:
    return world.pictures.fetch(world.address(path), known or Validators(), CancelToken())


def test_picture_is_fetched_until_it_is_known_and_again_if_it_changes(world: World) -> None:
    world.put("/a.jpg", PICTURE)
    first = fetch(world, "/a.jpg")
    assert first is not None and first.data == PICTURE and first.validators.etag
    assert fetch(world, "/a.jpg", first.validators) is None
    world.put("/a.jpg", PICTURE + b"changed")
    changed = fetch(world, "/a.jpg", first.validators)
    assert changed is not None and changed.data == PICTURE + b"changed" and changed.validators != first.validators


def test_errors(world: World) -> None:
    with pytest.raises(NotFound):
        fetch(world, "/missing.jpg")
    with pytest.raises(Forbidden):
        fetch(world, "/private")
    for wrong in ("no address", "ftp://shop.example/a.jpg", "https://me:password@shop.example/a.jpg"):
        with pytest.raises(InvalidField):
            world.pictures.fetch(wrong, Validators(), CancelToken())


def test_cancelled_fetch_raises(world: World) -> None:
    world.put("/a.jpg", PICTURE)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        world.pictures.fetch(world.address("/a.jpg"), Validators(), token)
