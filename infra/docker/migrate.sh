#!/bin/sh
# Run as a job before new revisions start: the tables brought up to date, and the functions' rights in them.
set -eu
cd "$(dirname "$0")/../.."
lookalike db upgrade
exec python infra/docker/grant.py
