"""Events sent by POST to one receiver, signed by the Standard Webhooks specification."""

import logging
import time

from lookalike.adapters.checked_http import CheckedHttp, HostLimits, RetryPolicy, WebRequest, send_with_retries
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import LookalikeError
from lookalike.domain.web_address import WebAddress
from lookalike.domain.webhook import Event, signature_headers

log = logging.getLogger("lookalike.webhooks")
GONE = 410


class HttpWebhooks:
    """Implementation of the port `Webhooks`. Each of `keys` signs every event.

    Retries in the process that sends, for about a minute at most; the specification's retries over days would need a
    queue that outlives it.
    """

    def __init__(
        self,
        client: CheckedHttp,
        address: WebAddress,
        keys: tuple[bytes, ...],
        user_agent: str,
        policy: RetryPolicy | None = None,
    ) -> None:
        self._client, self._address, self._keys, self._user_agent = client, address, keys, user_agent
        self._policy = policy or RetryPolicy(first_wait=1.0, max_wait=30.0)
        self._limits = HostLimits()

    def send(self, event: Event, cancel: CancelToken) -> bool:
        """Send an event and return whether the response has a status from 200 to 299; see `Webhooks.send`."""
        try:
            status = self._post(event, cancel)
        except LookalikeError as error:
            return self._log_failure(event, error.message)
        except Exception:
            # The job of the event is done, so no error of its notification may turn it into a failure.
            log.exception("An event could not be sent to the webhook", extra={"event": event.type, "id": event.id})
            return False
        if 200 <= status <= 299:
            log.info("An event was sent to the webhook", extra={"event": event.type, "id": event.id})
            return True
        advice = "; it wants no more events: remove WEBHOOK_URL" if status == GONE else ""
        return self._log_failure(event, f"The receiver responds with status {status}{advice}")

    def _post(self, event: Event, cancel: CancelToken) -> int:
        payload = event.payload()

        def build_request() -> WebRequest:
            # Time and signature are those of the attempt: receivers reject old ones. The id is that of the event.
            headers = signature_headers(self._keys, event.id, int(time.time()), payload)
            headers |= {"Content-Type": "application/json", "User-Agent": self._user_agent}
            return WebRequest("POST", self._address, headers, payload)

        return send_with_retries(self._client, build_request, self._limits, self._policy, cancel).status

    def _log_failure(self, event: Event, reason: str) -> bool:
        extra = {"event": event.type, "id": event.id, "reason": reason}
        log.error("An event could not be sent to the webhook", extra=extra)
        return False
