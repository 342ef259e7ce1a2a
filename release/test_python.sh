#!/usr/bin/env bash
# Runs the tests on another Python, with the newest version of everything: test_python.sh VERSION [pytest's arguments]
set -euo pipefail
cd "$(dirname "$0")/.."

uv=$(release/uv.sh)
home=.venv-tests$1
"$uv" venv --quiet --clear --python "$(release/python.sh "$1")" "$home"
"$uv" pip install --quiet --python "$home" --editable '.[mcp,sandbox]' mypy packaging psutil freezegun hatchling hypothesis pyte pytest pytest-xdist
"$home/bin/python" -VV
"$home/bin/python" -m pytest --numprocesses auto --dist worksteal "${@:2}"
