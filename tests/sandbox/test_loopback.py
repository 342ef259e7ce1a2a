"""Requests that a web page can send to the sandbox through a browser."""

import json
import socket

import pytest

from cancel_message_batch.sandbox import Sandbox

from .conftest import Call, Serve

BATCHES = "/v1/messages/batches"


def raw(sandbox: Sandbox, request: str) -> str:
    """Send a request as it stands, and return the whole response."""
    address, _, port = sandbox.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((address.strip("[]"), int(port)), timeout=10) as connection:
        connection.sendall(request.replace("\n", "\r\n").encode())
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


def refused(response: str) -> None:
    head, _, body = response.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 403 ")
    assert "connection: close" in head.lower()
    assert "access-control-" not in head.lower()
    envelope = json.loads(body)
    assert envelope["error"]["type"] == "permission_error"
    assert f"request-id: {envelope['request_id']}".lower() in head.lower()


@pytest.mark.parametrize("path", [f"{BATCHES}/{{}}/cancel", "/_sandbox/advance"])
@pytest.mark.parametrize(
    "host",
    [
        "rebound.example",
        "rebound.example:8080",
        "localhost.example",
        "127.0.0.1.example",
        "example@localhost",
        "localhost:port",
        "192.0.2.1",
        "[::2]",
        "",
    ],
)
def test_a_host_that_is_not_this_machine_is_refused(host: str, path: str, server: Sandbox) -> None:
    batch_id, before = server.account.add(10), server.account.now()
    key = "x-api-key: test-key\nanthropic-version: 2023-06-01"
    body = '{"seconds": 9000}'
    refused(
        raw(
            server,
            f"POST {path.format(batch_id)} HTTP/1.1\nHost: {host}\n{key}\nContent-Length: {len(body)}\n\n{body}",
        )
    )
    assert server.account.get(batch_id).cancel_at is None
    assert server.account.now() - before < 9000
    assert server.journal == []


def test_a_request_without_a_host_is_refused(server: Sandbox) -> None:
    refused(raw(server, "GET /_sandbox/batches HTTP/1.0\n\n"))


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:9999", "[::1]", "[::1]:8080"])
@pytest.mark.parametrize("path", [BATCHES, "/_sandbox/batches"])
def test_a_host_that_is_this_machine_is_accepted(host: str, path: str, server: Sandbox, call: Call) -> None:
    assert call(server, "GET", path, {"host": host}).status_code == 200


def test_the_address_on_which_the_server_listens_is_accepted(serve: Serve, call: Call) -> None:
    sandbox = serve(host="127.0.0.2")
    assert call(sandbox, "GET", BATCHES).status_code == 200
    assert call(sandbox, "GET", BATCHES, {"host": "127.0.0.3"}).status_code == 403


@pytest.mark.parametrize(
    "origin",
    [
        "https://page.example",
        "http://localhost.example",
        "http://localhost@page.example",
        "null",
        "",
        "file://",
        "chrome-extension://localhost",
        "localhost",
    ],
)
@pytest.mark.parametrize("path", [f"{BATCHES}/{{}}/cancel", "/_sandbox/faults", "/v1/messages"])
def test_a_foreign_page_can_post_nothing(origin: str, path: str, server: Sandbox, call: Call) -> None:
    batch_id = server.account.add(10)
    answer = call(server, "POST", path.format(batch_id), {"origin": origin}, json={"status": 500})
    assert answer.status_code == 403
    assert answer.json()["error"]["type"] == "permission_error"
    assert server.account.get(batch_id).cancel_at is None
    assert server.journal == []
    assert call(server, "GET", BATCHES).status_code == 200  # no fault was queued


@pytest.mark.parametrize("origin", ["https://page.example", "http://localhost:3000"])
@pytest.mark.parametrize("path", [BATCHES, "/_sandbox/faults"])
def test_no_preflight_is_granted(origin: str, path: str, server: Sandbox, call: Call) -> None:
    asked = {"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": "x-api-key"}
    answer = call(server, "OPTIONS", path, asked)
    assert answer.status_code in {403, 405}
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "origin", ["http://localhost", "http://localhost:3000", "https://127.0.0.1:1", "http://[::1]:2"]
)
def test_a_page_of_this_machine_can_post(origin: str, server: Sandbox, call: Call) -> None:
    path = f"{BATCHES}/{server.account.add(10)}/cancel"
    assert call(server, "POST", path, {"origin": origin}).json()["processing_status"] == "canceling"


def test_each_of_several_origins_must_be_this_machine(server: Sandbox) -> None:
    head = "Host: localhost\nOrigin: http://localhost\nOrigin: https://page.example"
    refused(raw(server, f"DELETE /_sandbox/requests HTTP/1.1\n{head}\n\n"))
