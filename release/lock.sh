#!/usr/bin/env bash
# Writes requirements.lock: the newest release of everything that the package needs at run time and to be built, for
# every system and Python, with the hash of each file. It does not name an index, so everybody's own is used.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-.venv/bin/python}
uv=$(release/uv.sh)
build=$("$python" -c 'import pathlib, tomllib
print(*tomllib.loads(pathlib.Path("pyproject.toml").read_text())["build-system"]["requires"], sep="\n")')
{
  echo "# Written by \`make lock\`. Every file is checked: pip install -r requirements.lock"
  "$uv" pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
    --python-version 3.11 --extra mcp --extra sandbox pyproject.toml - <<<"$build"
} >requirements.lock.new
mv requirements.lock.new requirements.lock
