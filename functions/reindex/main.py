"""Cloud Run function that builds the index and cleans up, on a schedule."""

import flask
import functions_framework

from lookalike.http.pipeline import handle_request


@functions_framework.http
def reindex(request: flask.Request) -> flask.Response:
    """Handle /reindex, and health checks."""
    return handle_request("reindex", request)
