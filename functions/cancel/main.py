"""Cloud Run function that shows, cancels and deletes running and finished requests."""

import flask
import functions_framework

from lookalike.http.pipeline import handle_request


@functions_framework.http
def cancel(request: flask.Request) -> flask.Response:
    """Handle /cancel_request, /cancel_processing, /request_status and /cleanup_requests, and health checks."""
    return handle_request("cancel", request)
