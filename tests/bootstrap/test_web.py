"""The fetcher of pictures and the webhook that the settings describe."""

import base64
import logging
from pathlib import Path

import pytest

from lookalike.bootstrap import Services, services
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Forbidden, TooLarge
from lookalike.domain.ports.pictures import Validators
from lookalike.images import MAX_BYTES
from lookalike.settings import read_settings
from tests.emulators.web_server import web_server


def fetch(url: str) -> bytes:
    opened = Services(read_settings())
    found = opened.pictures.fetch(url, Validators(), CancelToken())
    assert found is not None and opened.pictures is opened.pictures
    return found.data


def test_pictures_come_from_permitted_hosts(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with web_server() as server:
        server.responses |= {
            "/a.jpg": lambda handler: handler.reply(200, b"picture", Connection="close"),
            "/large.jpg": lambda handler: handler.start(200, Content_Length=str(MAX_BYTES + 1), Connection="close"),
        }
        url = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(Forbidden, match="PICTURE_HOSTS"):
            fetch(f"{url}/a.jpg")
        monkeypatch.setenv("PICTURE_HOSTS", f"127.0.0.1:{server.server_port}")
        assert fetch(f"{url}/a.jpg") == b"picture"
        assert server.received[0].headers["user-agent"].startswith("lookalike/")
        with pytest.raises(TooLarge, match="16 MiB"):
            fetch(f"{url}/large.jpg")


def test_nobody_is_told_without_a_webhook(real: Services) -> None:
    assert real.notify.webhooks is None


@pytest.mark.parametrize("url", ["http://localhost:9/hook", "http://169.254.169.254/hook"])
def test_webhook_is_not_sent_to_local_names_and_metadata_services(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, url: str
) -> None:
    monkeypatch.setenv("WEBHOOK_URL", url)
    monkeypatch.setenv("WEBHOOK_SECRET", "whsec_" + base64.b64encode(bytes(32)).decode())
    services.cache_clear()
    with caplog.at_level(logging.ERROR, "lookalike.webhooks"):
        opened = Services(read_settings())
        assert opened.notify.bulk_ingest_done("photos", {}, {}, CancelToken()) is False
    assert "WEBHOOK_URL" in vars(caplog.records[0])["reason"]
