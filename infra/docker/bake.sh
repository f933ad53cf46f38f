#!/bin/sh
# The full models' weights for an image: with WEIGHTS=baked they are downloaded, otherwise the folder stays empty.
#   bake.sh PREFIX FOLDER     MIRROR=… downloads them from there instead of their publishers
set -eu
prefix=${1:?"usage: bake.sh PREFIX FOLDER"}
folder=${2:?"usage: bake.sh PREFIX FOLDER"}
mkdir -p "$folder"
case ${WEIGHTS:-pulled} in
    baked) MODELS_DIR="$folder" "$prefix/bin/lookalike" models fetch ${MIRROR:+--mirror "$MIRROR"} ;;
    pulled) ;;
    *)
        echo "WEIGHTS is '$WEIGHTS', and must be baked or pulled" >&2
        exit 64
        ;;
esac
