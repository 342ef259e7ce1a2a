"""Which models end, and when: the table of the installed Anthropic SDK."""

import ast
import contextlib
import re
from importlib.util import find_spec
from pathlib import Path

# Where the versions of the SDK keep it; some have a longer one and a shorter one. Its text is read, because the import
# takes about two seconds.
_FILES = ("resources/messages/messages.py", "_data/deprecated_models.py")
_TABLE = re.compile(r"^DEPRECATED_MODELS\b.*?= (\{.*?^\})", re.DOTALL | re.MULTILINE)


def ends_of_life() -> dict[str, str]:
    """Return the day on which each deprecated model ends, in the SDK's words; empty where the SDK has no such table."""
    spec = find_spec("anthropic")
    package = Path(spec.origin).parent if spec and spec.origin else Path()
    ends: dict[str, str] = {}
    for file in (package / name for name in _FILES):
        if file.is_file() and (table := _TABLE.search(file.read_text("utf-8"))):
            with contextlib.suppress(ValueError, SyntaxError):  # not the table that it is today
                ends |= ast.literal_eval(table[1])
    return ends
