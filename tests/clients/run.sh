#!/usr/bin/env bash
# Real clients, from what `make bundle` builds, each installed here at the version of release/node_tools.txt. Needs npm
# and the package indexes; no key.
set -euo pipefail
cd "$(dirname "$0")/../.."

home=.venv-node
export PATH=$(release/node.sh):$PATH
release/bundle.sh
release/node_tool.sh @anthropic-ai/claude-code claude >/dev/null
release/node_tool.sh @modelcontextprotocol/inspector mcp-inspector >/dev/null
release/node_tool.sh @openai/codex codex >/dev/null
release/node_tool.sh @google/gemini-cli gemini >/dev/null
release/node_tool.sh opencode-ai opencode >/dev/null
release/node_tool.sh skills skills >/dev/null
for package in ai @ai-sdk/mcp @ai-sdk/anthropic @mastra/core @mastra/mcp; do
  release/node_tool.sh "$package" "${package/\//-}" >/dev/null
done
PATH=$(dirname "$(release/uv.sh)"):$PATH CLIENTS=$PWD/$home .venv/bin/python -m pytest tests/clients
