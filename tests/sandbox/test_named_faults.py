"""Every fault that has a name does what its name says, to the n-th call of an operation."""

import socket
import threading
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
import pytest

from cancel_message_batch.sandbox import FAULTS, Sandbox
from cancel_message_batch.sandbox.changes import ANOTHER_BATCH

from .conftest import Call

BATCHES = "/v1/messages/batches"


def outcome(sandbox: Sandbox, call: Call, batch_id: str, **options: Any) -> Any:
    """Cancel a batch; return the response, or the type of the error without one."""
    try:
        return call(sandbox, "POST", f"{BATCHES}/{batch_id}/cancel", timeout=options.pop("timeout", 30), **options)
    except httpx2.HTTPError as error:
        return type(error)


def status(sandbox: Sandbox, batch_id: str) -> str:
    return sandbox.account.get(batch_id).status(sandbox.account.now())


@pytest.fixture
def batch_id(server: Sandbox) -> str:
    return server.account.add(10)


@pytest.mark.parametrize(
    ("name", "error", "after"),
    [
        ("reset before reading", httpx2.ReadError, "in_progress"),
        ("reset after the effect", httpx2.ReadError, "canceling"),
        ("no answer", httpx2.ReadTimeout, "in_progress"),
        ("no answer after the effect", httpx2.ReadTimeout, "canceling"),
        ("trickling headers", httpx2.ReadTimeout, "canceling"),
        ("trickling body", httpx2.ReadTimeout, "canceling"),
        ("cut body", httpx2.RemoteProtocolError, "canceling"),
    ],
)
def test_a_fault_loses_the_answer_before_or_after_the_effect(
    name: str, error: type[Exception], after: str, *, server: Sandbox, call: Call, batch_id: str
) -> None:
    server.fault(name, operation="cancel")
    assert outcome(server, call, batch_id, timeout=0.5) is error
    assert status(server, batch_id) == after
    assert call(server, "GET", BATCHES).status_code == 200


def test_trickling_ends_for_who_waits(server: Sandbox, call: Call, batch_id: str) -> None:
    for name in ("trickling headers", "trickling body"):
        server.fault(name, operation="retrieve", delay=0.001)
        assert call(server, "GET", f"{BATCHES}/{batch_id}").json()["id"] == batch_id


def test_a_reset_before_reading_does_not_wait_for_the_body(server: Sandbox) -> None:
    server.fault("reset before reading", operation="create")
    host, port = server.url.removeprefix("http://").split(":")
    head = "\r\n".join([f"POST {BATCHES} HTTP/1.1", f"host: {host}:{port}", "content-length: 1000000", "", ""])
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(head.encode())
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    assert (server.journal[0].path, server.journal[0].status) == (BATCHES, None)


CLOSED = {httpx2.ConnectError, httpx2.ReadError, httpx2.RemoteProtocolError}


def test_refused_connections_begin_at_once_and_end(server: Sandbox, call: Call, batch_id: str) -> None:
    server.fault("refused", refuse=0.5)
    errors = []
    while (last := outcome(server, call, batch_id)) in CLOSED:
        errors.append(last)
    assert httpx2.ConnectError in errors
    assert last.json()["processing_status"] == "canceling"


def test_connections_are_refused_from_the_call_on_that_is_meant(server: Sandbox, call: Call, batch_id: str) -> None:
    server.fault("refused", operation="cancel", refuse=600)
    assert call(server, "GET", BATCHES).status_code == 200
    assert outcome(server, call, batch_id) is httpx2.ReadError  # reset, as `help(Fault)` says
    assert status(server, batch_id) == "in_progress"
    assert outcome(server, call, batch_id) is httpx2.ConnectError
    server.stop()  # does not wait for the end of the pause


@pytest.mark.parametrize("end", [Sandbox.reset, lambda sandbox: sandbox.faults.clear()], ids=["reset", "clear"])
@pytest.mark.parametrize("operation", [None, "list"])
def test_a_refusal_ends_at_once_with_the_faults(
    operation: str | None, end: Callable[[Sandbox], None], server: Sandbox, call: Call
) -> None:
    fields = {"operation": operation} if operation else {}
    server.fault("refused", refuse=600, **fields)
    with pytest.raises(httpx2.TransportError):
        call(server, "GET", BATCHES)
    end(server)
    assert call(server, "GET", BATCHES).status_code == 200


@pytest.mark.parametrize("seconds", [(3, 3), (600, 0.001)])
def test_a_second_refusal_extends_the_first_and_never_shortens_it(
    seconds: tuple[float, float], server: Sandbox, call: Call, batch_id: str
) -> None:
    for each in seconds:
        server.fault("refused", refuse=each)
    assert outcome(server, call, batch_id) is httpx2.ConnectError


def test_a_sandbox_that_is_not_started_yet_refuses_connections_from_its_start(call: Call) -> None:
    sandbox = Sandbox()
    sandbox.fault("refused", refuse=600)
    with sandbox:
        with pytest.raises(httpx2.ConnectError):
            call(sandbox, "GET", BATCHES)
        sandbox.faults.clear()
        assert call(sandbox, "GET", BATCHES).status_code == 200
    sandbox.fault("refused", refuse=600)
    sandbox.faults.clear()
    with sandbox:
        assert call(sandbox, "GET", BATCHES).status_code == 200


def test_a_refusal_lasts_until_the_address_is_free_again(server: Sandbox, call: Call) -> None:
    server.fault("refused", refuse=600)
    with socket.create_server(("127.0.0.1", int(server.url.rpartition(":")[2]))):
        clearing = threading.Thread(target=server.faults.clear)
        clearing.start()
        clearing.join(0.2)  # the server tries meanwhile
    clearing.join()
    assert call(server, "GET", BATCHES).status_code == 200


