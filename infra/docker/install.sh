#!/bin/sh
# Install the package beside this script into a new virtual environment, and see that every function can be imported there.
#   install.sh PREFIX EXTRAS     EXTRAS with commas: gcp,scale, or gcp,full,scale. PYTHON=… chooses another interpreter than python3
set -eu
prefix=${1:?"usage: install.sh PREFIX EXTRAS"}
extras=${2:?"usage: install.sh PREFIX EXTRAS"}
python=${PYTHON:-python3}
tree=$(cd "$(dirname "$0")/../.." && pwd)

# without pip in it; wheels alone, so that no compiler is needed; compiled here, for the image's user may not write
"$python" -m venv --without-pip "$prefix"
"$python" -m pip --python "$prefix/bin/python" install \
    --quiet --disable-pip-version-check --no-input --no-cache-dir --only-binary=:all: --compile "${tree}[$extras]"

for source in "$tree"/functions/*/main.py; do
    "$prefix/bin/python" -I -c 'import runpy, sys; runpy.run_path(sys.argv[1])' "$source"
done
"$prefix/bin/python" -I -c '
import importlib.util, pathlib, sys, lookalike.bootstrap
models = sorted(path.name for path in lookalike.bootstrap.WEIGHTS.glob("*.onnx"))
if len(models) < 2 or not pathlib.Path(lookalike.__file__).is_relative_to(sys.prefix):
    sys.exit(f"The package is not whole: {lookalike.__file__}, {models}")
wanted = "full" in sys.argv[1].split(",")
if bool(importlib.util.find_spec("torch")) != wanted:
    sys.exit("torch is missing" if wanted else "torch has come along")
if wanted:
    import lookalike.full
    lookalike.full.import_libraries()
print(f"lookalike {lookalike.__version__} in {sys.prefix}, with", *models)
' "$extras"
