"""`status`."""

from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Sandbox
from tests.conftest import Run


def test_status_tells_each_batch(sandbox: Sandbox, run: Run) -> None:
    done = run("status", EXAMPLE_ID, "msgbatch_unknown")
    assert done.returncode == 4
    assert "is in_progress" in done.stdout
    assert "There is no message batch" in done.stderr
