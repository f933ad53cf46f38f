"""Services with the settings of the cloud, where the container's user cannot write to LOOKALIKE_HOME."""

from pathlib import Path

import pytest

from lookalike.bootstrap import Services
from lookalike.settings import read_settings
from tests.test_settings import REMOTE


def test_services_in_the_cloud_create_no_files(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**REMOTE, "SUPABASE_KEY": "public"}.items():
        monkeypatch.setenv(name, value)
    services = Services(read_settings())
    assert services.store and services.catalog and services.auth and services.accounts
    assert services.versions and services.reindex and services.open_store("gs://photos")
    assert not home.exists()


def test_local_services_create_their_secrets_on_first_use(real: Services, home: Path) -> None:
    assert real.store and (home / "secrets.json").exists()
