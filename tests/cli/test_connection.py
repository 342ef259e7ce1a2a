"""The flags for the connection, and faults on the way to the API."""

import socket

from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Fault, Sandbox
from tests.conftest import Run


def test_a_wrong_base_url_a_web_page_and_no_server_are_reported_in_plain_words(sandbox: Sandbox, run: Run) -> None:
    assert run(EXAMPLE_ID, "--base-url", "nonsense").returncode == 2
    sandbox.fail(Fault(match="cancel", status=200, body="<html>hi</html>", content_type="text/html"))
    page = run(EXAMPLE_ID)
    assert page.returncode == 1
    assert "text/html" in page.stderr
    assert "<html>" not in page.stderr
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        gone = run(EXAMPLE_ID, "--base-url", f"http://127.0.0.1:{unused.getsockname()[1]}", "--max-retries", "0")
    assert gone.returncode == 1
    assert "cannot be reached" in gone.stderr
    for done in (page, gone):
        assert "Traceback" not in done.stderr


def test_no_answer_ends_by_the_timeout_with_the_outcome_said_to_be_unknown(sandbox: Sandbox, run: Run) -> None:
    sandbox.fail(Fault(match="cancel", times=0, hang=True))
    done = run(EXAMPLE_ID, "--timeout", "1s")
    assert done.returncode == 1
    assert "it may have been" in done.stderr


def test_the_workspace_and_retry_flags_are_honoured(sandbox: Sandbox, run: Run) -> None:
    assert run(EXAMPLE_ID, "--workspace-id", "wrkspc_elsewhere").returncode == 1
    assert sandbox.journal[-1].headers["anthropic-workspace-id"] == "wrkspc_elsewhere"
    sandbox.fail(Fault(match="cancel", times=1, status=500))
    assert run(EXAMPLE_ID, "--max-retries", "0").returncode == 1
