"""Accounts: POST /api/auth/register, login, refresh, logout, and GET /api/auth/user."""

import flask
import functions_framework

from lookalike.http.pipeline import handle_request


@functions_framework.http
def auth(request: flask.Request) -> flask.Response:
    return handle_request("auth", request)
