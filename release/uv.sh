#!/usr/bin/env bash
# Prints the path of uv, and installs the tested version here if needed.
set -euo pipefail
cd "$(dirname "$0")/.."

wanted=uv==0.13.9 home=$PWD/.venv-uv
if [ "$(cat "$home/installed" 2>/dev/null)" != "$wanted" ]; then
  "${PYTHON:-.venv/bin/python}" -m venv "$home"
  "$home/bin/python" -m pip install --quiet --disable-pip-version-check "$wanted" >&2
  echo "$wanted" >"$home/installed"
fi
echo "$home/bin/uv"
