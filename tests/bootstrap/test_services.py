"""Services with the settings of the cloud, where the container's user cannot write to LOOKALIKE_HOME."""

from pathlib import Path

import pytest

from lookalike.bootstrap import Services
from lookalike.domain.errors import Unavailable
from lookalike.settings import read_settings
from tests.test_settings import REMOTE


def test_services_in_the_cloud_create_no_files(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**REMOTE, "SUPABASE_KEY": "public"}.items():
        monkeypatch.setenv(name, value)
    services = Services(read_settings())
    assert services.store and services.catalog and services.auth and services.accounts
    assert services.versions and services.reindex and services.open_store("gs://photos")
    assert not home.exists()


def test_only_thumbnails_of_the_own_bucket_are_linked_through_the_cdn(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cdn = {"CDN_URL": "https://shop.example/pictures", "CDN_KEY": "key-1:AAECAwQFBgcICQoLDA0ODw"}
    for name, value in {**REMOTE, "STORE_URL": "gs://closet/photos", **cdn}.items():
        monkeypatch.setenv(name, value)
    services = Services(read_settings())
    assert services.store.url("a.thumbnail.jpg").startswith(
        "https://shop.example/pictures/photos/a.thumbnail.jpg?Expires="
    )
    with pytest.raises(Unavailable):
        services.open_store("gs://other").url("a.thumbnail.jpg")


def test_local_services_create_their_secrets_on_first_use(real: Services, home: Path) -> None:
    assert real.store and (home / "secrets.json").exists()
