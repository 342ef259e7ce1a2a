"""Over HTTP: only who holds the token is served, and nobody holds a connection, a session or the memory for long."""

import asyncio
import contextlib
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import anyio
import httpx2
import mcp_types as types
import pytest

from cancel_message_batch.mcp_server import TOKEN_VARIABLE, build_server, http, new_token, token_fault
from cancel_message_batch.sandbox import Fault, Sandbox
from cancel_message_batch.tools import CANCEL
from tests.conftest import Run, cancels

from .clients import ERAS, over_http, serving, text

TOKEN = "a-token-of-the-tests"
ACCEPT = {"accept": "application/json, text/event-stream"}
HELLO = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


def bearer(token: str) -> dict[str, str]:
    return {**ACCEPT, "authorization": f"Bearer {token}"}


@contextlib.contextmanager
def here() -> Iterator[int]:
    """Serve in a thread of this process, with the limits that a test has set; the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        server = http._server(build_server(timeout=10), port, TOKEN)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield port
        finally:
            server.should_exit = True
            thread.join(10)
            assert not thread.is_alive()


@pytest.fixture
def address() -> Iterator[str]:
    with here() as port:
        yield f"http://127.0.0.1:{port}/mcp"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer wrong"},
        {"authorization": "Basic {token}"},
        {"authorization": "{token}"},
        {"authorization": "Bearer {token}x"},
        {"authorization": "Bearer é"},
        {"x-api-key": "{token}"},
        {"cookie": "token={token}"},
    ],
    ids=str,
)
def test_without_the_token_it_answers_401_and_does_nothing(
    sandbox: Sandbox, running: str, address: str, headers: dict[str, str]
) -> None:
    filled = {name.encode(): value.replace("{token}", TOKEN).encode() for name, value in headers.items()}
    answer = httpx2.post(address, json=cancel(running), headers=filled)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in answer.text
    assert cancels(sandbox) == []


@pytest.mark.parametrize("name", ["token", "access_token"])
def test_a_token_in_the_query_does_not_count(address: str, name: str) -> None:
    assert httpx2.post(f"{address}?{name}={TOKEN}", json=HELLO, headers=ACCEPT).status_code == 401


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS", "HEAD", "PUT"])
def test_every_method_needs_the_token(address: str, method: str) -> None:
    assert httpx2.request(method, address, headers=ACCEPT).status_code == 401


@pytest.mark.parametrize("era", ERAS)
def test_with_confirm_the_person_is_asked_over_http_too(sandbox: Sandbox, running: str, era: str) -> None:
    async def person(_: Any, __: Any) -> types.ElicitResult:
        return types.ElicitResult(action="accept", content={"answer": "yes"})

    async def conversation(address: str, token: str) -> str:
        async with over_http(address, token, era, elicitation_callback=person) as client:
            return text(await client.call_tool(CANCEL.name, {"message_batch_id": running}))

    with serving("--confirm") as (address, token, _):
        assert "accepted but not immediate" in asyncio.run(conversation(address, token))
    assert cancels(sandbox) == [running]


def test_each_start_makes_another_token() -> None:
    assert len({new_token() for _ in range(3)}) == 3
    assert all(len(new_token()) >= 32 for _ in range(3))


def test_the_token_of_the_environment_is_used_and_not_shown() -> None:
    with serving(**{TOKEN_VARIABLE: TOKEN}) as (address, shown, process):
        assert shown == f"${TOKEN_VARIABLE}"
        assert httpx2.post(address, json=HELLO, headers=bearer(TOKEN)).status_code == 200
        assert httpx2.post(address, json=HELLO, headers=bearer(shown)).status_code == 401
        httpx2.post(f"{address}?token={TOKEN}", json=HELLO, headers={"host": TOKEN})
        process.send_signal(signal.SIGINT)
        assert all(TOKEN not in said for said in process.communicate(timeout=20))


@pytest.mark.parametrize("token", ["", "short", "with a space in between", "é" * 20, "line\nfeed" * 4, "a" * 20 + "\n"])
def test_a_token_that_cannot_be_used_is_reported(token: str) -> None:
    fault = token_fault(token)
    assert TOKEN_VARIABLE in fault
    assert not token or token not in fault


@pytest.mark.parametrize("token", [TOKEN, "", "bG9uZ2VyIHRoYW4gMTY=="])
def test_a_token_that_can_be_one_is_taken(token: str) -> None:
    assert token_fault(token or new_token()) == ""


def test_a_token_that_cannot_be_one_is_refused_at_the_start(run: Run) -> None:
    done = run("mcp", "--http", "0", **{TOKEN_VARIABLE: "secretsecret"})
    assert done.returncode == 2
    assert TOKEN_VARIABLE in done.stderr
    assert "secretsecret" not in done.stderr


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "localhost:evil.example"},
        {"host": "127.0.0.1:1"},
        {"origin": "https://evil.example"},
        {"origin": "http://localhost:evil.example"},
        {"origin": "http://localhost:1"},
        {"origin": "null"},
    ],
    ids=str,
)
def test_a_foreign_page_is_refused(sandbox: Sandbox, running: str, address: str, headers: dict[str, str]) -> None:
    answer = httpx2.post(address, json=cancel(running), headers={**bearer(TOKEN), **headers})
    assert answer.status_code in {403, 421}
    assert cancels(sandbox) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_its_own_names_are_served(address: str, host: str) -> None:
    port = httpx2.URL(address).port
    headers = {"host": f"{host}:{port}", "origin": f"http://{host}:{port}"}
    assert httpx2.post(address, json=HELLO, headers=bearer(TOKEN) | headers).status_code == 200


@pytest.mark.parametrize("length", ["declared", "not declared"])
def test_a_huge_body_is_refused(address: str, length: str) -> None:
    megabyte = b" " * 2**20
    body: Any = megabyte + b"{}" if length == "declared" else iter([megabyte, b"{}"])
    answer = httpx2.post(address, content=body, headers=bearer(TOKEN) | {"content-type": "application/json"})
    assert answer.status_code == 413


HEAD = f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("opening", "trickle"),
    [
        (b"", b""),
        (b"POST /mcp HTTP/1.1\r\n", b""),
        (HEAD.encode(), b"X-Slow: 1\r\n"),
        (HEAD.encode() + b"Content-Length: 1000\r\n\r\n", b" "),
        (HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (b"POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", b" "),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"G"),
    ],
    ids=[
        "nothing",
        "half a head",
        "a slow head",
        "a slow body",
        "slow chunks",
        "a slow body, no token",
        "a slow second",
    ],
)
def test_what_arrives_too_slowly_is_cut(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    opening: bytes,
    trickle: bytes,
) -> None:
    monkeypatch.setattr(http, "_REQUEST_SECONDS", 0.5)
    with here() as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(opening)
        assert is_cut(connection, trickle, within=3)
    assert "Traceback" not in caplog.text + capfd.readouterr().err


def test_a_request_that_does_not_arrive_to_its_end_does_nothing(
    sandbox: Sandbox, running: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_REQUEST_SECONDS", 0.5)
    body = json.dumps(cancel(running)).encode()
    with here() as port, socket.create_connection(("127.0.0.1", port)) as connection:
        head = HEAD.replace("127.0.0.1", f"127.0.0.1:{port}") + f"Accept: {ACCEPT['accept']}\r\n"
        head += f"Mcp-Session-Id: {opened(port)}\r\n"
        connection.sendall(f"{head}Content-Length: {len(body) + 1}\r\n\r\n".encode() + body)
        assert is_cut(connection, b"", within=3)
        time.sleep(0.5)
    assert cancels(sandbox) == []


def test_a_client_that_thinks_between_its_requests_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_REQUEST_SECONDS", 0.5)
    with here() as port, httpx2.Client(headers=bearer(TOKEN)) as client:
        for _ in range(3):
            assert client.post(f"http://127.0.0.1:{port}/mcp", json=HELLO).status_code == 200
            time.sleep(0.8)


def test_a_slow_answer_is_not_cut(sandbox: Sandbox, running: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_REQUEST_SECONDS", 0.3)
    sandbox.fail(Fault("/cancel", delay=1))

    async def conversation(port: int) -> str:
        async with over_http(f"http://127.0.0.1:{port}/mcp", TOKEN) as client:
            return text(await client.call_tool(CANCEL.name, {"message_batch_id": running}))

    with here() as port:
        assert "accepted but not immediate" in asyncio.run(conversation(port))


def test_an_open_stream_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_REQUEST_SECONDS", 0.3)
    with here() as port, httpx2.Client(headers=bearer(TOKEN), timeout=1.5) as client:
        headers = {"mcp-session-id": opened(port)}
        with (
            client.stream("GET", f"http://127.0.0.1:{port}/mcp", headers=headers) as stream,
            pytest.raises(httpx2.ReadTimeout),
        ):
            list(stream.iter_raw())


def test_an_idle_session_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_SESSION_SECONDS", 0.5)
    with here() as port, httpx2.Client(headers=bearer(TOKEN)) as client:
        address = f"http://127.0.0.1:{port}/mcp"
        session = {"mcp-session-id": opened(port)}
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        assert client.post(address, json=ping, headers=session).status_code == 200
        time.sleep(1)
        assert client.post(address, json=ping, headers=session).status_code == 404


def test_sessions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_SESSIONS", 2)
    with here() as port, httpx2.Client(headers=bearer(TOKEN)) as client:
        answers = [client.post(f"http://127.0.0.1:{port}/mcp", json=HELLO).status_code for _ in range(3)]
    assert answers == [200, 200, 503]


def test_stopping_with_a_client_connected_is_not_an_error() -> None:
    with serving() as (address, token, process):

        async def conversation() -> None:
            async with over_http(address, token) as client:
                await client.list_tools()
                await anyio.sleep(0.5)  # until its stream for notifications is open
                process.send_signal(signal.SIGINT)
                await anyio.to_thread.run_sync(process.wait, 20)

        with contextlib.suppress(BaseExceptionGroup, httpx2.HTTPError):
            asyncio.run(conversation())
        said = process.communicate(timeout=20)[1]
    assert process.returncode == 130
    assert "ASGI" not in said
    assert "Traceback" not in said


def test_a_response_does_not_wait_until_the_client_acknowledges_its_head() -> None:
    with serving() as (address, token, _), httpx2.Client(headers=bearer(token)) as client:
        answers = [client.post(address, json=HELLO) for _ in range(15)]
    assert min(answer.elapsed.total_seconds() for answer in answers) < 0.03  # and never below 0.04 otherwise


def test_a_port_in_use_is_reported(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("mcp", "--http", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert "cannot be used" in done.stderr
    assert "--http" in done.stderr


def cancel(message_batch_id: str) -> dict[str, Any]:
    return {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": CANCEL.name, "arguments": {"message_batch_id": message_batch_id}},
    }


def opened(port: int) -> str:
    """Open a session; returns its id."""
    session: str = httpx2.post(f"http://127.0.0.1:{port}/mcp", json=HELLO, headers=bearer(TOKEN)).headers[
        "mcp-session-id"
    ]
    return session


def is_cut(connection: socket.socket, trickle: bytes, *, within: float) -> bool:
    """Whether the server closes a connection on which a byte arrives now and then."""
    connection.settimeout(0.1)
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            connection.sendall(trickle)
            if connection.recv(65536) == b"":
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False
