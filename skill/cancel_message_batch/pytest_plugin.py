"""The pytest fixture ``message_batches``: a sandbox of the Message Batches API for each test (docs/sandbox.md).

pytest imports this module at each start, so everything else is imported when the fixture is used.
"""

import os
from collections.abc import Iterator
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
    _message_batches_server: "Sandbox", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    no_proxy = ",".join(filter(None, (no_proxy, "127.0.0.1")))
    with pytest.MonkeyPatch.context() as patch:  # of its own, since a test may undo what it patched
        for name in _UNSET:
            patch.delenv(name, raising=False)
        patch.setenv("ANTHROPIC_BASE_URL", sandbox.url)
        patch.setenv("ANTHROPIC_API_KEY", _KEY)
        patch.setenv("CANCEL_MESSAGE_BATCH_RECORD", str(tmp_path / "message-batches.sqlite3"))
        patch.setenv("NO_PROXY", no_proxy)
        patch.setenv("no_proxy", no_proxy)
        yield sandbox
        # What the test patched over these goes first; it would bring them back otherwise.
        monkeypatch.undo()
