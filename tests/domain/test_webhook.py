"""Signatures of webhooks: the vector of the specification's reference libraries, and the format of secrets."""

import base64
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from lookalike.domain.webhook import Event, parse_secrets, sign, signature_headers

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE_ID, TIMESTAMP, PAYLOAD = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_signature_of_the_reference_libraries() -> None:
    (key,) = parse_secrets(SECRET)
    assert sign(key, MESSAGE_ID, TIMESTAMP, PAYLOAD) == SIGNATURE


def test_each_secret_signs() -> None:
    other = "whsec_" + base64.b64encode(bytes(32)).decode()
    keys = parse_secrets(f"{SECRET}, {other}")
    headers = signature_headers(keys, MESSAGE_ID, TIMESTAMP, PAYLOAD)
    assert headers["webhook-id"] == MESSAGE_ID and headers["webhook-timestamp"] == str(TIMESTAMP)
    assert headers["webhook-signature"] == f"{SIGNATURE} {sign(bytes(32), MESSAGE_ID, TIMESTAMP, PAYLOAD)}"


@pytest.mark.parametrize(
    "text",
    ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_short-key", "whsec_" + "A" * 28, "whsec_" + "A" * 88, f"{SECRET},x"],
)
def test_wrong_secrets_are_refused_without_their_text(text: str) -> None:
    with pytest.raises(ValueError, match="24 to 64 random bytes") as error:
        parse_secrets(text)
    assert text not in str(error.value)


def test_payload_has_type_time_and_data() -> None:
    when = datetime(2026, 11, 25, 10, tzinfo=timezone(timedelta(hours=2)))
    event = Event("ingest.completed", when, {"source": "über/"})
    assert json.loads(event.payload()) == {
        "type": "ingest.completed",
        "timestamp": "2026-11-25T08:00:00Z",
        "data": {"source": "über/"},
    }
    assert event.id != Event("ingest.completed", datetime.now(UTC), {}).id and "." not in event.id
