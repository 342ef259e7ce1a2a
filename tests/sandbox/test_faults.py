"""Faults of the sandbox: each does what it says, as often as it says."""

from typing import Any

import anthropic
import httpx2
import pytest

from cancel_message_batch.sandbox import Fault, Sandbox
from cancel_message_batch.sandbox.faults import fields_of

from .conftest import Call

BATCHES = "/v1/messages/batches"


def test_a_fault_hits_as_many_matching_requests_as_it_says(server: Sandbox, call: Call) -> None:
    server.fail(Fault(match="POST */cancel", times=2, status=529))
    path = f"{BATCHES}/{server.account.add(10)}"
    assert call(server, "GET", path).status_code == 200
    answers = [call(server, "POST", f"{path}/cancel") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [529, 529, 200]
    assert answers[0].json()["error"]["type"] == "overloaded_error"
    assert answers[0].json()["request_id"] == answers[0].headers["request-id"]


def test_a_fault_of_zero_times_hits_every_request(server: Sandbox, call: Call) -> None:
    server.fail(Fault(times=0, status=500))
    assert {call(server, "GET", BATCHES).status_code for _ in range(5)} == {500}


def test_a_fault_for_all_requests_stays_as_it_was_given(server: Sandbox, call: Call) -> None:
    server.fault(status=500, times=0)
    call(server, "GET", BATCHES)
    assert call(server, "GET", "/_sandbox/faults").json() == [{"status": 500, "times": 0}]


def test_a_fault_can_be_queued_again(server: Sandbox, call: Call) -> None:
    fault = Fault(status=500)
    for _ in range(2):
        server.fail(fault)
        assert [call(server, "GET", BATCHES).status_code for _ in range(2)] == [500, 200]


@pytest.mark.parametrize(
    ("match", "matched"),
    [
        ("", True),
        ("GET", True),
        ("/batches", True),
        ("GET /v1/messages/batches", True),
        ("get", False),
        ("G.T", False),
        ("batches$", False),
        ("(", False),
        ("*", True),
        ("GET *", True),
        ("*/batches", True),
        ("GET */batches", True),
        ("GET /v1*ba*es", True),
        ("*/messages", False),
        ("*/messages/*", True),
        ("GET*", True),
        ("GET /v1*[a]*", False),
        ("GET */batche?", False),
        ("*a" * 500, False),
    ],
)
def test_a_plain_text_matches_anywhere_and_one_with_an_asterisk_the_whole(
    match: str, matched: bool, server: Sandbox, call: Call
) -> None:
    server.fail(Fault(match=match, status=500))
    assert call(server, "GET", BATCHES, timeout=5).status_code == (500 if matched else 200)


def test_the_first_fault_that_matches_is_used(server: Sandbox, call: Call) -> None:
    server.fail(Fault(match="DELETE", status=500))
    server.fail(Fault(match="GET", status=504))
    server.fail(Fault(match="GET", status=429, headers={"retry-after": "7"}))
    assert call(server, "GET", BATCHES).status_code == 504
    answer = call(server, "GET", BATCHES)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert call(server, "GET", BATCHES).status_code == 200


@pytest.mark.parametrize(
    ("fault", "status", "kind", "text"),
    [
        (Fault(body="<html>", content_type="text/html"), 200, "text/html", "<html>"),
        (
            Fault(body={"type": "x", "message": "y"}, status=400),
            400,
            "application/json",
            '{"type": "x", "message": "y"}',
        ),
        (Fault(body=b"\x00", content_type="image/png", status=502), 502, "image/png", "\x00"),
        (Fault(status=307, headers={"location": "http://127.0.0.1:9/"}), 307, "application/json", ""),
    ],
)
def test_a_fault_answers_anything(
    fault: Fault, status: int, kind: str, text: str, *, server: Sandbox, call: Call
) -> None:
    server.fail(fault)
    answer = call(server, "GET", BATCHES)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith(kind)
    assert answer.text == text


def test_a_late_answer_is_the_real_one(server: Sandbox, call: Call) -> None:
    path = f"{BATCHES}/{server.account.add(10)}/cancel"
    server.fail(Fault(delay=0.05))
    assert call(server, "POST", path).json()["processing_status"] == "canceling"


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"drop": True}, httpx2.RemoteProtocolError),
        ({"hang": True}, httpx2.ReadTimeout),
        ({"delay": 60.0}, httpx2.ReadTimeout),
    ],
)
def test_an_answer_can_be_lost_before_or_after_the_request_took_effect(
    fault: dict[str, Any], error: type[Exception], after: bool, server: Sandbox, call: Call
) -> None:
    batch_id = server.account.add(10)
    server.fail(Fault(match="cancel", after=after, **fault))
    with pytest.raises(error):
        call(server, "POST", f"{BATCHES}/{batch_id}/cancel", timeout=0.2)
    assert server.journal[-1].status is None
    shown = call(server, "GET", f"{BATCHES}/{batch_id}").json()
    assert shown["processing_status"] == ("canceling" if after else "in_progress")


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("body", [None, b"x" * 100])
def test_an_answer_can_be_cut_and_the_log_stays_empty(
    body: bytes | None, after: bool, server: Sandbox, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    server.fail(Fault(cut=20, body=body, after=after))
    with pytest.raises(httpx2.RemoteProtocolError):
        call(server, "GET", BATCHES)
    assert server.journal[-1].status == 200
    assert call(server, "GET", BATCHES).status_code == 200
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("times", "fields"),
    [(0, {}), (1, {}), (2, {}), (1, {"delay": 0.001}), (1, {"name": "trickling headers", "delay": 0.0001})],
)
def test_a_cut_of_a_response_that_is_shorter_is_still_to_come(
    times: int, fields: dict[str, Any], server: Sandbox, call: Call
) -> None:
    small, large = (f"{BATCHES}/{server.account.add(size, status='ended')}/results" for size in (1, 100))
    server.fault(match="GET */results", cut=len(call(server, "GET", small).content), times=times, **fields)
    before = [fields_of(fault) for fault in server.faults]
    for _ in range(2):
        assert len(call(server, "GET", small).text.splitlines()) == 1
        assert [fields_of(fault) for fault in server.faults] == before
    for _ in range(times or 3):
        with pytest.raises(httpx2.RemoteProtocolError):
            call(server, "GET", large)
    assert len(server.faults) == (times == 0)


