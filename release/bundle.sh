#!/usr/bin/env bash
# Builds in dist/ what people install without pip: the Agent Skill as a zip, and the Claude Desktop bundle (.mcpb, with
# the official packer, which needs npm).
set -euo pipefail
cd "$(dirname "$0")/.."

python=$PWD/.venv/bin/python
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
name=cancel-message-batch
version=$("$python" -c 'import cancel_message_batch as package; print(package.__version__)')
dist=$PWD/dist
skill=$dist/$name-$version-skill.zip bundle=$dist/$name-$version.mcpb
mkdir -p "$dist"
rm -f "$skill" "$bundle"

release/export.sh "$stage/$name"
(cd "$stage" && "$python" -m zipfile --create "$skill" "$name")
echo "${skill#"$PWD"/}: an Agent Skill; unpack it among your agent's skills, or upload it"

mcpb=$(release/node_tool.sh @anthropic-ai/mcpb mcpb)
mkdir "$stage/mcpb"
"$python" release/manifest.py >"$stage/mcpb/manifest.json"
cp -R "$stage/$name/"{requirements.lock,README.md,LICENSE,skill} "$stage/$name/.claude-plugin/icon.png" "$stage/mcpb"
cat >"$stage/mcpb/pyproject.toml" <<END
# No dependencies, in case Claude Desktop installs them: skill/start_mcp.py installs requirements.lock.
[project]
name = "$name-bundle"
version = "$version"
requires-python = ">=3.11"
dependencies = []
END
"$mcpb" validate "$stage/mcpb/manifest.json" >/dev/null
"$mcpb" pack "$stage/mcpb" "$bundle" >/dev/null
echo "${bundle#"$PWD"/}: for Claude Desktop; open it there"
