#!/bin/sh
# Check the deployed services. Reads lines with a name, a URL, and public or private (terraform output -raw smoke).
# Public services must be ready: database, models and index. Private services must reject anonymous requests; their readiness
# was checked by Cloud Run's startup probe.
#
# /healthz cannot be checked from outside, because Google's front end answers this path itself.
set -eu
checked=0
failed=0
# the last line may have no newline
while read -r name url access || [ -n "$name" ]; do
    checked=$((checked + 1))
    status=$(curl --silent --output /dev/null --write-out '%{http_code}' --max-time 90 "$url/readyz") || true
    case "$access $status" in
        'public 200' | 'private 403' | 'private 404') echo "ok   $name ($access): $status" ;;
        *)
            echo "BAD  $name ($access): $status" >&2
            failed=1
            ;;
    esac
done
[ "$checked" -gt 0 ] || failed=1
exit "$failed"
