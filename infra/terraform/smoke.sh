#!/bin/sh
# Are they there? Reads lines of a service's name, its address, and "public" or "private" (terraform output -raw smoke).
# The public ones must be ready: database, models and index. The private ones must let no stranger in, and Cloud Run
# has taken none of them into service before its own probe found it ready.
#
# Not /healthz: Google's front end answers that path itself, so it can be asked from within alone, as the probes do.
set -eu
asked=0
failed=0
# the last line may lack its end
while read -r name address access || [ -n "$name" ]; do
    asked=$((asked + 1))
    status=$(curl --silent --output /dev/null --write-out '%{http_code}' --max-time 90 "$address/readyz") || true
    case "$access $status" in
        'public 200' | 'private 403' | 'private 404') echo "ok   $name ($access): $status" ;;
        *)
            echo "BAD  $name ($access): $status" >&2
            failed=1
            ;;
    esac
done
[ "$asked" -gt 0 ] || failed=1
exit "$failed"
