#!/usr/bin/env bash
# Published programs behind `run`: each in an environment of its own at the version of the .txt file of its name, the
# Vercel AI SDK at the version of release/node_tools.txt. Arguments go to pytest. Needs npm and the package indexes; no
# key.
set -euo pipefail
cd "$(dirname "$0")/../.."

uv=$(release/uv.sh)
homes=$PWD/.venv-programs
for requirements in tests/programs/*.txt; do
  name=$(basename "$requirements" .txt)
  home=$homes/$name
  if [ "$requirements" -nt "$home/.ready" ]; then
    python=$PWD/.venv/bin/python
    [ "$name" != ogx ] || python=$(release/python.sh 3.12 2>/dev/null || release/python.sh 3.14)
    "$uv" venv --quiet --clear --python "$python" "$home"
    "$uv" pip install --quiet --python "$home" --compile-bytecode --requirement "$requirements"
    touch "$home/.ready"
  fi
done
export PATH=$(release/node.sh):$PATH
home=$homes/vercel_ai_sdk
if [ release/node_tools.txt -nt "$home/.ready" ]; then
  mkdir -p "$home"
  npm install --ignore-scripts --silent --no-fund --no-audit --prefix "$home" $(grep -E '^(ai|@ai-sdk/anthropic)@' release/node_tools.txt)
  touch "$home/.ready"
fi
PROGRAMS=$homes .venv/bin/python -m pytest --numprocesses 2 --dist worksteal "$@" tests/programs
