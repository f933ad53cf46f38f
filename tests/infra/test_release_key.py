"""The job that creates the API key of releases."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from infra.docker.release_key import NAME, replace_key
from lookalike.bootstrap import Services
from lookalike.domain.errors import Unauthenticated
from tests.emulators.cloud_run_services import served
from tests.infra.deployment import terraform

SECRET = "projects/shop/secrets/lookalike-release-key"


@contextmanager
def secret_manager(versions: list[str], status: str = "200 OK") -> Iterator[str]:
    """Run an emulator of the one method that the job calls."""

    def respond(environ: dict[str, Any], start_response: Any) -> Any:
        assert (environ["REQUEST_METHOD"], environ["PATH_INFO"]) == ("POST", f"/v1/{SECRET}:addVersion")
        body = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        if status.startswith("200"):
            versions.append(base64.b64decode(body["payload"]["data"]).decode())
        start_response(status, [("Content-Length", "2")])
        return [b"{}"]

    with served(respond) as url:
        yield url


def test_key_is_stored_and_replaces_the_one_of_before(real: Services) -> None:
    versions: list[str] = []
    with secret_manager(versions) as url, requests.Session() as session:
        for _ in range(2):
            replace_key(real.api_keys, SECRET, session, url)
    first, second = versions
    key = real.api_keys.verify(second, "")
    assert (key.name, str(key.role), key.expires) == (NAME, "admin", None)
    with pytest.raises(Unauthenticated, match="revoked"):
        real.api_keys.verify(first, "")


def test_key_that_cannot_be_stored_is_revoked_and_the_one_of_before_stays(real: Services) -> None:
    versions: list[str] = []
    with requests.Session() as session:
        with secret_manager(versions) as url:
            replace_key(real.api_keys, SECRET, session, url)
        with secret_manager(versions, "403 Forbidden") as url, pytest.raises(requests.HTTPError, match="403"):
            replace_key(real.api_keys, SECRET, session, url)
    assert len(versions) == 1 and real.api_keys.verify(versions[0], "")
    assert [key.revoked is None for key in real.api_keys.list_keys()] in ([False, True], [True, False])


def test_job_runs_the_script_when_the_signing_key_changes() -> None:
    job = terraform().resources["google_cloud_run_v2_job.release_key"]["template"][0]["template"][0]
    (container,) = job["containers"]
    assert container["command"] == ["python", "infra/docker/release_key.py"] and job["max_retries"] == 0
    started = terraform().resources["terraform_data.release_key"]
    assert started["triggers_replace"] == ["${google_secret_manager_secret_version.index_signing_key.id}"]
