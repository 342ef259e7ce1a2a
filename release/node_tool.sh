#!/usr/bin/env bash
# Prints the path of a command from node_tools.txt, and installs it here if needed: node_tool.sh PACKAGE COMMAND
# No package's install script is run.
set -euo pipefail
cd "$(dirname "$0")/.."

home=$PWD/.venv-node
wanted=$(grep "^$1@" release/node_tools.txt)
if [ "$(cat "$home/$2.installed" 2>/dev/null)" != "$wanted" ]; then
  command -v npm >/dev/null || { echo "$1 needs Node.js and npm, which are not installed." >&2; exit 69; }
  mkdir -p "$home"
  npm install --ignore-scripts --silent --no-fund --no-audit --prefix "$home" "$wanted" >&2
  # What Claude Code and opencode link when their install scripts run.
  for program in "$home/node_modules/$1/cli-wrapper.cjs" "$home/node_modules/$2"-*/"bin/$2"; do
    if [ -f "$program" ]; then
      chmod +x "$program"
      ln -sf "$program" "$home/node_modules/.bin/$2"
      break
    fi
  done
  echo "$wanted" >"$home/$2.installed"
fi
echo "$home/node_modules/.bin/$2"
