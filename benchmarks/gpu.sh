#!/bin/bash
# What a GPU does with the package, in at most eight minutes: bash benchmarks/gpu.sh [--out FILE] [--seconds N]
#
# Python is the first of $PYTHON, .venv/bin/python and python3 whose torch sees a GPU and that has what the package needs.
# Where there is none, the package is installed into .venv from the registry that pip is set up for (minutes, not counted
# in the eight): its own constraints name torch's version; where that registry gave a build for CPUs, the CUDA build of the
# same version is taken from $TORCH_INDEX. On a machine without a network, bring a Python that has them: PYTHON=python3.
# --tiny runs the same parts on a CPU with tiny shapes, to see that the script runs; it measures and installs nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
TORCH_INDEX=${TORCH_INDEX:-https://download.pytorch.org/whl/cu130}

tiny=
for argument in "$@"; do [ "$argument" = --tiny ] && tiny=yes; done

sees() {  # whether a Python has all that is needed, and a GPU unless the run is tiny
  "$1" - "$tiny" <<'PY' 2>/dev/null
import sys
import torch
import accelerate, einops, pandas, plotly, pyarrow, pydantic, transformers, typer, yaml
import benchmarks.gpu
sys.exit(not (sys.argv[1] or torch.cuda.is_available()))
PY
}

python=
for candidate in ${PYTHON:-} .venv/bin/python python3; do
  if command -v "$candidate" >/dev/null && sees "$candidate"; then python=$candidate; break; fi
done

if [ -z "$python" ] && [ -n "$tiny" ]; then
  echo "a tiny run installs nothing: name a Python that has the package's needs, PYTHON=.venv/bin/python" >&2
  for candidate in ${PYTHON:-} .venv/bin/python; do "$candidate" -c 'import benchmarks.gpu' || true; done
  exit 1
fi
if [ -z "$python" ]; then
  echo "no Python here has the package's needs and sees a GPU: installing into .venv (minutes)"
  make .venv/.installed
  python=.venv/bin/python
  cuda=$("$python" -c 'import torch; print(torch.version.cuda or "")')
  if [ -z "$cuda" ]; then
    version=$("$python" -c 'import torch; print(torch.__version__.partition("+")[0])')
    echo "torch $version is a build for CPUs: taking its CUDA build from $TORCH_INDEX (gigabytes)"
    "$python" -m pip install --disable-pip-version-check --force-reinstall --no-deps "torch==$version" \
      --index-url "$TORCH_INDEX"
    "$python" -m pip install --disable-pip-version-check "torch==$version" --extra-index-url "$TORCH_INDEX"
  fi
  "$python" -m pip install --disable-pip-version-check -q -c constraints.txt accelerate einops
  "$python" -m pip install --disable-pip-version-check -q bitsandbytes ||
    echo "bitsandbytes could not be installed: 4 and 8 bits will be left out"
  sees "$python" || { echo "torch sees no GPU, or something is missing: $python -m benchmarks.gpu says what" >&2; exit 1; }
fi

echo "running with $(command -v "$python")"
exec "$python" -m benchmarks.gpu "$@"
