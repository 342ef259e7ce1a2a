#!/usr/bin/env bash
# The tests on another interpreter, with the newest versions of everything: test_python.sh VERSION [pytest's arguments]
set -euo pipefail
cd "$(dirname "$0")/.."

uv=$(release/uv.sh)
home=.venv-tests$1
"$uv" venv --quiet --clear --python "$(release/python.sh "$1")" "$home"
"$uv" pip install --quiet --python "$home" --editable '.[mcp,prices,sandbox]' mypy packaging pyte pytest pytest-xdist
"$home/bin/python" -VV
"$home/bin/python" -m pytest --numprocesses auto --dist worksteal "${@:2}"
