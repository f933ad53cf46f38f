"""Links through Cloud CDN: their signatures, and which objects have one."""

import base64
import time

import pytest

from lookalike.adapters.cloud_store import CdnLinks, CloudStore
from lookalike.adapters.cloud_store.cdn import STEP
from lookalike.domain.cdn import CdnKey, parse_cdn_key, sign_url
from lookalike.domain.errors import InvalidField
from tests.emulators.cdn import is_served
from tests.emulators.signatures import credentials_with_key

KEY = CdnKey("key-1", bytes(range(16)))
ADDRESS = "https://shop.example/pictures"
PUBLISHED = {
    "http://35.186.234.33/index.html": "CRFqQnVfFyiUyR63OQf-HRUpIwc=",
    "http://www.example.com/": "OqDUFfHpN5Vxga6r80bhsgxKves=",
    "http://www.example.com/some/path?some=query&another=param": "9Q9TCxSju8-W5nUkk5CuTrun2_o=",
}
"""Signatures that Google publishes with its own samples, for one key and expiry."""


@pytest.mark.parametrize("url", PUBLISHED)
def test_signature_is_the_one_that_google_publishes(url: str) -> None:
    key = parse_cdn_key("my-key:nZtRohdNF9m3cKM24IcK4w==")
    signed = f"{url}{'&' if '?' in url else '?'}Expires=1549751401&KeyName=my-key&Signature={PUBLISHED[url]}"
    assert sign_url(url, 1549751401, key) == signed
    assert is_served(signed, {"my-key": key.secret}, 1549751400) and not is_served(
        signed, {"my-key": key.secret}, 1549751402
    )


def store(prefix: str = "") -> CloudStore:
    """A store whose links to other objects than thumbnails are signed by a service account, without a request."""
    return CloudStore(
        "closet", prefix, None, credentials_with_key("relay@shop"), thumbnail_links=CdnLinks(ADDRESS, KEY)
    )


@pytest.mark.parametrize("path", ["look/segment_0.thumbnail.jpg", "ä b/%2F+&=?#'().thumbnail.jpg"])
def test_link_opens_only_its_thumbnail(path: str) -> None:
    url, keys, now = store("photos").url(path), {"key-1": KEY.secret}, time.time()
    assert url.startswith(f"{ADDRESS}/photos/") and "#" not in url and " " not in url
    assert is_served(url, keys, now + 3600 - 1) and not is_served(url, keys, now + 3600 + STEP + 1)
    assert not is_served(url, {"key-1": bytes(16)}, now) and not is_served(url, {"key-2": KEY.secret}, now)
    for wrong in (url.replace("/photos/", "/other/"), url.replace("Expires=", "Expires=9"), url.partition("?")[0]):
        assert wrong != url and not is_served(wrong, keys, now)


@pytest.mark.parametrize(
    "path", ["look/segment_0.png", "look/original.jpg", "index/current.json", "x.thumbnail.jpg.bin"]
)
def test_other_objects_have_no_link_through_the_cdn(path: str) -> None:
    url = store().url(path)
    assert url.startswith("https://storage.googleapis.com/closet/") and "X-Goog-Signature=" in url
    assert not is_served(url, {"key-1": KEY.secret}, 0)


@pytest.mark.parametrize(
    "path", ["../x.thumbnail.jpg", "/x.thumbnail.jpg", "x" * 1100 + ".thumbnail.jpg", "a//.thumbnail.jpg"]
)
def test_invalid_path_of_a_thumbnail_is_refused(path: str) -> None:
    with pytest.raises(InvalidField):
        store().url(path)


def test_name_with_its_prefix_must_not_be_too_long() -> None:
    with pytest.raises(InvalidField, match="1024"):
        store("p" * 200).url("/".join(["x" * 200] * 4) + "/" + "x" * 50 + ".thumbnail.jpg")


def test_links_of_the_same_time_are_equal_and_those_of_later_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    links, moment = CdnLinks(ADDRESS, KEY), 1_800_000_000.0
    times = [moment + seconds for seconds in (1, STEP - 1, STEP, STEP + 1)]
    urls = []
    for now in times:
        monkeypatch.setattr(time, "time", lambda now=now: now)
        urls.append(links.url("a.thumbnail.jpg", 3600))
    assert urls[0] == urls[1] == urls[2] != urls[3]


@pytest.mark.parametrize("padding", ["", "=="])
def test_key_is_read_with_and_without_padding(padding: str) -> None:
    encoded = base64.urlsafe_b64encode(KEY.secret).decode().rstrip("=")
    assert parse_cdn_key(f"key-1:{encoded}{padding}") == KEY
    assert encoded not in repr(KEY) and str(KEY.secret) not in repr(KEY)


@pytest.mark.parametrize(
    "text", ["key-1", "key-1:", ":AAECAwQFBgcICQoLDA0ODw==", "key-1:AAEC", "a b:AAECAwQFBgcICQoLDA0ODw"]
)
def test_wrong_keys_are_refused_without_showing_them(text: str) -> None:
    with pytest.raises(ValueError, match="name of the key") as error:
        parse_cdn_key(text)
    assert "AAEC" not in str(error.value)
