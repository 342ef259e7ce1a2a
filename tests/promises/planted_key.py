"""A pytest plugin: the key of the tests is planted, and everything that is said anywhere must do without it.

``pytest -p tests.promises.planted_key`` (in ``make soak``) runs the suite with all logging at DEBUG. A test fails if
the key is in a log record, in what it printed, in the output of a program that it ran, in one of our exceptions, or in
a file that it left.
"""

import functools
import logging
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cancel_message_batch.api.errors import MessageBatchError

KEY = "planted-3b9e77c1d2f4-key"
os.environ["TEST_KEY"] = KEY  # tests/conftest.py
found: list[str] = []


def look(where: str, *texts: object) -> None:
    """Note where the key is."""
    for text in texts:
        shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        if KEY in shown:
            begin = max(shown.index(KEY) - 100, 0)
            found.append(f"{where}: {shown[begin : begin + 200]!r}")


class _Watch(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        # A server that repeats the key in a header has the HTTP library log it at DEBUG, which is not ours to change.
        if not (record.name.startswith("httpcore") and "receive_response_headers" in record.getMessage()):
            look(f"log {record.name}", self.format(record), record.args)


def _watched(method: Any, where: str) -> Any:
    @functools.wraps(method)
    def watching(self: Any, *arguments: Any, **keywords: Any) -> Any:
        result = method(self, *arguments, **keywords)
        if isinstance(self, MessageBatchError):
            look(where, repr(self), vars(self), self.response and (self.response.text, self.response.headers))
        elif isinstance(self, subprocess.CompletedProcess):
            look(where, self.stdout, self.stderr)
        else:
            look(where, *result)
        return result

    return watching


def pytest_configure(config: pytest.Config) -> None:
    logging.getLogger().setLevel(logging.DEBUG)
    logging.getLogger().addHandler(_Watch())
    config.option.log_level = "WARNING"  # what `caplog` shows stays as it is
    subprocess.Popen.communicate = _watched(subprocess.Popen.communicate, "a program's output")  # type: ignore[method-assign]
    subprocess.CompletedProcess.__init__ = _watched(subprocess.CompletedProcess.__init__, "output")  # type: ignore[method-assign]
    MessageBatchError.__init__ = _watched(MessageBatchError.__init__, "an exception")  # type: ignore[method-assign]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    found.clear()
    yield
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    for path in Path(folder).rglob("*") if folder else ():
        if path.is_file() and path.stat().st_size < 2**22:
            look(f"file {path.name}", path.read_bytes())
    for when, kind, text in item._report_sections:
        look(f"captured {kind} in {when}", text)
    if found:
        pytest.fail("\n".join(found[:10]), pytrace=False)
