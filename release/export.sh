#!/usr/bin/env bash
# Unpacks what a user installs into a new directory: the files that git tracks, with uncommitted changes, except those
# that .gitattributes leaves out.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)

mkdir -p "$1"
changed=$(git -C "$here" stash create 2>/dev/null || true)
git -C "$here" archive "${changed:-HEAD}" | tar -x -C "$1"
