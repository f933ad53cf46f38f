# One image for all seven functions: FUNCTION_TARGET says which one a container is. Built-in models, no torch.
# Built from the root of the project: docker build -f infra/docker/cpu.Dockerfile .
#
# The base is pinned by tag. Whoever builds can see its digest and we could not: append it (…bookworm@sha256:…) to pin the bytes too.
# What is not FROM, COPY, ENV, WORKDIR, USER or ENTRYPOINT is in install.sh, which a test runs without Docker.
FROM python:3.12.12-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY shared shared
COPY functions functions
COPY infra/docker infra/docker
RUN ["infra/docker/install.sh", "/opt/lookalike"]

FROM python:3.12.12-slim-bookworm
# PYTHONSAFEPATH: modules come from the installed package and the one function's folder, not from where a script lies
ENV PATH=/opt/lookalike/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONSAFEPATH=1 \
    PYTHONNOUSERSITE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /app
COPY --from=build /opt/lookalike /opt/lookalike
COPY functions functions
COPY infra/docker/start.sh infra/docker/launch.py infra/docker/migrate.sh infra/docker/grant.py infra/docker/
USER 65532:65532
ENTRYPOINT ["infra/docker/start.sh"]
