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
    [ "$name" != ogx ] || python=$(release/python.sh 3.12)
    "$uv" venv --quiet --clear --python "$python" "$home"
    "$uv" pip install --quiet --python "$home" --compile-bytecode --requirement "$requirements"
    touch "$home/.ready"
  fi
done
export PATH=$(release/node.sh):$PATH
for package in ai @ai-sdk/anthropic; do
  release/node_tool.sh "$package" "${package/\//-}" >/dev/null
done
PROGRAMS=$homes CLIENTS=$PWD/.venv-node .venv/bin/python -m pytest --numprocesses 2 --dist worksteal "$@" tests/programs
