#!/bin/sh
# Migrate the tables and grant the functions their privileges. Runs as a job before new revisions start.
set -eu
cd "$(dirname "$0")/../.."
# With this variable, lookalike refuses to start without a bucket, a sign-in service and the key that signs index versions.
# The migration has access to the database alone. Without a server, grant.py fails.
unset CLOUD_RUN_JOB
lookalike db upgrade
exec python infra/docker/grant.py
