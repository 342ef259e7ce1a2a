"""What is said about a batch: a table of states."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from cancel_message_batch import (
    APIConnectionError,
    APIResponseError,
    APIStatusError,
    APITimeoutError,
    MessageBatch,
    MessageBatchError,
)
from cancel_message_batch.api.models import EXAMPLE_ID, Context
from cancel_message_batch.words import failures, programs, states
from cancel_message_batch.words.facts import duration
from tests.conftest import live_in

NOW = datetime(2026, 11, 23, 17, 0, 0, tzinfo=UTC)
RESULTS = f"https://api.anthropic.com/v1/messages/batches/{EXAMPLE_ID}/results"


def batch(status: str, ago: timedelta = timedelta(hours=2, minutes=5), **fields: Any) -> MessageBatch:
    """A batch as the API would describe it at NOW."""
    counts = {"processing": 10_000, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
    counts.update(fields.pop("counts", {}))
    return MessageBatch.model_validate(
        {
            "id": EXAMPLE_ID,
            "processing_status": status,
            "request_counts": counts,
            "created_at": NOW - ago,
            "expires_at": NOW - ago + timedelta(hours=24),
            **fields,
        },
        context=Context(as_of=NOW, clock_skew=timedelta(seconds=5), origin="https://api.anthropic.com:443"),
    )


DONE = {"processing": 0, "succeeded": 9_000, "errored": 500, "canceled": 400, "expired": 100}


def test_an_accepted_cancellation_is_said_to_be_not_immediate_billed_and_checkable() -> None:
    text = states.canceled(batch("canceling", cancel_initiated_at=NOW))
    for promise in (
        "accepted but not immediate",
        "or still completes, is billed",
        "status is ended",
        "results are kept until 29 days after",
    ):
        assert promise in text


def test_counts_that_are_all_zero_before_the_end_are_never_reported_as_none() -> None:
    for status in ("in_progress", "canceling"):
        for text in (states.canceled(batch(status)), states.status(batch(status))):
            assert "so far" not in text
            assert "succeeded" not in text
            assert "0 " not in text.replace("10,000 ", "").replace("17:00 ", "")


def test_counts_that_mean_something_before_the_end_are_reported() -> None:
    counts = {"processing": 50, "succeeded": 40, "errored": 5, "canceled": 5}
    text = states.canceled(batch("canceling", cancel_initiated_at=NOW, counts=counts))
    assert "Reported so far: 40 succeeded, 5 errored, 5 canceled, 50 processing." in text


@pytest.mark.parametrize(
    ("minutes", "result"),
    [
        (0, "canceling"),
        (-5, "canceling"),
        (0.3, "already_canceling"),
        (12, "already_canceling"),
        (60 * 24 * 700, "canceling"),
    ],
)
def test_an_earlier_cancellation_is_mentioned_only_if_its_time_makes_sense(minutes: float, result: str) -> None:
    canceling = batch("canceling", cancel_initiated_at=NOW - timedelta(minutes=minutes))
    assert states.cancel_result(canceling) == result
    said = "was already canceling, since 2026-11-23 16:" in states.canceled(canceling)
    assert said == (result == "already_canceling")


@pytest.mark.parametrize("status", ["canceling", "ended"])
def test_a_cancellation_as_old_as_the_call_with_its_retries_came_from_the_call(status: str) -> None:
    since = batch(status, cancel_initiated_at=NOW - timedelta(seconds=40))
    assert states.cancel_result(since) == f"already_{status}"
    assert states.cancel_result(since, took=40.0) == status


@pytest.mark.parametrize("status", ["canceling", "ended"])
def test_where_the_api_sent_no_time_the_clocks_may_differ_by_a_minute(status: str) -> None:
    since = datetime.now(UTC) - timedelta(seconds=40)
    fields = batch(status, cancel_initiated_at=since).model_dump()
    assert states.cancel_result(MessageBatch.model_validate(fields)) == status


def test_a_batch_that_had_ended_keeps_its_results_and_nothing_was_canceled() -> None:
    ended = batch("ended", counts=DONE, ended_at=NOW - timedelta(minutes=3), results_url=RESULTS)
    assert states.canceled(ended) == (
        f"Nothing was canceled now: message batch {EXAMPLE_ID} had already ended at 2026-11-23 16:57 UTC (3 min ago). "
        f"Final counts: 9,000 succeeded (billed), 500 errored, 400 canceled (not billed), 100 expired. "
        f"Results (needs the API key): {RESULTS}"
    )


def test_a_cancellation_that_canceled_no_request_is_said_to_have_canceled_none() -> None:
    since = NOW - timedelta(minutes=9)
    ended = batch("ended", counts={"processing": 0, "succeeded": 10_000}, cancel_initiated_at=since, ended_at=NOW)
    for text in (states.canceled(ended), states.status(ended)):
        assert "after a cancellation at 2026-11-23 16:51 UTC" in text
        assert "Final counts: 10,000 succeeded (billed); no request was canceled." in text


def test_a_batch_is_shown_with_its_size_and_age_whatever_its_state() -> None:
    for status in ("in_progress", "canceling", "ended"):
        text = states.status(batch(status))
        assert "(10,000 requests)" in text
        assert "Created 2026-11-23 14:55 UTC (2 h 5 min ago)." in text


def test_a_batch_that_ended_by_this_very_cancellation_is_not_said_to_have_ended_before() -> None:
    ended = batch(
        "ended", counts=DONE, cancel_initiated_at=NOW - timedelta(seconds=3), ended_at=NOW, results_url=RESULTS
    )
    assert states.canceled(ended).startswith(f"Message batch {EXAMPLE_ID} was canceled and has ended. Final counts:")


def test_results_that_expired_are_said_to_be_gone() -> None:
    archived = batch("ended", timedelta(days=40), counts=DONE, ended_at=NOW - timedelta(days=39), archived_at=NOW)
    for text in (states.canceled(archived), states.status(archived)):
        assert "results are gone: results are kept for 29 days after creation" in text


def test_a_status_of_the_future_is_not_taken_for_stopped() -> None:
    assert "has the status paused. It has not ended" in states.status(batch("paused"))


@pytest.mark.parametrize("status", ["in_progress", "canceling", "ended", "paused"])
@pytest.mark.parametrize("counts", [{}, DONE, {"processing": 100_000, "succeeded": 99_999, "errored": 99_999}])
def test_a_summary_of_a_cancel_is_short_and_plain(status: str, counts: dict[str, int]) -> None:
    for minutes in (0, 30):
        since = NOW - timedelta(minutes=minutes)
        text = states.canceled(batch(status, counts=counts, cancel_initiated_at=since, results_url=RESULTS))
        assert len(text) <= 450
        assert text.isprintable()
        assert EXAMPLE_ID in text


def error(status: int, **headers: float) -> APIStatusError:
    body = {"type": "error", "error": {"type": "some_error", "message": "the API's words"}, "request_id": "req_1"}
    sent = {name.replace("_", "-"): str(value) for name, value in headers.items()}
    request = httpx2.Request("POST", "https://api.anthropic.com/v1/messages/batches")
    return APIStatusError(response=httpx2.Response(status, json=body, headers=sent, request=request))


ACCEPTED = "it may have been"
UNCHANGED = "if it was running, it still is"


@pytest.mark.parametrize(
    ("failure", "state", "advice"),
    [
        (error(400), UNCHANGED, "the API's words"),
        (error(401), UNCHANGED, "Check the API key"),
        (error(402), UNCHANGED, "billing"),
        (error(403), UNCHANGED, "may not cancel"),
        (
            error(404),
            "nothing was canceled",
            "in another workspace: a request reaches only one. List the message batches",
        ),
        (error(413), UNCHANGED, "the API's words"),
        (error(429, retry_after=90.0), UNCHANGED, "Try again in 1 min"),
        (error(429), UNCHANGED, "limiting requests"),
        (error(500), ACCEPTED, "safe to repeat"),
        (error(504), ACCEPTED, "Get its status"),
        (error(529), UNCHANGED, "overloaded"),
        (APIConnectionError("api.anthropic.com cannot be reached"), UNCHANGED, "Check the network"),
        (APITimeoutError("api.anthropic.com did not answer in time", may_have_arrived=True), ACCEPTED, "in_progress"),
        (APIResponseError("x answered 200 with text/html", may_have_arrived=True), ACCEPTED, "ANTHROPIC_BASE_URL"),
    ],
)
def test_a_failed_cancel_says_what_happened_what_holds_and_what_to_do(
    failure: MessageBatchError, state: str, advice: str
) -> None:
    text = failures.failed(failure, "cancel", EXAMPLE_ID)
    assert state in text
    assert advice in text
    assert EXAMPLE_ID in text
    assert len(text) <= 450
    assert (ACCEPTED in text) == failure.may_have_arrived


def test_a_failed_look_says_nothing_of_canceling() -> None:
    for failure in (error(404), error(500), error(401), APITimeoutError("no answer", may_have_arrived=True)):
        assert "cancel" not in failures.failed(failure, "get", EXAMPLE_ID)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (7500, "2 h 5 min"),
        (7200, "2 h"),
        (2516400, "29 d 3 h"),
    ],
)
def test_a_duration_is_written_in_its_two_largest_units(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_times_are_shown_in_the_persons_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    live_in(monkeypatch, "CET-1")
    assert "Created 2026-11-23 15:55 CET (2 h 5 min ago)" in states.status(batch("in_progress"))


def test_a_guard_says_what_it_was_left_by_what_became_of_each_batch_and_what_to_type() -> None:
    text = programs.guard_left(
        "nightly eval", "SIGTERM", ["msgbatch_a", "msgbatch_b"], ["msgbatch_c"], {"msgbatch_d": "No."}
    )
    assert text == (
        'The guarded block of "nightly eval" ended with SIGTERM.\n'
        f"Canceling: msgbatch_a msgbatch_b. {states.NOT_IMMEDIATE} "
        "To wait until stopped: `cancel-message-batch wait msgbatch_a msgbatch_b`\n"
        "Ended: msgbatch_c.\n"
        "No.\nTo cancel: `cancel-message-batch msgbatch_d`"
    )
    assert programs.guard_left("", "", [], ["msgbatch_c"], {}) == "The guarded block ended.\nEnded: msgbatch_c."


def test_a_create_without_a_response_is_reported_with_the_time_and_size_to_look_for() -> None:
    assert programs.creation_lost(NOW, 1_000) == (
        "A request to create a message batch of 1,000 requests was sent at 2026-11-23 17:00:00 UTC, and no response "
        "came. The batch may exist and be running. To look for a batch of that time and size: "
        "`cancel-message-batch list`. To cancel it: `cancel-message-batch ID`"
    )


def test_batches_that_were_left_behind_come_with_the_command_that_shows_them_and_none_that_stops_any() -> None:
    assert programs.left_behind([]) == ""
    several = [batch("in_progress"), batch("in_progress")]
    one, two = programs.left_behind(several[:1]), programs.left_behind(several)
    assert one.startswith(f"Left behind by a program that failed or was killed: message batch {EXAMPLE_ID}, 10,000 req")
    assert "was killed: 2 message batches, 20,000 requests. " in two
    for text in (one, two):
        assert re.findall("`(.*?)`", text) == ["cancel-message-batch list --orphaned"]


def test_who_left_a_batch_behind_is_said_with_how_and_when_it_ended() -> None:
    one = batch("in_progress", created_at=NOW - timedelta(hours=2))
    ended = 300.0
    assert programs.left_behind_by(one, "a.py", 47, through="run", ended=ended, end="exit code 3") == (
        'Left behind by "a.py" (pid 47), which ended 5 min ago with exit code 3. No cancel was confirmed.'
    )
    assert "whose guarded block ended 5 min ago with ValueError" in programs.left_behind_by(
        one, "a.py", 47, through="guard", ended=ended, end="ValueError"
    )
    assert (
        "(pid 47), which ended inside its guarded block, in a daemon thread, by `os._exit`"
        in programs.left_behind_by(one, "a.py", 47, through="guard", ended=None, end=None)
    )
    assert programs.left_behind_by(one, "a.py", 47, through="run", ended=None, end=None) == (
        'Left behind by "a.py" (pid 47), whose `run` was killed, or lost its power. It created the batch 2 h ago.'
    )
