#!/bin/sh
# The image's entry point: serve the function that FUNCTION_TARGET names, on PORT, with as many threads as requests at once.
set -eu
cd "$(dirname "$0")/../.."
case ${FUNCTION_TARGET:=} in
    '' | *[!a-z]*) known= ;;
    *) known=$FUNCTION_TARGET ;;
esac
if [ -z "$known" ] || [ ! -f "functions/$known/main.py" ]; then
    echo "FUNCTION_TARGET is '$FUNCTION_TARGET', and must name a folder: $(echo functions/*/)" >&2
    exit 64
fi
export FUNCTION_TARGET FUNCTION_SOURCE="functions/$known/main.py"
export PORT="${PORT:-8080}" CONCURRENCY="${CONCURRENCY:-16}"
export THREADS="$CONCURRENCY" WORKERS=1
exec python infra/docker/launch.py
