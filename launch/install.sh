#!/usr/bin/env bash
# Makes .venv on a TPU VM, from exact versions; a second call does nothing. The machine images bring an older Python.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -e .venv/complete ]; then
  exit 0
fi
python3 -m pip install --quiet --user uv==0.13.9
python3 -m uv venv --quiet --clear --python 3.11 .venv
python3 -m uv pip install --quiet --python .venv/bin/python --no-deps --requirement launch/requirements-tpu.txt
python3 -m uv pip install --quiet --python .venv/bin/python --no-deps --editable .
touch .venv/complete
