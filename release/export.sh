#!/usr/bin/env bash
# Unpacks what a user installs into a new directory: what git tracks, changes that are not committed included, without
# what .gitattributes leaves out.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)

mkdir -p "$1"
changed=$(git -C "$here" stash create 2>/dev/null || true)
git -C "$here" archive "${changed:-HEAD}" | tar -x -C "$1"
