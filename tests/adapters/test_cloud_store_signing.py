"""Signed URLs of the Cloud Storage adapter, signed with a key or by IAM."""

from collections.abc import Iterator
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from google.auth.credentials import Credentials

from lookalike.adapters.cloud_store import CloudStore
from lookalike.domain.errors import Unavailable
from tests.adapters.test_cloud_store import PNG, cloud_store
from tests.emulators.signatures import credentials_with_key
from tests.emulators.storage_server import Fault, StorageServer, storage_server


class KeylessCredentials(Credentials):
    """Credentials as from the metadata server: without a key, and with an account and a token only after a refresh."""

    service_account_email, account = "default", ""

    def refresh(self, _: object) -> None:
        self.service_account_email, self.token = self.account, "a-token"


def keyless_credentials(account: str) -> KeylessCredentials:
    credentials = KeylessCredentials()  # type: ignore[no-untyped-call]
    credentials.account = account
    return credentials


@pytest.fixture
def server() -> Iterator[StorageServer]:
    with storage_server("closet") as running:
        yield running


def test_url_signed_with_a_key_opens_only_its_object(server: StorageServer) -> None:
    credentials = credentials_with_key(server.account).with_token_uri(f"{server.url}/token")
    check_signed_url(server, cloud_store(server, credentials))
    assert not any("signBlob" in request.path for request in server.requests)


def test_url_signed_by_iam_opens_only_its_object(server: StorageServer) -> None:
    check_signed_url(server, cloud_store(server, keyless_credentials(server.account)))


def check_signed_url(server: StorageServer, store: CloudStore) -> None:
    store.put("look/ä b.png", b"pixels", PNG)
    store.put("other.png", b"secret", PNG)
    server.faults = [Fault("error", 1)]
    url = store.url("look/ä b.png")
    server.faults = []
    with urlopen(url) as response:
        assert response.read() == b"pixels" and response.headers["Content-Type"] == PNG
    for wrong in (
        url.replace("look/%C3%A4%20b.png", "other.png"),
        url.replace("Expires=3600", "Expires=36000"),
    ):
        assert wrong != url
        with pytest.raises(HTTPError, match="403") as raised:
            urlopen(wrong)
        raised.value.close()


def test_url_is_valid_for_seven_days_at_most(server: StorageServer) -> None:
    store = cloud_store(server, keyless_credentials(server.account))
    assert "X-Goog-Expires=604800" in store.url("a.png", expires_in=10**9)


def test_url_without_permission_to_sign_is_unavailable(server: StorageServer) -> None:
    with pytest.raises(Unavailable, match=r"iam\.serviceAccounts\.signBlob"):
        cloud_store(server, keyless_credentials("somebody@else")).url("a.png")
    with pytest.raises(Unavailable, match=r"iam\.serviceAccounts\.signBlob"):
        cloud_store(server).url("a.png")
