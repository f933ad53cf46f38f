"""Jobs of Cloud Run, through its Admin API: https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.jobs."""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from lookalike.domain.errors import Forbidden, LookalikeError, NotFound, Unauthenticated, Unavailable
from lookalike.domain.ports.batch_jobs import JobExecution

if TYPE_CHECKING:
    from requests import Response, Session

API = "https://run.googleapis.com"
TIMEOUT = 30.0
"""Seconds for one request."""


class CloudRunJobs:
    """Implementation of the port `BatchJobs`. `location` is `projects/PROJECT/locations/REGION`."""

    def __init__(self, location: str, open_session: "Callable[[], Session]", address: str = API) -> None:
        self._location, self._open_session, self._address = location, open_session, address.rstrip("/")
        self._session: Session | None = None

    def start(self, job: str, arguments: Sequence[str], tasks: int | None = None) -> JobExecution:
        """Start an execution of a job; see `BatchJobs.start`."""
        overrides: dict[str, Any] = {"containerOverrides": [{"args": list(arguments)}]}
        if tasks is not None:
            overrides["taskCount"] = tasks
        operation = self._call("POST", f"{self._location}/jobs/{job}:run", {"overrides": overrides})
        # the operation ends with the execution, which its metadata describes from the start
        return _execution(operation["metadata"])

    def read(self, execution: str) -> JobExecution:
        """Return the state of an execution; see `BatchJobs.read`."""
        return _execution(self._call("GET", execution))

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        import requests
        from google.auth.exceptions import GoogleAuthError, RefreshError

        try:
            if self._session is None:
                self._session = self._open_session()
            response = self._session.request(method, f"{self._address}/v2/{path}", json=body, timeout=TIMEOUT)
        except RefreshError as error:
            raise Unauthenticated(f"Google rejects the credentials of this machine: {error}. {SIGN_IN}") from error
        except GoogleAuthError as error:
            raise Unauthenticated(f"This machine has no Google credentials. {SIGN_IN}") from error
        except requests.RequestException as error:
            raise Unavailable(f"Cloud Run did not respond: {type(error).__name__}") from error
        if response.status_code != HTTPStatus.OK:
            raise _error(response, path)
        return response.json()


SIGN_IN = "Sign in with: gcloud auth application-default login"


def _execution(state: Any) -> JobExecution:
    """Return an execution from its JSON. Counts of 0 and conditions that are not known yet are missing there."""
    completed: dict[str, Any] = next((one for one in state.get("conditions", ()) if one.get("type") == "Completed"), {})
    has_failed = completed.get("state") == "CONDITION_FAILED"
    return JobExecution(
        name=state["name"],
        tasks=state.get("taskCount", 0),
        running=state.get("runningCount", 0),
        succeeded=state.get("succeededCount", 0),
        failed=state.get("failedCount", 0),
        cancelled=state.get("cancelledCount", 0),
        retried=state.get("retriedCount", 0),
        is_done="completionTime" in state or has_failed,
        has_succeeded=completed.get("state") == "CONDITION_SUCCEEDED",
        message=completed.get("message", "") if has_failed else "",
        log_address=state.get("logUri", ""),
    )


def _error(response: "Response", path: str) -> LookalikeError:
    """Return the error for a response that is not successful. Google's message names a missing permission."""
    status, message = response.status_code, _message(response)
    if status == HTTPStatus.NOT_FOUND:
        return NotFound(
            f"Cloud Run has no {path.removesuffix(':run')}: deploy infra/terraform first, and check the region"
        )
    if status == HTTPStatus.UNAUTHORIZED:
        return Unauthenticated(f"Google rejects the credentials of this machine: {message}. {SIGN_IN}")
    if status == HTTPStatus.FORBIDDEN:
        return Forbidden(f"Your account may not do this: {message}")
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable(f"Cloud Run responded with status {status}: {message}")
    return LookalikeError(f"Cloud Run rejected the request with status {status}: {message}")


def _message(response: "Response") -> str:
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return response.reason or "no reason given"
