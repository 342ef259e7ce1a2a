"""`chat` without a terminal: each line of standard input is one message."""

from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Sandbox
from tests.conftest import Run, cancels


def test_chat_takes_a_turn_for_each_line_that_is_piped_in(sandbox: Sandbox, run: Run) -> None:
    done = run("chat", stdin=f"Cancel {EXAMPLE_ID}\nis it stopped yet?\n")
    assert done.returncode == 0
    assert cancels(sandbox) == [EXAMPLE_ID]
    assert "get_message_batch" in done.stderr
