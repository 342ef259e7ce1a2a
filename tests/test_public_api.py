"""The public API, name by name: a change to it is a decision, made in this file.

Public is what ``cancel_message_batch`` and the modules below list in ``__all__``, and nothing else.
"""

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

EXPECTED = (Path(__file__).parent / "public_api.txt").read_text("utf-8")
MODULES = ("cancel_message_batch", *(f"cancel_message_batch.{name}" for name in ("agent", "aio", "sandbox", "tools")))


def described(module: str) -> str:
    """The public names of a module with their signatures, a line each; below a class its methods and attributes."""
    loaded = importlib.import_module(module)
    lines = [module]
    for name in loaded.__all__:
        value = getattr(loaded, name)
        lines.append(f"    {name}{signature(value)}")
        if inspect.isclass(value):
            lines += [f"        {line}" for line in members(value)]
    return "\n".join(lines) + "\n"


def signature(value: Any) -> str:
    if get_args(value):  # an alias such as Callable[[MessageBatch], bool]
        return ""
    if not callable(value):
        return f": {type(value).__name__}"
    if fields := getattr(value, "__pydantic_fields__", None):
        return f"({', '.join(fields)})"
    text = re.sub(r"<function .*? at 0x\w+>", "...", str(inspect.signature(value)))
    text = re.sub(r"\b[a-z_.]+\.(?=[A-Z])", "", text)  # the modules that types are of
    return re.sub(r"Optional\[((?:[^\[\]]|\[[^\[\]]*\])+)\]", r"\1 | None", text)  # as Python 3.14 writes it


def members(value: type) -> list[str]:
    """The public methods and properties that our own classes define."""
    own = [base for base in value.__mro__ if base.__module__.startswith("cancel_message_batch")]
    found: dict[str, Any] = {}
    for base in reversed(own):
        found |= {name: one for name, one in vars(base).items() if not name.startswith(("_", "model_"))}
    lines = []
    for name, one in sorted(found.items()):
        if isinstance(one, property):
            lines.append(f"{name}")
        elif isinstance(one, staticmethod | classmethod) or inspect.isfunction(one):
            lines.append(f"{name}{signature(getattr(value, name))}")
    return lines


@pytest.mark.parametrize("module", MODULES)
def test_each_public_name_has_the_signature_that_was_decided(module: str) -> None:
    expected = re.search(rf"^{re.escape(module)}\n(?:    .*\n)+", EXPECTED, re.MULTILINE)
    assert expected is not None
    assert described(module) == expected[0]


def test_every_public_name_is_loaded_when_it_is_used_and_not_before() -> None:
    program = (
        "import sys, cancel_message_batch as package\n"
        "for name in dir(package): getattr(package, name)\n"  # as freezegun does, in each module
        "loaded = [name for name in sys.modules if name.startswith('cancel_message_batch.')]\n"
        "assert loaded == [], loaded\n"
        "for name in package.__all__: getattr(package, name)\n"
        "try: package.nothing\n"
        "except AttributeError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "module 'cancel_message_batch' has no attribute 'nothing'"


def test_every_public_name_can_be_loaded_in_frozen_time() -> None:
    program = (
        "import freezegun, anthropic\n"
        "with freezegun.freeze_time('2026-01-01'):\n"
        "    import cancel_message_batch as package\n"
        "    for name in package.__all__: getattr(package, name)\n"
        "    from cancel_message_batch.sandbox import Sandbox\n"
        "    with Sandbox() as sandbox, package.MessageBatches(base_url=sandbox.url, api_key='any') as batches:\n"
        "        print(batches.cancel(sandbox.account.add(10)).cancel_initiated_at)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "2026-01-01 00:00:00+00:00\n", done.stderr
