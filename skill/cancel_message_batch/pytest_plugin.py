"""The pytest fixture ``message_batches``: a sandbox of the Message Batches API for each test (docs/sandbox.md).

pytest imports this module at each start, so everything else is imported when the fixture is used.
"""

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .sandbox import Sandbox

_KEY = "sandbox-key"

# What would lead the SDK or our client elsewhere, or add something to their requests.
_UNSET = (
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_CONFIG_DIR",
    "ANTHROPIC_CUSTOM_HEADERS",
    "ANTHROPIC_FEDERATION_RULE_ID",
    "ANTHROPIC_IDENTITY_TOKEN",
    "ANTHROPIC_IDENTITY_TOKEN_FILE",
    "ANTHROPIC_MODEL",
    "ANTHROPIC_MODEL_KEY",
    "ANTHROPIC_MODEL_URL",
    "ANTHROPIC_ORGANIZATION_ID",
    "ANTHROPIC_PROFILE",
    "ANTHROPIC_SCOPE",
    "ANTHROPIC_SERVICE_ACCOUNT_ID",
    "ANTHROPIC_WORKSPACE_ID",
    "CANCEL_MESSAGE_BATCH_BEHIND",
)

_SET = ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "CANCEL_MESSAGE_BATCH_RECORD", "NO_PROXY", "no_proxy")

_ours = pytest.StashKey[dict[str, str | None]]()


def _set(variables: Mapping[str, str | None]) -> None:
    """Set environment variables; None unsets one."""
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _get() -> dict[str, str | None]:
    """Return the variables that the fixture changes."""
    return {name: os.environ.get(name) for name in (*_UNSET, *_SET)}


def _watch(item: pytest.Item) -> dict[str, str | None]:
    """Return the variables that the fixture sets for a test, to be filled; watched from the first call on."""
    if _ours not in item.stash:
        item.stash[_ours] = {}
        item.addfinalizer(partial(_put_back, item, _get()))
    return item.stash[_ours]


def _put_back(item: pytest.Item, before: Mapping[str, str | None]) -> None:
    """Put back what another fixture has restored to our value, which was there when a test patched the variable."""
    ours = item.stash[_ours]
    _set({name: before[name] for name, value in ours.items() if os.environ.get(name) == value})
    del item.stash[_ours]  # the test may be run again


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(request: pytest.FixtureRequest) -> None:
    """Watch the environment from before the first fixture of a test until after its last one."""
    if request.scope == "function" and "message_batches" in request.fixturenames:
        _watch(request.node)


@pytest.fixture(scope="session")
def _message_batches_server() -> Iterator["Sandbox"]:
    """One server for all tests of a process; with pytest-xdist each worker has its own."""
    try:
        from .sandbox import Account, Sandbox
    except ModuleNotFoundError as error:
        text = f"the fixture message_batches needs {error.name}: pip install 'cancel-message-batch[sandbox]'"
        pytest.fail(text, pytrace=False)
    with Sandbox(account=Account()) as sandbox:
        yield sandbox


@pytest.fixture
def message_batches(
    _message_batches_server: "Sandbox", tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator["Sandbox"]:
    """A sandbox of the Message Batches API, and an environment in which the Anthropic SDK uses it.

    The account has no batches. They take as long as the real API's, at least ten minutes, unless the test calls
    ``message_batches.advance(hours=1)`` or ``message_batches.finish(batch_id)``, or sets
    ``message_batches.account.speed``. ``message_batches.fault(...)`` lets a request fail, and
    ``message_batches.journal`` has all requests. Processes that the test starts inherit the environment.
    """
    from .sandbox import Account

    sandbox = _message_batches_server
    sandbox.reset(Account(speed=1))
    no_proxy = os.environ.get("no_proxy") or os.environ.get("NO_PROXY", "")
    if no_proxy != "*":  # that is all hosts, and only if it stands alone
        no_proxy = ",".join(filter(None, (no_proxy, "127.0.0.1")))
    ours = _watch(request.node)
    ours.update(dict.fromkeys(_UNSET))
    ours["ANTHROPIC_BASE_URL"] = sandbox.url
    ours["ANTHROPIC_API_KEY"] = _KEY
    ours["CANCEL_MESSAGE_BATCH_RECORD"] = str(tmp_path / "message-batches.sqlite3")
    ours["NO_PROXY"] = ours["no_proxy"] = no_proxy
    before = _get()
    _set(ours)  # not through the test's monkeypatch, which the test may undo
    yield sandbox
    _set(before)
