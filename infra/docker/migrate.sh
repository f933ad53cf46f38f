#!/bin/sh
# Migrate the tables and grant the functions their privileges. Runs as a job before new revisions start.
set -eu
cd "$(dirname "$0")/../.."
lookalike db upgrade
exec python infra/docker/grant.py
