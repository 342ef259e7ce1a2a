"""A batch that runs."""

import pytest

from cancel_message_batch.sandbox import Sandbox


@pytest.fixture
def running(sandbox: Sandbox) -> str:
    return sandbox.account.add(requests=5000, age=630, status="in_progress")
