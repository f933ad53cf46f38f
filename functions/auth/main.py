"""Cloud Run function for registration and sign-in."""

import flask
import functions_framework

from lookalike.http.pipeline import handle_request


@functions_framework.http
def auth(request: flask.Request) -> flask.Response:
    """Handle /api/auth/*, and health checks."""
    return handle_request("auth", request)
