"""Tests of `nightly.py` without a key: `pip install 'cancel-message-batch[sandbox]' pytest`, then `pytest`."""

from pathlib import Path

import anthropic
import pytest
from nightly import cancel, submit

from cancel_message_batch.sandbox import Sandbox


def test_a_second_start_creates_nothing(message_batches: Sandbox, tmp_path: Path) -> None:
    note = tmp_path / "note.json"
    assert submit(note) == submit(note)
    assert len(message_batches.account.batches()) == 1


@pytest.mark.parametrize("fault", ["reset before reading", "reset after the effect", "cut body", "status 529"])
def test_a_lost_connection_does_not_double_the_batch(fault: str, message_batches: Sandbox, tmp_path: Path) -> None:
    note = tmp_path / "note.json"
    message_batches.fault(fault, operation="create")
    with pytest.raises((anthropic.APIError, ValueError)):
        submit(note)
    found = submit(note)
    assert [batch.id for batch in message_batches.account.batches()] == [found]


def test_a_canceled_batch_keeps_what_had_been_done(message_batches: Sandbox, tmp_path: Path) -> None:
    note = tmp_path / "note.json"
    batch_id = submit(note)
    message_batches.advance(minutes=6)  # in the middle
    assert cancel(note) == "canceling"
    message_batches.finish(batch_id)
    client = anthropic.Anthropic()  # kept: when it is collected, its connection closes under the results
    results = client.messages.batches.results(batch_id)
    assert sorted(line.result.type for line in results) == ["canceled", "succeeded", "succeeded"]


def test_a_busy_api_is_asked_again(message_batches: Sandbox, tmp_path: Path) -> None:
    note = tmp_path / "note.json"
    submit(note)
    message_batches.fault(operation="cancel", status=429, headers={"retry-after": "0.1"})
    assert cancel(note) == "canceling"
    assert [request.status for request in message_batches.journal if request.path.endswith("/cancel")] == [429, 200]
