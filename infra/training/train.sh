#!/bin/sh
# Train and export both models: infra/training/train.sh DATA WORK [WEIGHTS]. Run again after an interruption, it goes on where it was.
set -eu
cd "$(dirname "$0")/../.."
data=$1 work=$2 weights=${3:-$2}
export PYTHONPATH=.:shared
mkdir -p "$work" "$weights"

train() {
    what=$1 steps=$2
    shift 2
    python -m "infra.training.$what" --data "$data" --work "$work" --steps "$steps" "$@"
}

# A further cycle of the detector, on masks that it guessed anew.
again() {
    [ -e "$work/cycle-$1" ] && return
    [ -e "$work/detector-tuned.pt" ] || rm -f "$work/relabelled.pickle"
    train detector 3000 --relabel-at 0 --tune "$work/detector.pt"
    mv "$work/detector-tuned.pt" "$work/detector.pt"
    touch "$work/cycle-$1"
}

[ -e "$work/cycle-1" ] || train detector 3600 --relabel-at 1750
again 1
again 2
train embedder 6000
python -m infra.training.export --work "$work" --weights "$weights"
