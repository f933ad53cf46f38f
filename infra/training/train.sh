#!/bin/sh
# Train and export both models: infra/training/train.sh DATA WORK [WEIGHTS]
# After an interruption, run it again: it continues from the last checkpoint.
set -eu
cd "$(dirname "$0")/../.."
data=$1 work=$2 weights=${3:-$2}
export PYTHONPATH=.:shared
mkdir -p "$work" "$weights"
python -m infra.training.detector --data "$data" --work "$work"
python -m infra.training.embedder --data "$data" --work "$work"
python -m infra.training.export --data "$data" --work "$work" --weights "$weights"