@pytest.mark.parametrize("name", [name for name in FAULTS if name.startswith(("status", "retry-after", "spend"))])
def test_a_status_is_answered_with_the_error_of_the_api(name: str, server: Sandbox, call: Call, batch_id: str) -> None:
    server.fault(name, operation="cancel")
    answer = outcome(server, call, batch_id)
    assert answer.status_code == FAULTS[name]["status"]
    assert answer.json()["error"]["type"].endswith("_error") or answer.status_code == 413
    assert status(server, batch_id) == ("canceling" if "after the effect" in name else "in_progress")
    assert ("retry-after" in answer.headers) == name.startswith("retry-after")
    if name == "retry-after as a date":
        date = parsedate_to_datetime(answer.headers["retry-after"])
        assert (date - parsedate_to_datetime(answer.headers["date"])).total_seconds() in {1, 2, 3}


def test_the_faults_have_every_status_of_the_contract() -> None:
    known = {400, 401, 402, 403, 404, 409, 413, 429, 500, 503, 504, 529}
    assert {fields["status"] for name, fields in FAULTS.items() if name.startswith("status")} == known


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("HTML page", lambda answer: (answer.status_code, answer.text[:6]) == (200, "<html>")),
        ("HTML error", lambda answer: (answer.status_code, answer.text[:6]) == (502, "<html>")),
        ("wrong content type", lambda answer: answer.headers["content-type"] == "text/plain" and answer.json()["id"]),
        ("redirect", lambda answer: (answer.status_code, "location" in answer.headers) == (307, True)),
        ("50 MB", lambda answer: len(answer.content) > 50 * 2**20 and answer.json()["id"]),
        ("another batch", lambda answer: answer.json()["id"] == ANOTHER_BATCH),
        ("gzip", lambda answer: answer.headers["content-encoding"] == "gzip" and answer.json()["id"]),
        ("invalid UTF-8", lambda answer: b"\xff" in answer.content),
        ("nulls", lambda answer: answer.json()["processing_status"] is None and answer.json()["id"]),
        ("unknown fields", lambda answer: answer.json()["sandbox_new"] and answer.json()["id"]),
        ("unknown values", lambda answer: answer.json()["processing_status"] == "sandbox_new"),
    ],
)
def test_an_answer_is_what_its_name_says(name: str, seen: Any, server: Sandbox, call: Call, batch_id: str) -> None:
    server.fault(name, operation="retrieve")
    assert seen(call(server, "GET", f"{BATCHES}/{batch_id}"))


@pytest.mark.parametrize("name", ["another batch", "nulls", "unknown fields", "unknown values"])
def test_a_change_reaches_each_batch_of_a_list_and_each_line_of_results(
    name: str, server: Sandbox, call: Call, batch_id: str
) -> None:
    path = f"{BATCHES}/{batch_id}/results"
    server.account.finish(batch_id)
    real = call(server, "GET", BATCHES).json()["data"], call(server, "GET", path).text.splitlines()
    server.fault(name, times=2)
    listed, lines = call(server, "GET", BATCHES).json()["data"], call(server, "GET", path).text.splitlines()
    assert all(new != old for new, old in zip(listed, real[0], strict=True))
    assert all(new != old for new, old in zip(lines, real[1], strict=True))


def test_the_nth_call_of_an_operation_fails_and_the_others_do_not(server: Sandbox, call: Call) -> None:
    server.fault("status 503", operation="retrieve", call=3)
    server.fault("status 529", operation="retrieve", call=1)
    path = f"{BATCHES}/{server.account.add(10)}"
    codes = []
    for _ in range(4):
        codes.append(call(server, "GET", path).status_code)
        assert call(server, "GET", BATCHES).status_code == 200
    assert codes == [529, 200, 503, 200]


@pytest.mark.parametrize(
    ("operation", "method", "path"),
    [
        ("create", "POST", BATCHES),
        ("list", "GET", BATCHES),
        ("retrieve", "GET", f"{BATCHES}/msgbatch_1"),
        ("cancel", "POST", f"{BATCHES}/msgbatch_1/cancel"),
        ("delete", "DELETE", f"{BATCHES}/msgbatch_1"),
        ("results", "GET", f"{BATCHES}/msgbatch_1/results"),
        ("messages", "POST", "/v1/messages"),
    ],
)
def test_an_operation_is_its_own_requests_only(
    operation: str, method: str, path: str, server: Sandbox, call: Call
) -> None:
    others = [("GET", BATCHES), ("POST", f"{BATCHES}/msgbatch_1/cancel"), ("GET", f"{BATCHES}/msgbatch_1")]
    server.fault(operation=operation, status=418)
    for other in others:
        if other != (method, path):
            assert call(server, *other).status_code != 418
    assert call(server, method, path, json={}).status_code == 418


def test_a_fault_with_an_unknown_name_is_refused_and_the_names_are_said(server: Sandbox, call: Call) -> None:
    with pytest.raises(ValueError, match="no answer after the effect"):
        server.fault("no reply")
    answer = call(server, "POST", "/_sandbox/faults", json={"name": "no reply"})
    assert answer.status_code == 400
    assert "reset before reading" in answer.json()["error"]["message"]


def test_a_named_fault_can_be_queued_over_http(server: Sandbox, call: Call, batch_id: str) -> None:
    body = {"name": "reset after the effect", "operation": "cancel"}
    assert call(server, "POST", "/_sandbox/faults", json=body).status_code == 204
    assert outcome(server, call, batch_id) is httpx2.ReadError
    assert call(server, "POST", "/_sandbox/faults", json={"name": "refused", "refuse": 60}).status_code == 204
    while (last := outcome(server, call, batch_id)) is not httpx2.ConnectError:
        assert last in CLOSED or last.status_code == 200  # until the server has sent that answer
