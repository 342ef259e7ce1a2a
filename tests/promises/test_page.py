"""docs/promises.md: each test that it names exists and runs."""

import ast
import subprocess
import sys

import pytest

from .page import PAGE, ROOT, named_tests


def _decorators(name: str) -> str:
    """Return the decorators of a test, as Python."""
    file, _, test = name.partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return " ".join(ast.unparse(one) for node in functions if node.name == test for one in node.decorator_list)


@pytest.mark.skipif(sys.platform == "win32", reason="some of the tests need signals and pseudo-terminals")
def test_each_test_that_a_promise_names_exists_and_runs() -> None:
    names = named_tests(PAGE.read_text())
    assert len(names) > 50
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    collected = {line.partition("[")[0] for line in done.stdout.splitlines()}
    assert set(names) - collected == set(), done.stdout[-2000:]
    assert [name for name in names if "mark.skip(" in _decorators(name) or "xfail" in _decorators(name)] == []
    # What `make test` leaves out would not run although it exists.
    assert not [name for name in names if name.split("/")[1] in {"clients", "frameworks", "programs"}]


def test_each_promise_names_a_test() -> None:
    promises = PAGE.read_text().split("## Not promised")[0].split("\n## ")[1:]
    assert len(promises) == 6
    assert [promise.splitlines()[0] for promise in promises if not named_tests(promise)] == []
