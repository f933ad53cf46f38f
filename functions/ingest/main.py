"""Cloud Run function that ingests photos when they are written to the bucket."""

import flask
import functions_framework

from lookalike.http.pipeline import handle_request


@functions_framework.http
def ingest(request: flask.Request) -> flask.Response:
    """Handle storage events, sent as CloudEvents to /, and health checks."""
    return handle_request("ingest", request)