def test_an_error_can_follow_a_cancel_that_was_accepted(server: Sandbox, call: Call) -> None:
    batch_id = server.account.add(10)
    server.fail(Fault(match="cancel", after=True, status=500))
    assert call(server, "POST", f"{BATCHES}/{batch_id}/cancel").status_code == 500
    assert call(server, "GET", f"{BATCHES}/{batch_id}").json()["processing_status"] == "canceling"


@pytest.mark.parametrize(
    "wrong",
    [
        {"match": "*" * 1_001},
        {"match": "batches/*/cancel", "status": 500},
        {"match": "/v1*", "status": 500},
        {"match": "GE? *", "status": 500},
        {"match": "GET x*", "status": 500},
        {"body": 1},
        {"status": 204, "body": "x"},
        {"times": -1},
        {"delay": -1.0},
        {"delay": float("nan")},
        {"delay": 1e9},
        {"status": 0},
        {"status": 100},
        {"status": 600},
        {"headers": {"x": "a\r\nb: c"}},
        {"headers": {"x": "\u2026"}},
        {"headers": {"a b": "c"}},
        {"content_type": "text/html\n"},
    ],
)
def test_an_invalid_fault_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Fault(**wrong)


def test_the_official_client_gets_past_faults_by_its_retries(server: Sandbox) -> None:
    batch_id = server.account.add(10)
    server.fail(Fault(match="cancel", status=429, headers={"retry-after": "0.01"}))
    server.fail(Fault(match="cancel", drop=True))
    with anthropic.Anthropic(api_key="test-key", base_url=server.url) as client:
        assert client.messages.batches.cancel(batch_id).processing_status == "canceling"
    assert [exchange.status for exchange in server.journal] == [429, None, 200]
