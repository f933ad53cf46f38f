"""Cloud Run function that searches, and shows the search history."""

import flask
import functions_framework

from lookalike.http.pipeline import handle_request


@functions_framework.http
def relay(request: flask.Request) -> flask.Response:
    """Handle /relay_image and /search_history, and health checks."""
    return handle_request("relay", request)
