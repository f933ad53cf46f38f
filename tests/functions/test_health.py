"""Health checks of all functions."""

from lookalike.local.gateway import FUNCTION_NAMES
from tests.functions.harness import Client


def test_functions_report_alive_and_ready(client: Client) -> None:
    assert {"upload", "relay", "detail", "cancel", "auth", "ingest", "reindex"} <= set(FUNCTION_NAMES)
    for name in FUNCTION_NAMES:
        assert client(name).get("/healthz").status_code == 200
        assert client(name).get("/readyz").get_json()["status"] == "ready"
