"""Staged releases against an emulator of Cloud Run, whose revisions are the real functions of this project."""

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image

from infra.release import __main__ as command
from infra.release.cloud_run import CloudRun
from infra.release.http import Address, RequestFailed, call
from infra.release.photo import draw_photo
from infra.release.rollout import PRIVATE, PUBLIC, ReleaseFailed, Rollout
from lookalike.bootstrap import Services, services
from lookalike.domain.api_keys import KeyRole
from lookalike.local.gateway import Gateway
from lookalike.usecases.api_keys import KeyRequest
from tests.conftest import FUNCTIONS_FOLDER
from tests.emulators.cloud_run_services import CloudRunServices, WsgiApp, emulate_services, served
from tests.infra.deployment import ROOT

NAMES = [f"lookalike-{name}" for name in PUBLIC + PRIVATE]


def answering(application: WsgiApp, path: str, status: str, body: Any, only_public: bool = False) -> WsgiApp:
    """Return the application with another response to one path, only for requests without a tag if so given."""

    def respond(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] != path or (only_public and not environ.get("emulator.public")):
            return application(environ, start_response)
        data = json.dumps(body).encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
        return [data]

    return respond


class Deployment:
    """Services of version 1, which have all traffic, in the emulator."""

    def __init__(self, emulator: CloudRunServices, application: WsgiApp, key: str) -> None:
        self.emulator, self.application, self.lines = emulator, application, list[str]()
        address = Address(emulator.url)
        cloud = CloudRun("shop", "europe-west1", lambda: "token", address, address, pause=0.001)
        self.rollout = Rollout(cloud, key, probes=10, say=self.lines.append, sleep=lambda seconds: None)
        self.deploy(application)
        self.rollout.pin()

    def deploy(self, application: WsgiApp, is_ready: bool = True) -> None:
        """Create a revision of each function, as `terraform apply` does."""
        for name in NAMES:
            self.emulator.deploy(name, application, is_ready)
        self.emulator.changes.clear()

    def serving(self) -> set[str]:
        """Return the numbers of the revisions with traffic, and check that each has all of its service."""
        shares = [service.shares() for service in self.emulator.services.values()]
        assert all(list(one.values()) == [100] for one in shares), shares
        return {name[-1] for one in shares for name in one}

    def shares_of_new(self) -> list[int]:
        """Return the share of relay's second revision after each change of its traffic."""
        return [shares.get("lookalike-relay-00002", 0) for name, shares in self.emulator.changes if "relay" in name]

    @property
    def log(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture
def deployment(real: Services, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    # retries of the release wait for seconds
    monkeypatch.setattr("infra.release.http.time.sleep", lambda seconds: None)
    _, key = real.api_keys.create(KeyRequest(KeyRole.ADMIN, "release"))
    with emulate_services() as emulator:
        yield Deployment(emulator, Gateway(FUNCTIONS_FOLDER), key)
        assert not real.catalog.matching_row_ids(None, {}).size, "a check has left a garment"
        assert list(real.store.list()) == []


def test_good_release_moves_the_traffic_in_steps_and_can_be_rolled_back(deployment: Deployment) -> None:
    deployment.deploy(deployment.application)
    assert deployment.rollout.release()
    assert deployment.shares_of_new() == [0, 10, 100, 100] and deployment.serving() == {"2"}
    assert deployment.log.count("a photo was uploaded, found, and deleted") == 2
    assert "lookalike-relay-00002: " in deployment.log and " 0 errors" in deployment.log
    assert not deployment.rollout.release()
    deployment.rollout.roll_back()
    assert deployment.serving() == {"1"} and "lookalike-relay-00001 has all traffic again" in deployment.log
    with pytest.raises(ReleaseFailed, match="no revision to return to"):
        deployment.rollout.roll_back()
    # what was rolled back is not released again, also after another pin
    assert not deployment.rollout.pin()
    assert not deployment.rollout.release() and deployment.serving() == {"1"}
    assert "lookalike-relay-00002 was rolled back and is not released again" in deployment.log
    # the next release starts from the revision that serves
    deployment.deploy(deployment.application)
    assert deployment.rollout.release() and deployment.serving() == {"3"}


def test_first_release_is_checked_although_it_serves_already(deployment: Deployment) -> None:
    deployment.emulator.changes.clear()
    assert not deployment.rollout.release()
    assert deployment.log.count("Through the public address, a photo was uploaded, found, and deleted") == 1
    deployment.rollout.key = "lk_invented"
    with pytest.raises(ReleaseFailed, match=r"(?s)401.*jobs execute lookalike-release-key.*serve all traffic"):
        deployment.rollout.release()
    assert deployment.emulator.changes == []


def test_services_whose_first_revision_is_not_ready_are_left_alone(deployment: Deployment) -> None:
    deployment.emulator.services.clear()
    deployment.deploy(deployment.application, is_ready=False)
    assert not deployment.rollout.pin()
    with pytest.raises(ReleaseFailed, match="lookalike-upload-00001 is not ready"):
        deployment.rollout.release()
    assert deployment.emulator.changes == []


class Killed(BaseException):
    """The process of a release ends at once."""


@pytest.mark.parametrize("step", [10, 100])
def test_release_that_was_killed_can_be_rolled_back(deployment: Deployment, step: int) -> None:
    deployment.deploy(deployment.application)

    def kill(line: str) -> None:
        if line.startswith(f"{step} % of the traffic"):
            raise Killed

    deployment.rollout.say = kill
    with pytest.raises(Killed):
        deployment.rollout.release()
    assert deployment.emulator.services["lookalike-relay"].shares().get("lookalike-relay-00002") == step
    deployment.rollout.say = deployment.lines.append
    deployment.rollout.roll_back()
    assert deployment.serving() == {"1"}


def test_interrupted_release_sets_the_traffic_back(deployment: Deployment) -> None:
    deployment.deploy(deployment.application)

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    deployment.rollout.sleep = interrupt
    with pytest.raises(ReleaseFailed, match="It was interrupted\nThe revisions of before serve, with all traffic"):
        deployment.rollout.release()
    assert deployment.serving() == {"1"}


def test_rollback_does_not_mix_revisions_of_two_releases(deployment: Deployment) -> None:
    """The second release changes one function only."""
    deployment.deploy(deployment.application)
    assert deployment.rollout.release()
    deployment.rollout.pin()
    deployment.emulator.deploy("lookalike-relay", deployment.application)
    assert deployment.rollout.release()
    deployment.rollout.roll_back()
    assert deployment.serving() == {"2"}


def test_rollback_changes_all_services_that_it_can_and_can_be_repeated(deployment: Deployment) -> None:
    deployment.deploy(deployment.application)
    assert deployment.rollout.release()
    deployment.emulator.refused.add("lookalike-auth")
    with pytest.raises(ReleaseFailed, match=r"(?s)lookalike-auth: .*403.*Repeat the rollback"):
        deployment.rollout.roll_back()
    assert deployment.serving() == {"1", "2"}
    deployment.emulator.refused.clear()
    deployment.rollout.roll_back()
    assert deployment.serving() == {"1"}


def test_unexpected_error_sets_the_traffic_back(deployment: Deployment) -> None:
    deployment.deploy(deployment.application)

    def fail(seconds: float) -> None:
        raise LookupError("no metrics")

    deployment.rollout.sleep = fail
    with pytest.raises(ReleaseFailed, match=r"LookupError\('no metrics'\)\nThe revisions of before serve"):
        deployment.rollout.release()
    assert deployment.serving() == {"1"}


def test_nothing_is_deployed_in_the_region(deployment: Deployment) -> None:
    deployment.emulator.services.clear()
    for action in (deployment.rollout.release, deployment.rollout.roll_back):
        with pytest.raises(ReleaseFailed, match="no functions in europe-west1 of the project shop"):
            action()


def test_upload_without_a_response_leaves_nothing(deployment: Deployment) -> None:
    def lose_response(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] != "/upload_image":
            return deployment.application(environ, start_response)
        b"".join(deployment.application(environ, lambda status, headers, error=None: None))
        return answering(deployment.application, "/upload_image", "500 Error", {})(environ, start_response)

    deployment.deploy(lose_response)
    with pytest.raises(ReleaseFailed, match=r"It had stored release-check-\w+, which was deleted"):
        deployment.rollout.release()


@pytest.mark.parametrize("action", ["rollback", "release", "check"])
def test_missing_variables_of_make_are_named(action: str) -> None:
    command = [sys.executable, "-m", "infra.release", action, "--project=", "--region=europe-west1"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 2 and "--project: it is empty. With make, set PROJECT=… and REGION=…" in result.stderr


def test_responses_that_are_no_json_are_reported() -> None:
    def html(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", "6")])
        return [b"<html>"]

    with served(html) as url, pytest.raises(RequestFailed, match="other than JSON: <html>"):
        call("GET", Address(url), "/readyz")


BROKEN: dict[str, tuple[Callable[[WsgiApp], WsgiApp], str, list[int]]] = {
    "search finds nothing": (
        lambda application: answering(application, "/relay_image", "200 OK", {"results": []}),
        "found nothing instead of release-check-",
        [0, 0],
    ),
    "search fails": (
        lambda application: answering(application, "/relay_image", "500 Error", {}),
        "was answered with 500",
        [0, 0],
    ),
    "search answers in another form": (
        lambda application: answering(application, "/relay_image", "200 OK", {}),
        "A response has no field results",
        [0, 0],
    ),
    "upload is refused": (
        lambda application: answering(application, "/upload_image", "403 Forbidden", {}),
        "was answered with 403",
        [0, 0],
    ),
    "errors under traffic": (
        lambda application: answering(application, "/relay_image", "500 Error", {}, only_public=True),
        "1 of 10 searches failed",
        [0, 10, 0],
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_release_leaves_the_revision_of_before(deployment: Deployment, case: str) -> None:
    make, message, shares = BROKEN[case]
    deployment.deploy(make(deployment.application))
    with pytest.raises(ReleaseFailed, match=message) as caught:
        deployment.rollout.release()
    assert "The revisions of before serve, with all traffic" in str(caught.value)
    assert deployment.shares_of_new() == shares and deployment.serving() == {"1"}


def test_garment_that_the_new_revision_cannot_delete_is_deleted_by_the_old_one(deployment: Deployment) -> None:
    def refuse_deletion(environ: dict[str, Any], start_response: Any) -> Any:
        refused = environ["REQUEST_METHOD"] == "DELETE"
        broken = answering(deployment.application, environ["PATH_INFO"], "500 Error", {})
        return (broken if refused else deployment.application)(environ, start_response)

    deployment.deploy(refuse_deletion)
    with pytest.raises(ReleaseFailed, match="The serving revision deleted release-check-"):
        deployment.rollout.release()


def test_errors_of_users_requests_stop_the_release(deployment: Deployment) -> None:
    """The release's own requests succeed, but the metric has errors of others."""
    deployment.deploy(deployment.application)
    new = deployment.emulator.services["lookalike-auth"].revisions[-1]
    deployment.rollout.sleep = lambda seconds: new.counts.update({"5xx": 3, "2xx": 40})
    with pytest.raises(ReleaseFailed, match="lookalike-auth-00002 answered 3 of"):
        deployment.rollout.release()
    assert deployment.serving() == {"1"}


def test_revision_that_is_not_ready_gets_no_traffic(deployment: Deployment) -> None:
    deployment.deploy(deployment.application, is_ready=False)
    with pytest.raises(ReleaseFailed, match="00002 is not ready"):
        deployment.rollout.release()
    assert deployment.serving() == {"1"} and deployment.shares_of_new() == []


def test_traffic_that_cannot_be_changed_is_reported(deployment: Deployment) -> None:
    deployment.deploy(deployment.application)
    deployment.emulator.refused.add("lookalike-auth")
    with pytest.raises(ReleaseFailed, match=r"(?s)403.*BUT the traffic could not be set back: lookalike-auth"):
        deployment.rollout.release()
    assert deployment.serving() == {"1"}


def test_new_services_are_pinned_so_that_the_next_revision_has_no_traffic(deployment: Deployment) -> None:
    emulator = deployment.emulator
    relay = emulator.services["lookalike-relay"]
    relay.traffic = [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}]
    deployment.rollout.pin()
    assert [target["revision"] for target in relay.traffic] == ["lookalike-relay-00001"]
    emulator.changes.clear()
    deployment.rollout.pin()
    assert emulator.changes == []
    emulator.services.clear()
    deployment.rollout.pin()


def test_without_a_key_nothing_is_uploaded(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    deployment.rollout.key = ""
    command.run("check", deployment.rollout)
    assert "a search found 0 garments (no API key: nothing was uploaded)" in capsys.readouterr().out
    services().catalog.ping()


def test_each_photo_is_another_one_and_valid() -> None:
    photos = {draw_photo() for _ in range(3)}
    assert len(photos) == 3 and draw_photo(1) == draw_photo(1)
    image = Image.open(io.BytesIO(draw_photo(1)))
    image.load()
    assert (image.size, image.mode, image.getpixel((0, 0))) == ((240, 240), "RGB", (244, 243, 240))
