"""Request bodies that are too large for the sandbox: refused while they arrive."""

import socket
from collections.abc import Iterator

import pytest

from cancel_message_batch.sandbox import Sandbox, interceptor

from .conftest import Call

BATCHES, FAULTS = "/v1/messages/batches", "/_sandbox/faults"
HEAD = "Host: localhost\r\nx-api-key: test-key\r\nanthropic-version: 2023-06-01\r\n"
LIMITS = [(BATCHES, interceptor.MAX_BODY), (FAULTS, interceptor.MAX_ADMIN_BODY)]


def connect(sandbox: Sandbox) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2])), timeout=20)


def read_response(connection: socket.socket) -> str:
    """Read the whole envelope of an error, while the connection stays open."""
    received = b""
    while not received.endswith(b"}"):
        part = connection.recv(65536)
        assert part, received
        received += part
    return received.decode()


def read_to_the_end(connection: socket.socket) -> str:
    """Read until the server closes the connection; an error if it resets the connection instead."""
    return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


def test_the_limits_are_256_mb_for_the_api_and_1_mib_for_the_admin_api() -> None:
    assert (interceptor.MAX_BODY, interceptor.MAX_ADMIN_BODY) == (256 * 2**20, 2**20)


@pytest.mark.parametrize(("path", "limit"), LIMITS)
def test_a_body_that_is_announced_as_too_large_is_refused_before_it_is_sent(
    path: str, limit: int, server: Sandbox
) -> None:
    with connect(server) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\n{HEAD}Content-Length: {limit + 1}\r\n\r\n".encode())
        response = read_response(connection)
        assert response.startswith("HTTP/1.1 413 ")
        assert '"request_too_large"' in response
        assert "connection: close" in response
        connection.shutdown(socket.SHUT_WR)
        assert read_to_the_end(connection) == ""


@pytest.mark.parametrize("path", [BATCHES, "/v1/messages", "/_sandbox/advance"])
def test_a_client_that_asks_before_it_sends_a_large_body_is_refused(path: str, server: Sandbox) -> None:
    with connect(server) as connection:
        expecting = f"Content-Length: {2**40}\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(f"POST {path} HTTP/1.1\r\n{HEAD}{expecting}".encode())
        assert read_response(connection).startswith("HTTP/1.1 413 ")


@pytest.mark.parametrize("path", [BATCHES, "/v1/messages", FAULTS])
def test_a_body_of_unknown_length_is_refused_as_soon_as_it_is_too_large(
    path: str, server: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interceptor, "MAX_BODY", 2**20)
    with connect(server) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\n{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(17):
            connection.sendall(b"10000\r\n" + b" " * 2**16 + b"\r\n")
        assert read_response(connection).startswith("HTTP/1.1 413 ")  # and the body has not ended
        connection.sendall(b"0\r\n\r\n")
        assert read_to_the_end(connection) == ""


def send_without_end(connection: socket.socket) -> None:
    while True:
        connection.sendall(b" " * 2**16)


@pytest.mark.parametrize("path", [BATCHES, FAULTS])
def test_a_client_that_sends_without_end_is_disconnected(
    path: str, server: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cancel_message_batch.sandbox.interceptor._LINGER", 0.1)
    with connect(server) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\n{HEAD}Content-Length: {2**40}\r\n\r\n".encode())
        with pytest.raises(ConnectionError):
            send_without_end(connection)


@pytest.mark.parametrize(("path", "limit"), LIMITS)
def test_a_client_that_sends_the_whole_body_first_sees_the_refusal(
    path: str, limit: int, server: Sandbox, call: Call
) -> None:
    def body() -> Iterator[bytes]:
        for _ in range(limit // 2**20 + 1):
            yield b" " * 2**20

    answer = call(server, "POST", path, content=body())
    assert answer.status_code == 413
    assert answer.json()["error"]["type"] == "request_too_large"
    assert call(server, "GET", BATCHES).status_code == 200


WHOLE = b'{"delay": 0.001}'


def test_a_body_at_the_limit_is_accepted(server: Sandbox, call: Call) -> None:
    longest = WHOLE + b" " * (interceptor.MAX_ADMIN_BODY - len(WHOLE))
    assert call(server, "POST", FAULTS, content=longest).status_code == 204


@pytest.mark.parametrize("path", [BATCHES, FAULTS])
def test_a_client_that_disconnects_while_it_sends_does_no_harm(
    path: str, server: Sandbox, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    with connect(server) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\n{HEAD}Content-Length: 1000\r\n\r\n{{".encode())
    assert call(server, "GET", BATCHES).status_code == 200
    assert caplog.messages == []
