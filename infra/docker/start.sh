#!/bin/sh
# Entry point of the images: serve the function FUNCTION_TARGET on PORT, with one thread for each concurrent request.
set -eu
cd "$(dirname "$0")/../.."
# only lower-case letters: the name becomes part of a path
case ${FUNCTION_TARGET:=} in
    '' | *[!a-z]*) function= ;;
    *) function=$FUNCTION_TARGET ;;
esac
if [ -z "$function" ] || [ ! -f "functions/$function/main.py" ]; then
    echo "FUNCTION_TARGET is '$FUNCTION_TARGET'; set it to the name of one of these folders: $(echo functions/*/)" >&2
    exit 64
fi
export FUNCTION_TARGET FUNCTION_SOURCE="functions/$function/main.py"
export PORT="${PORT:-8080}" CONCURRENCY="${CONCURRENCY:-16}"
# functions-framework reads THREADS and WORKERS
export THREADS="$CONCURRENCY" WORKERS=1
exec python infra/docker/launch.py
