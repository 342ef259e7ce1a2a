"""Faults, the journal, the sandbox's own HTTP interface, and starting and stopping."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import Any

import anthropic
import httpx2
import pytest

from cancel_message_batch.sandbox import Account, Exchange, Fault, Sandbox
from cancel_message_batch.sandbox.account import DOCUMENTED_ID

from .conftest import HEADERS, Call, Serve

BATCHES = "/v1/messages/batches"


# Faults.


def test_a_fault_befalls_the_requests_it_matches_as_often_as_it_says(server: Sandbox, call: Call) -> None:
    server.fail(Fault(match=r"POST .*/cancel$", times=2, status=529))
    path = f"{BATCHES}/{server.account.add(10)}"
    assert call(server, "GET", path).status_code == 200
    answers = [call(server, "POST", f"{path}/cancel") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [529, 529, 200]
    assert answers[0].json()["error"]["type"] == "overloaded_error"
    assert answers[0].json()["request_id"] == answers[0].headers["request-id"]


def test_a_fault_of_zero_times_befalls_all(server: Sandbox, call: Call) -> None:
    server.fail(Fault(times=0, status=500))
    assert {call(server, "GET", BATCHES).status_code for _ in range(5)} == {500}


def test_a_fault_can_be_queued_again(server: Sandbox, call: Call) -> None:
    fault = Fault(status=500)
    for _ in range(2):
        server.fail(fault)
        assert [call(server, "GET", BATCHES).status_code for _ in range(2)] == [500, 200]


def test_the_first_fault_that_matches_is_played(server: Sandbox, call: Call) -> None:
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


def test_an_error_can_follow_a_cancel_that_was_accepted(server: Sandbox, call: Call) -> None:
    batch_id = server.account.add(10)
    server.fail(Fault(match="cancel", after=True, status=500))
    assert call(server, "POST", f"{BATCHES}/{batch_id}/cancel").status_code == 500
    assert call(server, "GET", f"{BATCHES}/{batch_id}").json()["processing_status"] == "canceling"


@pytest.mark.parametrize(
    "wrong",
    [
        {"match": "("},
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
def test_a_fault_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"regular expression|negative|status|header"):
        Fault(**wrong)


def test_the_official_client_lives_through_faults_by_its_retries(server: Sandbox) -> None:
    batch_id = server.account.add(10)
    server.fail(Fault(match="cancel", status=429, headers={"retry-after": "0.01"}))
    server.fail(Fault(match="cancel", drop=True))
    with anthropic.Anthropic(api_key="test-key", base_url=server.url) as client:
        assert client.messages.batches.cancel(batch_id).processing_status == "canceling"
    assert [exchange.status for exchange in server.journal] == [429, None, 200]


# The journal.


def test_the_journal_holds_every_exchange_in_order(server: Sandbox, call: Call) -> None:
    batch_id = server.account.add(10)
    call(server, "GET", f"{BATCHES}?limit=5")
    call(server, "POST", f"{BATCHES}/{batch_id}/cancel")
    call(server, "POST", BATCHES, json={"requests": []})
    call(server, "GET", "/nowhere")
    assert [(each.method, each.path, each.query, each.status, each.body) for each in server.journal] == [
        ("GET", BATCHES, {"limit": "5"}, 200, None),
        ("POST", f"{BATCHES}/{batch_id}/cancel", {}, 200, None),
        ("POST", BATCHES, {}, 400, {"requests": []}),
        ("GET", "/nowhere", {}, 404, None),
    ]
    assert server.journal[0].headers["anthropic-version"] == "2023-06-01"
    assert server.journal[0].at == pytest.approx(server.account.now(), abs=60)


@pytest.mark.parametrize(
    ("header", "sent", "kept"),
    [
        ("x-api-key", "key-of-somebody-1234", "…1234"),
        ("authorization", "Bearer token-of-somebody-1234", "Bearer …1234"),
        ("authorization", "token-of-somebody-1234", "…1234"),
        ("cookie", "a=secret-one; b=secret-1234", "…1234"),
        ("x-api-key", "short", "…"),
    ],
)
def test_no_credential_is_in_the_journal(header: str, sent: str, kept: str, server: Sandbox, call: Call) -> None:
    call(server, "GET", BATCHES, {"x-api-key": None, header: sent})
    (exchange,) = server.journal
    assert exchange.headers[header] == kept
    shown = call(server, "GET", "/_sandbox/requests").text
    for secret in ("somebody", "secret", "short"):
        assert secret not in repr(exchange) + shown


# The interface for other processes.


def test_the_journal_can_be_read_and_cleared_over_http(server: Sandbox, call: Call) -> None:
    call(server, "GET", BATCHES)
    (shown,) = call(server, "GET", "/_sandbox/requests").json()
    assert Exchange(**shown) == server.journal[0]
    assert call(server, "DELETE", "/_sandbox/requests").status_code == 204
    assert server.journal == []


def test_faults_can_be_queued_over_http(server: Sandbox, call: Call) -> None:
    assert call(server, "POST", "/_sandbox/faults", json={"match": "GET", "status": 500}).status_code == 204
    assert call(server, "GET", "/_sandbox/requests").status_code == 200  # faults befall the API alone
    assert call(server, "GET", BATCHES).status_code == 500
    assert call(server, "GET", BATCHES).status_code == 200


def test_time_and_batches_can_be_had_over_http(server: Sandbox, call: Call) -> None:
    added = call(
        server, "POST", "/_sandbox/batches", json={"requests": 100, "age_seconds": 60, "status": "in_progress"}
    )
    batch_id = added.json()["id"]
    call(server, "POST", f"{BATCHES}/{batch_id}/cancel")
    (truth,) = call(server, "GET", "/_sandbox/batches").json()
    assert truth["id"] == batch_id
    assert (truth["processing_status"], truth["requests"], truth["canceled"]) == ("canceling", 100, True)
    assert call(server, "POST", "/_sandbox/advance", json={"seconds": 6}).status_code == 200
    (truth,) = call(server, "GET", "/_sandbox/batches").json()
    assert truth["processing_status"] == "ended"
    assert truth["age_seconds"] >= 66


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", {"matches": "x"}),
        ("faults", {"match": "("}),
        ("faults", {"times": -1}),
        ("faults", []),
        ("faults", {"status": 99}),
        ("faults", {"headers": {"x": "\n"}}),
        ("advance", b'{"seconds": NaN}'),
        ("advance", b'{"seconds": 1e999}'),
        ("advance", {"seconds": 1e11}),
        ("batches", {"requests": 100_001}),
        ("batches", {"requests": 1, "age_seconds": 1e11}),
        ("batches", b'{"requests": 1, "age_seconds": Infinity}'),
        ("batches", {"requests": 1, "error_every": -1}),
        ("advance", {}),
        ("advance", {"seconds": -1}),
        ("batches", {"requests": 0}),
        ("batches", {"requests": 1, "status": "paused"}),
        ("batches", {"requests": 1, "age": 5}),
    ],
)
def test_what_makes_no_sense_there_is_refused(path: str, body: Any, server: Sandbox, call: Call) -> None:
    answer = call(server, "POST", f"/_sandbox/{path}", content=body if isinstance(body, bytes) else json.dumps(body))
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert server.account.batches() == []


def test_it_needs_no_credential_and_is_not_in_the_journal(server: Sandbox, call: Call) -> None:
    answer = call(server, "GET", "/_sandbox/batches", dict.fromkeys(HEADERS))
    assert answer.json() == []
    assert server.journal == []
    assert call(server, "GET", "/_sandbox/nothing").status_code == 404


# Starting and stopping.


def test_a_port_in_use_is_an_error_in_the_callers_thread(server: Sandbox) -> None:
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        Sandbox(port=port).start()
    with pytest.raises(OSError, match="in use"):
        Sandbox(port=port).serve()


def test_a_sandbox_stops_with_clients_still_waiting() -> None:
    ended = []

    def wait(sandbox: Sandbox) -> None:
        with pytest.raises(httpx2.TransportError):
            httpx2.get(sandbox.url + BATCHES, headers=HEADERS, timeout=30)
        ended.append(True)

    with Sandbox(account=Account()) as sandbox:
        sandbox.fail(Fault(times=0, hang=True))
        clients = [threading.Thread(target=wait, args=(sandbox,)) for _ in range(3)]
        for client in clients:
            client.start()
        while len(sandbox.journal) < 3:
            pass
        idle = socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2])))
    for client in clients:
        client.join(10)
    idle.close()
    assert ended == [True] * 3


def test_a_stopped_sandbox_can_be_started_again_and_remembers(call: Call) -> None:
    sandbox = Sandbox(account=Account())
    sandbox.stop()  # nothing to stop is no error
    with sandbox, pytest.raises(RuntimeError, match="already"):
        sandbox.start()
    batch_id = sandbox.account.add(10)
    for _ in range(2):
        with sandbox:
            assert call(sandbox, "GET", BATCHES).json()["first_id"] == batch_id
    assert len(sandbox.journal) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_in_the_foreground_until_it_is_told_to_stop(number: int) -> None:
    script = "from cancel_message_batch.sandbox import Sandbox; Sandbox().serve(); print('stopped')"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        welcome = "".join(iter(process.stdout.readline, "Ctrl-C stops it.\n"))
        answer = httpx2.get(f"{url}{BATCHES}/{DOCUMENTED_ID}", headers=HEADERS)
        process.send_signal(number)
        output, errors = process.communicate(timeout=30)
    assert answer.json()["id"] == DOCUMENTED_ID
    assert "it never ends" in welcome
    assert output.splitlines()[-1] == "stopped"
    assert (errors, process.returncode) == ("", 0)


def test_a_thousand_cancels_at_once_are_all_answered(serve: Serve) -> None:
    sandbox = serve()
    ids = [sandbox.account.add(1000, 60) for _ in range(1000)]

    async def cancel_all() -> list[str]:
        limits = httpx2.Limits(max_connections=200)
        async with httpx2.AsyncClient(base_url=sandbox.url, headers=HEADERS, limits=limits, timeout=60) as client:
            answers = await asyncio.gather(*(client.post(f"{BATCHES}/{each}/cancel") for each in ids))
        return [answer.json()["processing_status"] for answer in answers]

    assert set(asyncio.run(cancel_all())) == {"canceling"}
    assert all(batch.cancel_at for batch in sandbox.account.batches())
    assert len(sandbox.journal) == 1000
