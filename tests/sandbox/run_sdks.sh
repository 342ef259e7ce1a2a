#!/usr/bin/env bash
# Drives the sandbox with the official SDKs, each strict about what it is answered: Python current and newest 0.x,
# TypeScript current. Then kills a script of each behind `run`. Needs the package indexes, and npm for TypeScript.
set -euo pipefail
cd "$(dirname "$0")/../.."

python=${PYTHON:-.venv/bin/python}
homes=${SDK_ENVIRONMENTS:-.venv-sdks}

drive() { # NAME COMMAND...: run a command with the address of a sandbox of its own as its last argument
  local name=$1 server url
  shift
  coproc SERVER { exec "$python" -m cancel_message_batch sandbox --port 0; }
  server=$SERVER_PID
  read -r url <&"${SERVER[0]}"
  "$@" "$(grep -oE 'http://[0-9.:]+' <<<"$url")" || { kill "$server" && exit 1; }
  echo "$name: passed"
  kill "$server" && wait "$server" || true
}

drive "anthropic (Python, current)" "$python" -W error tests/sandbox/drive_sdk.py

if [ ! -x "$homes/python0/bin/python" ]; then
  "$python" -m venv "$homes/python0"
  "$homes/python0/bin/python" -m pip install --quiet --disable-pip-version-check 'anthropic<1'
fi
drive "anthropic (Python, 0.x)" "$homes/python0/bin/python" tests/sandbox/drive_sdk.py
behind_run=("$python" tests/guarding/drive_run.py)
drive "run, anthropic (Python, current)" "${behind_run[@]}" "$python" tests/guarding/create_batch.py
drive "run, anthropic (Python, 0.x)" "${behind_run[@]}" "$homes/python0/bin/python" tests/guarding/create_batch.py

mkdir -p "$homes/typescript"
[ -d "$homes/typescript/node_modules" ] || npm install --silent --no-fund --no-audit --prefix "$homes/typescript" @anthropic-ai/sdk
export SDK_FOLDER=$homes/typescript
drive "@anthropic-ai/sdk (TypeScript, current)" node tests/sandbox/drive_sdk.mjs
drive "run, @anthropic-ai/sdk (TypeScript, current)" "${behind_run[@]}" node tests/guarding/create_batch.mjs
