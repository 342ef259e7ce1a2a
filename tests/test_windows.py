"""Without what Windows does not have, the core works all the same. No test here has run on Windows itself."""

import os
import subprocess
import sys

import pytest

from .conftest import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there, every test is one of these")
CORE = ("record/test_store.py", "record/test_processes.py", "words", "test_tools.py", "guarding/test_guard.py")


def python(*arguments: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, f"{done.stdout[-8_000:]}\n{done.stderr}"


def test_every_module_can_be_imported() -> None:
    pytest.importorskip("mcp")
    python(
        "-c",
        "import importlib, pkgutil, cancel_message_batch as package, tests.as_on_windows as windows\n"
        "windows.pytest_configure()\n"
        "for module in pkgutil.walk_packages(package.__path__, 'cancel_message_batch.'):\n"
        "    if module.name.rpartition('.')[2] not in {'__main__', 'llm_plugin'}:\n"
        "        importlib.import_module(module.name)\n",
    )


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="it loads parts of this system late, by the name of the system")
def test_the_core_passes_its_tests() -> None:
    # One needs a process of another program in the record, which is a program of this system.
    others = "not finds_its_batch"
    options = ("-p", "tests.as_on_windows", "-p", "no:xdist", "-p", "no:cacheprovider", "-q", "-k", others)
    python("-m", "pytest", *options, *(f"tests/{name}" for name in CORE))
