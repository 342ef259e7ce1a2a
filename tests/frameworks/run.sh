#!/usr/bin/env bash
# Each framework's example in an environment of its own, as the frameworks disagree about versions. Names as arguments
# choose among the requirement files here; an environment that exists is used again. Needs the package index.
set -uo pipefail
cd "$(dirname "$0")/../.."

python=${PYTHON:-python3}
homes=${FRAMEWORK_ENVIRONMENTS:-.venv-frameworks}
names=("$@")
[ ${#names[@]} -gt 0 ] || names=($(basename --suffix .txt --multiple tests/frameworks/*.txt))

failed=()
for name in "${names[@]}"; do
  requirements=tests/frameworks/$name.txt home=$homes/$name
  if [ ! -f "$requirements" ]; then
    echo "$name: there is no $requirements" >&2
    exit 2
  fi
  if [ "$requirements" -nt "$home/.ready" ] || [ pyproject.toml -nt "$home/.ready" ]; then
    "$python" -m venv "$home" &&
      "$home/bin/python" -m pip install --quiet --disable-pip-version-check --editable '.[sandbox]' pytest --requirement "$requirements" &&
      touch "$home/.ready"
  fi
  tests=(tests/frameworks/test_examples.py)
  [ ! -f "tests/frameworks/test_$name.py" ] || tests+=("tests/frameworks/test_$name.py")
  only=$name
  [ "$name" != llm ] || only="llm and not litellm"
  # What a framework warns about in its own code is not for us to mend.
  if said=$("$home/bin/python" -m pytest -q -W default "${tests[@]}" -k "$only" 2>&1) && tail -n 1 <<<"$said" | grep -q passed && ! grep -q skipped <<<"$said"; then
    versions=$("$home/bin/python" -m pip freeze 2>/dev/null | grep -iE "^($(sed -E 's/[^a-z-].*//' "$requirements" | paste -sd '|'))==" | paste -sd ' ')
    echo "$name: $(tail -n 1 <<<"$said") · $versions"
  else
    echo "$said"
    failed+=("$name")
  fi
done
[ ${#failed[@]} -eq 0 ] || { echo "Failed: ${failed[*]}" >&2; exit 1; }
