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

train() { network=$1; shift; python -m "infra.training.$network" --data "$data" --work "$work" "$@"; }

train detector --to detector.pt
train detector --tune "$work/detector.pt" --to detector-tuned.pt --steps 4000 --relabel-at 0
train embedder --detector "$work/detector-tuned.pt" --to embedder.pt
train embedder --detector "$work/detector-tuned.pt" --tune "$work/embedder.pt" --to embedder-tuned.pt --steps 2600
for number in 1 2; do
    train embedder --detector "$work/detector-tuned.pt" --tune "$work/embedder-tuned.pt" --to "embedder-$number.pt" --steps 1500 --seed "$number"
done
python -m infra.training.export --data "$data" --work "$work" --weights "$weights" \
    --detector "$work/detector-tuned.pt" --embedder "$work/embedder-1.pt" "$work/embedder-2.pt"
