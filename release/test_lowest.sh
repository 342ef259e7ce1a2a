#!/usr/bin/env bash
# Runs the tests on the lowest versions that pyproject.toml allows: the tools with the oldest SDK; everything but the
# MCP server with the oldest SDK that can hold a conversation; the MCP server, whose own dependencies are newer; then
# the lowest versions against the newest. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."

uv=$(release/uv.sh)
home=.venv-lowest
conversation=anthropic==$(sed -n 's/.*anthropic \([0-9.]*\) or newer.*/\1/p' skill/cancel_message_batch/api/credentials.py)

run() { # EXTRAS REQUIREMENT TESTS...
  "$uv" venv --quiet --clear --python "${PYTHON:-python3}" "$home"
  "$uv" pip install --quiet --python "$home" --resolution lowest-direct --editable ".[$1]" $2
  "$uv" pip install --quiet --python "$home" mypy packaging jsonschema psutil==5.9.4 freezegun hatchling hypothesis pyte pytest pytest-xdist
  echo "Tried: $("$uv" pip freeze --quiet --python "$home" | grep -E '^(anthropic|anyio|filelock|genai-prices|h11|httpx2|mcp|prompt-toolkit|pydantic|starlette|uvicorn)==' | paste -sd ' ')"
  "$home/bin/python" -m pytest --numprocesses auto --dist worksteal "${@:3}"
}

needs_mcp=($(grep -rlE '^(from|import) (mcp|tests.mcp_server)' tests --include 'test_*.py' --exclude-dir clients --exclude-dir frameworks | sort))
run sandbox "" tests/test_tools.py tests/api/test_errors.py
run sandbox "$conversation" --ignore tests/mcp_server --ignore tests/promises "${needs_mcp[@]/#/--ignore=}" -k "not MCP" "$@"
run mcp,sandbox "$conversation" "${needs_mcp[@]}" tests/mcp_server tests/promises "$@"
LOWEST=$PWD/$home/bin/python .venv/bin/python -m pytest tests/test_floors.py
