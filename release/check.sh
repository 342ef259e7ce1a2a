#!/usr/bin/env bash
# Checks what a user installs with the public validators of skills, tool definitions, plugins and registry entries, and
# the workflows of GitHub Actions with two linters. The Python ones are installed here. Claude Code's own needs npm;
# without npm it is left out, with a message.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-.venv/bin/python}
home=.venv-validators
bin=$home/bin
[ "${OS:-}" != Windows_NT ] || bin=$home/Scripts
if [ release/validators.txt -nt "$home/.ready" ]; then
  "$python" -m venv "$home"
  "$bin/python" -m pip install --quiet --disable-pip-version-check --requirement release/validators.txt
  touch "$home/.ready"
fi

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
skill=$stage/cancel-message-batch
release/export.sh "$skill"
mkdir "$stage/registry"
cp server.json "$stage/registry"

passes() { # WHAT COMMAND...: prints the output only if it fails
  local what=$1 said
  shift
  if said=$("$@" 2>&1); then
    echo "$what: passed"
  else
    echo "$said"
    echo "$what: failed" >&2
    exit 1
  fi
}

passes "skills-ref" "$bin/agentskills" validate "$skill"
passes "skilllint" "$bin/skilllint" check "$skill"
passes "skillsaw --strict" "$bin/skillsaw" --strict "$skill"
passes "skillsaw --strict, server.json" "$bin/skillsaw" --strict "$stage/registry"
passes "skill-scanner" "$bin/skill-scanner" scan "$skill" --use-behavioral --use-trigger --fail-on-severity low --policy release/scanner_policy.yaml
passes "tdqs lint" "$bin/tdqs" lint --command "$python -m cancel_message_batch mcp" --fail-on warning
passes "actionlint" "$bin/actionlint" -shellcheck= -pyflakes= .github/workflows/*.yml
passes "zizmor" "$bin/zizmor" --offline --persona auditor .github/workflows
if command -v npm >/dev/null; then
  claude=$(release/node_tool.sh @anthropic-ai/claude-code claude)
  export HOME=$stage CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 # no settings of the person's
  passes "claude plugin validate --strict" "$claude" plugin validate "$skill" --strict --profile directory
  passes "claude plugin validate --strict, marketplace" "$claude" plugin validate "$skill/.claude-plugin/marketplace.json" --strict
else
  echo "claude plugin validate: left out, because npm is not installed"
fi
