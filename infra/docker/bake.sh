#!/bin/sh
# Download the full models' weights into FOLDER if WEIGHTS=baked. If WEIGHTS=pulled, the folder stays empty.
#   bake.sh PREFIX FOLDER     PREFIX is the environment of install.sh. MIRROR=… replaces the publishers' addresses.
set -eu
prefix=${1:?"usage: bake.sh PREFIX FOLDER"}
folder=${2:?"usage: bake.sh PREFIX FOLDER"}
mkdir -p "$folder"
case ${WEIGHTS:-pulled} in
    baked) MODELS_DIR="$folder" "$prefix/bin/lookalike" models fetch ${MIRROR:+--mirror "$MIRROR"} ;;
    pulled) ;;
    *)
        echo "WEIGHTS is '$WEIGHTS'; set it to baked or pulled" >&2
        exit 64
        ;;
esac
