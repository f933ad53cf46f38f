#!/bin/sh
# Train and export both models: infra/training/train.sh DATA WORK [WEIGHTS]
# After an interruption, run it again: it continues from the last checkpoint.
set -eu
cd "$(dirname "$0")/../.."
data=$1 work=$2 weights=${3:-$2}
export PYTHONPATH=.:shared
mkdir -p "$work" "$weights"

train() {
    model=$1 steps=$2
    shift 2
    python -m "infra.training.$model" --data "$data" --work "$work" --steps "$steps" "$@"
}

# One more cycle of the detector, on masks that the detector of the last cycle predicts.
train_another_cycle() {
    [ -e "$work/cycle-$1" ] && return
    # if the cycle was interrupted, its checkpoint exists and the masks are already the new ones
    [ -e "$work/detector-tuned.pt" ] || rm -f "$work/relabeled.pickle"
    train detector 3000 --relabel-at 0 --tune "$work/detector.pt"
    mv "$work/detector-tuned.pt" "$work/detector.pt"
    touch "$work/cycle-$1"
}

[ -e "$work/cycle-1" ] || train detector 3600 --relabel-at 1750
train_another_cycle 1
train_another_cycle 2
train embedder 6000
python -m infra.training.export --work "$work" --weights "$weights"
