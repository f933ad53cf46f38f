#!/bin/sh
# Install this project into a new virtual environment at PREFIX, and check that every function can be imported there.
#   install.sh PREFIX EXTRAS     EXTRAS is a list with commas: gcp,otel,scale,text or gcp,full,otel,scale. PYTHON=… selects the interpreter.
set -eu
prefix=${1:?"usage: install.sh PREFIX EXTRAS"}
extras=${2:?"usage: install.sh PREFIX EXTRAS"}
python=${PYTHON:-python3}
tree=$(cd "$(dirname "$0")/../.." && pwd)

# --without-pip: the image does not need it. --only-binary: no compiler in the image. --compile: at run time, the user of the
# image cannot write bytecode.
"$python" -m venv --without-pip "$prefix"
"$python" -m pip --python "$prefix/bin/python" install \
    --quiet --disable-pip-version-check --no-input --no-cache-dir --only-binary=:all: --compile "${tree}[$extras]"

# -I ignores the working folder, which contains the same packages
for source in "$tree"/functions/*/main.py; do
    "$prefix/bin/python" -I -c 'import runpy, sys; runpy.run_path(sys.argv[1])' "$source"
done
"$prefix/bin/python" -I -c '
import importlib.util, pathlib, sys, lookalike.bootstrap
models = sorted(path.name for path in lookalike.bootstrap.WEIGHTS.glob("*.onnx"))
if len(models) < 2 or not pathlib.Path(lookalike.__file__).is_relative_to(sys.prefix):
    sys.exit(f"The package is incomplete: found {lookalike.__file__} with the weights {models}, expected two in {sys.prefix}")
needs_torch = "full" in sys.argv[1].split(",")
if bool(importlib.util.find_spec("torch")) != needs_torch:
    sys.exit("torch is not installed" if needs_torch else "torch is installed, but only the extra full should install it")
if needs_torch:
    import lookalike.bootstrap.full_models
    lookalike.bootstrap.full_models.import_libraries()
print(f"Installed lookalike {lookalike.__version__} in {sys.prefix} with", *models)
' "$extras"
