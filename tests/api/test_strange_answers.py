"""Answers that no documentation promises: other batches, other states, other numbers."""

import json
import time
from typing import Any

import pytest

from cancel_message_batch import APIResponseError, APIStatusError, MessageBatch, MessageBatches
from cancel_message_batch.api.models import EXAMPLE_ID, Context
from cancel_message_batch.sandbox import Fault, Sandbox
from cancel_message_batch.tools import CANCEL, GET, LIST
from cancel_message_batch.words import states
from tests.api.conftest import Call, Handler
from tests.conftest import Run, described


@pytest.mark.parametrize("operation", ["cancel", "retrieve"])
def test_an_answer_about_another_batch_is_an_error(sandbox: Sandbox, call: Call, operation: str) -> None:
    sandbox.fail(Fault(match="batches/", times=0, status=200, body=described("msgbatch_other", "canceling")))
    with pytest.raises(APIResponseError, match=f"asked about {EXAMPLE_ID} and returned msgbatch_other") as caught:
        call(sandbox.url, operation, EXAMPLE_ID)
    assert caught.value.may_have_arrived is (operation == "cancel")


def test_the_outcome_of_a_cancel_that_answers_about_another_batch_is_unknown(
    sandbox: Sandbox, batches: MessageBatches
) -> None:
    sandbox.fail(Fault(match="cancel", status=200, body=described("msgbatch_other", "canceling")))
    outcome = CANCEL.run({"message_batch_id": EXAMPLE_ID}, batches)
    assert outcome.is_error
    assert f"It is not known whether the cancellation of {EXAMPLE_ID} was accepted" in outcome.text
    assert "base URL" not in outcome.text


@pytest.mark.parametrize("status", ["in_progress", "paused"])
def test_a_cancel_that_leaves_the_batch_running_is_not_reported_as_accepted(
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
    assert "1 message batch in the listing could not be read and was left out." in outcome.text


def ended_with(results_url: Any) -> MessageBatch:
    body = described(EXAMPLE_ID, "ended") | {"results_url": results_url}
    return MessageBatch.model_validate(body, context=Context())


PLAIN = "https://api.anthropic.com/v1/messages/batches/msgbatch_a/results"


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", f"{PLAIN} and more", f"{PLAIN}\x1b[2J", f"{PLAIN}\u202e", "https://ex ample/", "ftp://x/"],
)
def test_a_results_url_is_shown_only_when_it_is_a_plain_url(url: str) -> None:
    shown = states.status(ended_with(url))
    assert url not in shown
    assert "at a URL that cannot be shown" in shown
    assert shown.isprintable()


@pytest.mark.parametrize("url", [PLAIN, "https://gateway.example:444/x", "/v1/messages/batches/msgbatch_a/results"])
def test_a_plain_results_url_is_shown_as_it_came(url: str) -> None:
    assert url in states.status(ended_with(url))


@pytest.mark.parametrize("kind", ["same batch", "two cursors", "nothing"])
def test_a_listing_that_repeats_itself_ends(odd_server: Any, call: Call, kind: str) -> None:
    pages = iter(range(10**6))

    def answer(handler: Handler) -> None:
        number = next(pages)
        assert number < 50
        data = [] if kind == "nothing" else [described("msgbatch_a" if kind == "same batch" else f"msgbatch_{number}")]
        cursor = f"msgbatch_{number % 2}" if kind == "two cursors" else f"msgbatch_c{number}"
        body = json.dumps({"data": data, "has_more": True, "first_id": cursor, "last_id": cursor}).encode()
        handler.send_response(200)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    url, seen = odd_server(answer)
    call(url, "list", limit=1)
    assert len(seen) < 5


def test_a_look_after_a_refusal_takes_no_longer_than_the_call(sandbox: Sandbox) -> None:
    sandbox.fail(Fault(match="POST */cancel", status=400, delay=0.4))
    sandbox.fail(Fault(match="GET", times=0, hang=True))
    began = time.monotonic()
    with MessageBatches(base_url=sandbox.url, api_key="k", timeout=0.8, max_retries=0) as client:
        outcome = CANCEL.run({"message_batch_id": EXAMPLE_ID}, client)
    assert outcome.is_error
    assert time.monotonic() - began < 5  # 60 s, were the look given the time of another call


def test_half_a_character_in_a_listing_is_accepted(sandbox: Sandbox, run: Run) -> None:
    names = ["msgbatch_a", "msgbatch_b"]
    body = json.dumps({"data": [described(names[0]), described(names[1], note="\ud800")], "has_more": False})
    sandbox.fail(Fault(match="GET", times=0, status=200, body=body))
    done = run("list", "--json")
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == names


def test_a_refused_cancel_of_a_batch_that_has_long_been_canceling_is_not_reported_as_accepted(
    sandbox: Sandbox, batches: MessageBatches
) -> None:
    sandbox.fail(Fault(match="POST */cancel", status=400))
    since = described(EXAMPLE_ID, "canceling", cancel_initiated_at="2024-01-01T00:00:00Z")
    sandbox.fail(Fault(match="GET", times=0, status=200, body=since))
    assert CANCEL.run({"message_batch_id": EXAMPLE_ID}, batches).result == "already_canceling"
