"""Start functions-framework with two gunicorn options that its command line does not have.

It also ignores gunicorn's own variable `GUNICORN_CMD_ARGS`.
"""

import os

from functions_framework import create_app
from functions_framework._http import create_server

OPTIONS = {"graceful_timeout": 8, "limit_request_line": 8190}
"""Seconds that running requests have after SIGTERM (Cloud Run kills after 10, gunicorn's default is 30), and bytes of a
request line (8,190 is gunicorn's maximum; search queries are long)."""


def main() -> None:
    """Serve FUNCTION_TARGET from FUNCTION_SOURCE on PORT, as `functions-framework --signature-type http` does."""
    app = create_app(os.environ["FUNCTION_TARGET"], os.environ["FUNCTION_SOURCE"], "http")  # type: ignore[no-untyped-call]
    server = create_server(app, debug=False, **OPTIONS)  # type: ignore[no-untyped-call]
    server.run("0.0.0.0", int(os.environ["PORT"]))  # noqa: S104 - a container


if __name__ == "__main__":
    main()
