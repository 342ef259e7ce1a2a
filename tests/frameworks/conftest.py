"""What only the real frameworks need."""

import pytest

from cancel_message_batch.sandbox import Sandbox


@pytest.fixture
def certificates() -> None:
    """Keep this machine's certificates: frameworks may call their own services."""


@pytest.fixture
def sandbox(sandbox: Sandbox) -> Sandbox:
    """Let no batch of a test end by itself: a framework may take a minute to start."""
    sandbox.account.speed = 1.0
    return sandbox
