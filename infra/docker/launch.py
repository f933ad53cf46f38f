"""functions-framework's own start, with two of gunicorn's settings that it passes on but reads from nowhere.

Cloud Run kills 10 s after SIGTERM, where gunicorn would wait 30 s; `GUNICORN_CMD_ARGS` is not read.
"""

import os

from functions_framework import create_app
from functions_framework._http import create_server

OPTIONS = {"graceful_timeout": 8, "limit_request_line": 8190}


def main() -> None:
    """What `functions-framework --signature-type http` does."""
    app = create_app(os.environ["FUNCTION_TARGET"], os.environ["FUNCTION_SOURCE"], "http")  # type: ignore[no-untyped-call]
    server = create_server(app, debug=False, **OPTIONS)  # type: ignore[no-untyped-call]
    server.run("0.0.0.0", int(os.environ["PORT"]))  # noqa: S104 - a container


if __name__ == "__main__":
    main()
