#!/usr/bin/env bash
# Writes requirements.lock: the newest release of everything the package installs, as constraints for pip.
set -euo pipefail
cd "$(dirname "$0")/.."

home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
"${PYTHON:-.venv/bin/python}" -m venv "$home"
"$home/bin/python" -m pip install --quiet --disable-pip-version-check '.[sandbox,mcp]'
"$home/bin/python" -m pip freeze --exclude cancel-message-batch >requirements.lock
