#!/usr/bin/env bash
# Real clients, from what `make bundle` builds: MCP Inspector, Claude Code and uv, each installed here at the version
# tried. Needs npm and the package indexes; no key.
set -euo pipefail
cd "$(dirname "$0")/../.."

home=.venv-node
release/bundle.sh
release/node_tool.sh @anthropic-ai/claude-code claude >/dev/null
release/node_tool.sh @modelcontextprotocol/inspector mcp-inspector >/dev/null
PATH=$(dirname "$(release/uv.sh)"):$PATH CLIENTS=$PWD/$home .venv/bin/python -m pytest tests/clients
