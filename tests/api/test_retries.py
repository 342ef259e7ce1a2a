"""When a request is sent again, and when the client gives up."""

import threading
from typing import Any

import pytest

from cancel_message_batch import APIConnectionError, APIStatusError, APITimeoutError
from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.api.retries import Attempts, RetryPolicy, refused_by_limit
from cancel_message_batch.sandbox import Fault, Sandbox
from cancel_message_batch.words import failures
from tests.api.conftest import Call, Handler
from tests.conftest import cancels


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503, 529])
def test_a_failure_that_may_be_temporary_is_retried_twice(sandbox: Sandbox, call: Call, status: int) -> None:
    sandbox.fail(Fault(match="cancel", times=2, status=status, headers={"retry-after": "0.01"}))
    assert call(sandbox.url, "cancel", EXAMPLE_ID).processing_status == "canceling"
    assert len(sandbox.journal) == 3


def test_after_two_more_tries_the_error_says_what_the_api_said(sandbox: Sandbox, call: Call) -> None:
    error = {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}
    sandbox.fail(Fault(match="cancel", times=0, status=429, headers={"retry-after": "0.01"}, body=error))
    with pytest.raises(APIStatusError) as caught:
        call(sandbox.url, "cancel", EXAMPLE_ID)
    assert (caught.value.status_code, caught.value.type, caught.value.api_message) == (
        429,
        "rate_limit_error",
        "slow down",
    )
    assert caught.value.retry_after == 0.01
    assert caught.value.may_have_arrived is False
    assert len(sandbox.journal) == 3


@pytest.mark.parametrize(
    ("status", "header", "sent"), [(400, "true", 3), (500, "false", 1), (400, "", 1), (404, "", 1)]
)
def test_the_apis_own_word_decides_whether_to_try_again(
    sandbox: Sandbox, call: Call, status: int, header: str, sent: int
) -> None:
    headers = {"retry-after": "0.01"} | ({"x-should-retry": header} if header else {})
    sandbox.fail(Fault(match="cancel", times=0, status=status, headers=headers))
    with pytest.raises(APIStatusError):
        call(sandbox.url, "cancel", EXAMPLE_ID)
    assert len(sandbox.journal) == sent


def test_a_lost_answer_is_asked_for_again_and_a_repeated_cancel_changes_nothing(sandbox: Sandbox, call: Call) -> None:
    sandbox.fail(Fault(match="cancel", times=1, drop=True, after=True))
    assert call(sandbox.url, "cancel", EXAMPLE_ID).processing_status == "canceling"
    assert cancels(sandbox) == [EXAMPLE_ID, EXAMPLE_ID]


def test_a_refusal_after_a_lost_answer_leaves_the_outcome_unknown(sandbox: Sandbox, call: Call) -> None:
    sandbox.fail(Fault(match="cancel", times=1, drop=True, after=True))
    sandbox.fail(Fault(match="cancel", times=0, status=429, headers={"retry-after": "0.01"}))
    with pytest.raises(APIStatusError) as caught:
        call(sandbox.url, "cancel", EXAMPLE_ID)
    assert caught.value.status_code == 429
    assert caught.value.may_have_arrived is True


def test_a_wait_longer_than_the_deadline_is_not_waited_for(sandbox: Sandbox, call: Call) -> None:
    sandbox.fail(Fault(match="cancel", times=0, status=429, headers={"retry-after": "3600"}))
    with pytest.raises(APIStatusError):
        call(sandbox.url, "cancel", EXAMPLE_ID, options={"timeout": 5.0})
    assert len(sandbox.journal) == 1


@pytest.mark.parametrize("value", ["1e300", "Thu, 01 Jan 9999 00:00:00 GMT", "nonsense", "-5", "nan"])
def test_an_absurd_retry_after_is_ignored(sandbox: Sandbox, call: Call, value: str) -> None:
    sandbox.fail(Fault(match="cancel", times=0, status=429, headers={"retry-after": value}))
    with pytest.raises(APIStatusError) as caught:
        call(sandbox.url, "cancel", EXAMPLE_ID, options={"max_retries": 0})
    assert (caught.value.retry_after or 0) <= 86_400


def test_an_api_that_never_answers_is_given_up_and_the_outcome_is_unknown(sandbox: Sandbox, call: Call) -> None:
    sandbox.fail(Fault(match="cancel", times=0, hang=True))
    with pytest.raises(APITimeoutError) as caught:
        call(sandbox.url, "cancel", EXAMPLE_ID, options={"timeout": 0.3})
    assert caught.value.may_have_arrived is True


def test_an_answer_that_trickles_in_is_given_up_too(odd_server: Any, call: Call) -> None:
    def trickle(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "100000")
        handler.end_headers()
        for _ in range(100):
            try:
                handler.wfile.write(b" ")
                handler.wfile.flush()
            except OSError:
                return
            threading.Event().wait(0.05)

    url, _ = odd_server(trickle)
    with pytest.raises(APITimeoutError):
        call(url, "cancel", EXAMPLE_ID, options={"timeout": 0.3, "max_retries": 0})


SPEND_LIMIT = {
    "type": "error",
    "error": {
        "type": "rate_limit_error",
        "message": "the organization has crossed its threshold",
        "details": {"error_code": "enforced_spend_limit_reached"},
    },
}


def test_a_spend_limit_is_not_waited_for_and_the_text_says_until_when_it_lasts(sandbox: Sandbox, call: Call) -> None:
    sandbox.fail(Fault(match="cancel", times=0, status=429, body=SPEND_LIMIT))
    with pytest.raises(APIStatusError) as caught:
        call(sandbox.url, "cancel", EXAMPLE_ID)
    assert len(sandbox.journal) == 1
    assert (caught.value.error_code, refused_by_limit(caught.value)) == ("enforced_spend_limit_reached", False)
    text = failures.failed(caught.value, "cancel", EXAMPLE_ID)
    assert "monthly spend limit (429" in text
    assert "before the month ends" in text
    assert f"{EXAMPLE_ID} was not canceled" in text
    assert "Try again" not in text


def test_a_limit_that_the_organization_set_is_not_taken_for_a_mistake_in_the_request(
    sandbox: Sandbox, call: Call
) -> None:
    message = "You have reached your specified workspace API usage limits. You will regain access on 2026-12-01."
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
    sandbox.fail(Fault(match="cancel", times=0, status=400, body=body))
    with pytest.raises(APIStatusError) as caught:
        call(sandbox.url, "cancel", EXAMPLE_ID)
    text = failures.failed(caught.value, "cancel", EXAMPLE_ID)
    assert "a limit that it set itself (400" in text
    assert message in text
    assert "An administrator can raise the limit" in text


def test_the_pauses_before_retries_grow_and_are_spread_out() -> None:
    """Clients that failed together do not come back together."""
    pauses = []
    for _ in range(20):
        attempts = Attempts(RetryPolicy(max_retries=9), float("inf"))
        pauses.append([attempts.pause_after(APIConnectionError("lost")) for _ in range(9)])
    for number, longest in enumerate([0.5, 1, 2, 4, 8, 8, 8, 8, 8]):
        same_retry = [each[number] for each in pauses]
        assert 0.75 * longest <= min(same_retry) < max(same_retry) <= longest
        assert len(set(same_retry)) > 10
