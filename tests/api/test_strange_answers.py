"""Answers that no documentation promises: other batches, other states, other numbers."""

from typing import Any

import pytest

from cancel_message_batch import APIResponseError, APIStatusError, MessageBatch, MessageBatches, summary
from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Fault, Sandbox
from cancel_message_batch.tools import CANCEL, GET, LIST
from tests.api.conftest import Call
from tests.conftest import described


@pytest.mark.parametrize("operation", ["cancel", "retrieve"])
def test_an_answer_about_another_batch_is_an_error(sandbox: Sandbox, call: Call, operation: str) -> None:
    sandbox.fail(Fault(match="batches/", times=0, status=200, body=described("msgbatch_other", "canceling")))
    with pytest.raises(APIResponseError, match=f"asked about {EXAMPLE_ID} and answered about msgbatch_other") as caught:
        call(sandbox.url, operation, EXAMPLE_ID)
    assert caught.value.may_have_arrived is (operation == "cancel")


def test_the_outcome_of_a_cancel_that_answers_about_another_batch_is_unknown(
    sandbox: Sandbox, batches: MessageBatches
) -> None:
    sandbox.fail(Fault(match="cancel", status=200, body=described("msgbatch_other", "canceling")))
    outcome = CANCEL.run({"message_batch_id": EXAMPLE_ID}, batches)
    assert outcome.is_error
    assert f"Whether the cancellation of {EXAMPLE_ID} was accepted is unknown" in outcome.text
    assert "base URL" not in outcome.text


@pytest.mark.parametrize("status", ["in_progress", "paused"])
def test_a_cancel_that_leaves_the_batch_running_is_not_told_as_accepted(
    sandbox: Sandbox, batches: MessageBatches, status: str
) -> None:
    sandbox.fail(Fault(match="cancel", status=200, body=described(EXAMPLE_ID, status)))
    outcome = CANCEL.run({"message_batch_id": EXAMPLE_ID}, batches)
    assert outcome.is_error
    assert outcome.result == "unconfirmed"
    assert "is not confirmed" in outcome.text
    assert f"status is {status}" in outcome.text
    assert "accepted" not in outcome.text


@pytest.mark.parametrize("status", [500, 502, 520, 530, 555, 599])
def test_a_server_error_may_have_come_after_the_effect(sandbox: Sandbox, call: Call, status: int) -> None:
    sandbox.fail(Fault(match="cancel", times=0, status=status))
    with pytest.raises(APIStatusError) as caught:
        call(sandbox.url, "cancel", EXAMPLE_ID, options={"max_retries": 0})
    assert caught.value.may_have_arrived is True


@pytest.mark.parametrize("status", [400, 429, 529])
def test_a_refusal_has_no_effect(sandbox: Sandbox, call: Call, status: int) -> None:
    sandbox.fail(Fault(match="cancel", times=0, status=status))
    with pytest.raises(APIStatusError) as caught:
        call(sandbox.url, "cancel", EXAMPLE_ID, options={"max_retries": 0})
    assert caught.value.may_have_arrived is False


def test_a_count_of_thousands_of_digits_is_not_taken_for_a_batch(sandbox: Sandbox, batches: MessageBatches) -> None:
    body = described(EXAMPLE_ID)
    text = str(body).replace("'", '"').replace("3}", "9" * 6000 + "}", 1)
    sandbox.fail(Fault(match="GET", times=0, status=200, body=text))
    outcome = GET.run({"message_batch_id": EXAMPLE_ID}, batches)
    assert outcome.is_error
    assert len(outcome.text) < 500


@pytest.mark.parametrize("broken", [{"created_at": None}, {"id": 5}, {"request_counts": {"processing": -1}}])
def test_one_unreadable_batch_does_not_hide_the_others(
    sandbox: Sandbox, batches: MessageBatches, call: Call, broken: dict[str, Any]
) -> None:
    names = [f"msgbatch_{number}" for number in range(1000)]
    data = [described(name) for name in names]
    data[500] |= broken
    page = {"data": data, "has_more": False, "first_id": names[0], "last_id": names[-1]}
    sandbox.fail(Fault(match="GET", times=0, status=200, body=page))
    assert [batch.id for batch in call(sandbox.url, "list", limit=1000)] == [*names[:500], *names[501:]]
    outcome = LIST.run({"status": "in_progress", "limit": 50}, batches)
    assert len(outcome.batches) == 50
    assert "1 message batch of the listing could not be read and is left out." in outcome.text


def ended_with(results_url: Any, origin: str | None = "https://api.anthropic.com:443") -> MessageBatch:
    batch = MessageBatch.model_validate(described(EXAMPLE_ID, "ended") | {"results_url": results_url})
    if origin:
        batch.came_from(origin, None)
    return batch


PLAIN = "https://api.anthropic.com/v1/messages/batches/msgbatch_a/results"


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", f"{PLAIN} and more", f"{PLAIN}\x1b[2J", f"{PLAIN}\u202e", "https://ex ample/", "ftp://x/"],
)
def test_a_results_url_is_shown_only_when_it_is_a_plain_url(url: str) -> None:
    shown = summary.status(ended_with(url))
    assert url not in shown
    assert "at a URL that cannot be shown" in shown
    assert shown.isprintable()


def test_a_results_url_on_another_server_is_marked() -> None:
    assert "another server" not in summary.status(ended_with(PLAIN))
    assert "another server" not in summary.status(ended_with(PLAIN, origin=None))
    for url in ("https://evil.example/results", "http://api.anthropic.com/x", "https://api.anthropic.com:444/x"):
        assert f"{url} (on another server than the base URL" in summary.status(ended_with(url))
