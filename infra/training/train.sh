#!/bin/sh
# Train and export both models: infra/training/train.sh DATA WORK [WEIGHTS]
# After an interruption, run it again: it continues from the last checkpoint.
set -eu
cd "$(dirname "$0")/../.."
data=$1 work=$2 weights=${3:-$2}
export PYTHONPATH=.:shared
mkdir -p "$work" "$weights"
# Without this, glibc returns the memory of each step to the system and requests it again.
export GLIBC_TUNABLES=glibc.malloc.mmap_threshold=2147483648:glibc.malloc.trim_threshold=8589934592
python -m infra.training.detector --data "$data" --work "$work"
python -m infra.training.detector --data "$data" --work "$work" --tune "$work/detector.pt" --steps 4000 --relabel-at 0
python -m infra.training.embedder --data "$data" --work "$work"
python -m infra.training.embedder --data "$data" --work "$work" --tune "$work/embedder.pt" --steps 2600
python -m infra.training.export --data "$data" --work "$work" --weights "$weights"
