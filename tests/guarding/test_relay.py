"""What a program sees of the API through the relay: the same as without it. Plain sockets show each byte."""

import gzip
import hashlib
import json
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from cancel_message_batch.api.errors import ConfigurationError
from cancel_message_batch.guarding.created import Created
from cancel_message_batch.guarding.relay import Relay

from .conftest import BATCH, TOKEN, Behind, Connection, Upstream

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CREATE = b"POST /gateway/v1/messages/batches?beta=true HTTP/1.1"
PROMPT = 'a "custom_id": "no" {[ \\"'
REQUESTS = json.dumps(
    {
        "requests": [
            {"custom_id": "first", "params": {"model": "model-a", "messages": [{"content": PROMPT}]}},
            {"params": {"messages": [], "model": "model-b"}, "custom_id": "last"},
        ]
    }
).encode()


def created(*headers: bytes, body: bytes = BATCH) -> bytes:
    lines = [b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join([*lines, b"", body])


def unchunked(body: bytes) -> bytes:
    """Take the chunks of a body together."""
    data = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        data, body = data + body[: int(size, 16)], body[int(size, 16) + 2 :]
    return data


def eventually(holds: Callable[[], object]) -> None:
    """Wait until something that another thread does has happened."""
    deadline = time.monotonic() + 10
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert holds()


def test_a_request_and_its_response_arrive_as_they_were_sent(upstream: Upstream, behind: Behind) -> None:
    seen = []
    response = (
        b"HTTP/1.1 201 Very  Created\r\nx-Odd-Case:  kept\r\nContent-Encoding: br\r\nTransfer-Encoding: chunked\r\n"
        b"Connection: x-mine\r\nX-Mine: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n"
        b'5;ext="1"\r\n\x00\xff\r\n\n\r\n3\r\nabc\r\n0\r\nTrailer: t\r\n\r\n'
    )

    def script(connection: Connection) -> None:
        seen.append(connection.message())
        connection.send(response)

    upstream.script = script
    client = behind.connect()
    body = bytes(range(256)) * 9
    client.send(
        b"PUT /token-of-a-test/gateway/v1/x%2F..//y?a=%20b&c HTTP/1.1\r\nhost: "
        + behind.host.encode()
        + b"\r\nX-API-Key: secret\r\n"
        b"Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\nUpgrade: h2c\r\nKeep-Alive: 5\r\n"
        b"Accept-Encoding: br\r\ncontent-length: 2304\r\n\r\n" + body
    )
    head, _, rest = client.until(b"\r\n0\r\n\r\n").partition(b"\r\n\r\n")
    assert seen == [
        b"PUT /gateway/v1/x%2F..//y?a=%20b&c HTTP/1.1\r\nHost: 127.0.0.1:" + str(upstream.port).encode() + b"\r\n"
        b"x-api-key: secret\r\naccept-encoding: br\r\ncontent-length: 2304\r\n\r\n" + body
    ]
    assert head.split(b"\r\n") == [
        b"HTTP/1.1 201 Created",
        b"x-Odd-Case: kept",
        b"Content-Encoding: br",
        b"Set-Cookie: a",
        b"Set-Cookie: b",
        b"Transfer-Encoding: chunked",
    ]
    assert unchunked(rest) == b"\x00\xff\r\n\nabc"
    assert not behind.noted


def test_a_program_is_given_the_path_and_the_user_of_the_base_url() -> None:
    with Relay("http://user:pass@127.0.0.1:9/prefix/v1", bool) as proxy:
        assert proxy.url.startswith("http://user:pass@127.0.0.1:")
        assert proxy.url.endswith("/prefix/v1")
        assert ":9/" not in proxy.url


def test_both_directions_stream(upstream: Upstream, behind: Behind) -> None:
    begun, read = threading.Event(), threading.Event()

    def script(connection: Connection) -> None:
        connection.until(b"\r\n\r\n")
        assert connection.exactly(5) == b"first"
        begun.set()
        assert connection.exactly(4) == b"rest"
        connection.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7\r\ndata: 1\r\n")
        assert read.wait(20)
        connection.send(b"0\r\n\r\n")

    upstream.script = script
    client = behind.connect()
    client.send(behind.request(b"POST /gateway/v1/messages HTTP/1.1", b"Content-Length: 9") + b"first")
    assert begun.wait(20)
    client.send(b"rest")
    client.until(b"data: 1\r\n")
    read.set()
    assert client.until(b"0\r\n\r\n")


def test_a_client_that_asks_before_it_sends_is_told_to_go_on(upstream: Upstream, behind: Behind) -> None:
    def script(connection: Connection) -> None:
        assert b"expect" not in connection.until(b"\r\n\r\n").lower()  # the relay has answered it
        assert connection.exactly(4) == b"body"
        connection.send(OK)

    upstream.script = script
    client = behind.connect()
    client.send(behind.request(b"POST / HTTP/1.1", b"Expect: 100-continue", b"Content-Length: 4"))
    assert client.until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
    client.send(b"body")
    assert client.message() == OK


def test_a_connection_is_kept_for_more_requests_and_opened_again_when_the_api_closes_its_own(
    upstream: Upstream, behind: Behind
) -> None:
    def script(connection: Connection) -> None:
        for _ in range(2):
            connection.message()
            connection.send(OK)

    upstream.script = script
    client = behind.connect()
    client.send(behind.request(b"GET /1 HTTP/1.1") + behind.request(b"GET /2 HTTP/1.1"))  # pipelined
    assert [client.message(), client.message()] == [OK, OK]
    assert upstream.connections == 1
    time.sleep(0.05)
    client.send(behind.request(b"HEAD /3 HTTP/1.1"))
    assert client.until(b"\r\n\r\n") == OK.removesuffix(b"ok")
    assert upstream.connections == 2


def test_a_client_of_http_1_0_is_served(upstream: Upstream, behind: Behind) -> None:
    seen = []

    def script(connection: Connection) -> None:
        seen.append(connection.message())
        connection.send(b"HTTP/1.0 200 OK\r\nx-mine: 1\r\n\r\nuntil the end")

    upstream.script = script
    client = behind.connect()
    client.send(b"GET /token-of-a-test/gateway/v1/models HTTP/1.0\r\nx-api-key: k\r\n\r\n")
    assert client.rest() == b"HTTP/1.1 200 OK\r\nx-mine: 1\r\nConnection: close\r\n\r\nuntil the end"
    (request,) = seen
    assert request.startswith(b"GET /gateway/v1/models HTTP/1.1\r\n")
    assert b"host: 127.0.0.1:%d\r\n" % upstream.port in request.lower()


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 50\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n32\r\n", b"\r\n"]
)
def test_a_response_that_the_api_cuts_off_is_cut_off_for_the_client(
    upstream: Upstream, behind: Behind, framing: bytes
) -> None:
    read = threading.Event()

    def script(connection: Connection) -> None:
        connection.message()
        connection.send(b"HTTP/1.1 200 OK\r\n" + framing + b"half")
        read.wait(20)
        connection.close(reset=True)

    upstream.script = script
    client = behind.connect()
    client.send(behind.request(b"GET / HTTP/1.1"))
    head = client.until(b"half")
    read.set()
    rest = client.rest()
    assert b"Content-Length: 50" in head or rest == b"\r\n"  # of the chunk, and no last chunk


def test_an_api_that_hangs_up_without_a_response_is_reported_in_the_form_of_the_api(
    upstream: Upstream, behind: Behind
) -> None:
    upstream.script = lambda connection: connection.message()
    client = behind.connect()
    client.send(behind.request(b"GET / HTTP/1.1"))
    head, _, body = client.message().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 502")
    assert "The request may have arrived" in json.loads(body)["error"]["message"]


def test_the_api_notices_a_client_that_hangs_up(upstream: Upstream, behind: Behind) -> None:
    received, noticed = threading.Event(), threading.Event()

    def script(connection: Connection) -> None:
        connection.message()
        received.set()
        with suppress(ConnectionResetError):
            assert connection.rest() == b""
        noticed.set()

    upstream.script = script
    client = behind.connect()
    client.send(behind.request(b"POST /gateway/v1/messages HTTP/1.1", body=b"{}"))
    assert received.wait(20)
    client.close()
    assert noticed.wait(20)


def test_a_client_that_hangs_up_ends_a_stream_that_it_reads_slowly(upstream: Upstream, behind: Behind) -> None:
    """Neither is a response kept in memory for a slow reader, nor read to its end for one that is gone."""
    sent, noticed = [0], threading.Event()

    def script(connection: Connection) -> None:
        connection.message()
        connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                connection.send(bytes(2**16))
                sent[0] += 2**16
        except OSError:
            noticed.set()

    def stalled() -> bool:
        before = sent[0]
        time.sleep(0.5)
        return 0 < before == sent[0]

    upstream.script = script
    client = behind.connect()
    client.send(behind.request(b"GET /gateway/v1/messages/batches/msgbatch_1/results HTTP/1.1"))
    client.until(b"\r\n\r\n")
    eventually(stalled)
    assert sent[0] < 2**25  # most of it in buffers of the system
    client.close()
    assert noticed.wait(20)


def test_a_response_before_the_end_of_the_request_arrives(upstream: Upstream, behind: Behind) -> None:
    refusal = b"HTTP/1.1 413 Request Entity Too Large\r\nContent-Length: 3\r\n\r\nbig"

    def script(connection: Connection) -> None:
        connection.until(b"\r\n\r\n")
        connection.send(refusal)
        connection.rest()

    upstream.script = script
    client = behind.connect()
    client.send(behind.request(b"POST / HTTP/1.1", b"Content-Length: 3000000") + b"x" * 3_000_000)
    head, _, body = client.message().partition(b"\r\n\r\n")
    assert head.split()[1] == b"413"
    assert body == b"big"


@pytest.mark.parametrize(
    ("base", "path", "sent"),
    [
        ("", "/messages", "/v1/messages"),
        ("", "/messages/batches?limit=1", "/v1/messages/batches?limit=1"),
        ("", "/v1/messages/batches", "/v1/messages/batches"),
        ("", "/v1/models", "/v1/models"),
        ("", "/messages-of-a-gateway", "/messages-of-a-gateway"),
        ("/v1", "/messages", "/v1/messages"),
        ("/v1/", "v1/messages", "/v1/messages"),
        ("/gate", "/messages/batches", "/gate/v1/messages/batches"),
        ("/gate", "/v1/messages", "/gate/v1/messages"),
        ("/rest/1.0.0", "/messages", "/rest/1.0.0/messages"),
        ("/rest/1.0.0", "/v1/messages", "/rest/1.0.0/v1/messages"),
    ],
)
def test_a_base_url_is_taken_with_and_without_v1(upstream: Upstream, base: str, path: str, sent: str) -> None:
    def script(connection: Connection) -> None:
        assert connection.message().split()[1] == sent.encode()
        connection.send(OK)

    upstream.script = script
    with ExitStack() as opened:
        behind = Behind(f"http://127.0.0.1:{upstream.port}{base}", opened)
        client = behind.connect()
        client.send(behind.request(f"GET {base}{path} HTTP/1.1".encode()))
        assert client.message() == OK


@pytest.mark.parametrize("path", ["/", "/v1/messages", "/token-of-a-tes/v1/messages", "/%74oken-of-a-test/v1/messages"])
def test_who_does_not_know_the_token_is_refused(upstream: Upstream, behind: Behind, path: str) -> None:
    client = behind.connect()
    client.send(f"POST {path} HTTP/1.1\r\nHost: {behind.host}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    response = client.message()
    assert response.startswith(b"HTTP/1.1 404")
    assert b"Take the base URL from ANTHROPIC_BASE_URL" in response
    assert upstream.connections == 0


def test_a_stand_in_is_exchanged_for_the_real_credential_in_any_header(upstream: Upstream) -> None:
    seen = []

    def script(connection: Connection) -> None:
        seen.append(connection.message())
        connection.send(created())

    upstream.script = script
    with ExitStack() as opened:
        behind = Behind(f"http://127.0.0.1:{upstream.port}", opened, stand_ins={"stand-in": "real"})
        client = behind.connect()
        client.send(
            behind.request(b"POST /v1/messages/batches HTTP/1.1", b"Authorization: Bearer stand-in", body=b"{}")
        )
        client.message()
    assert b"authorization: Bearer real\r\n" in seen[0]
    assert [batch.headers for batch in behind.noted] == [{"authorization": "Bearer real"}]


@pytest.mark.parametrize(
    ("url", "passed_back"),
    [
        (b"http://API/gateway/v1/messages/batches/b/results", b"RELAY/gateway/v1/messages/batches/b/results"),
        (b"http:\\/\\/API\\/b\\/results?a=1", b"RELAY/b/results?a=1"),
        (b"https://API/b/results", b"https://API/b/results"),
        (b"/v1/messages/batches/b/results", b"/v1/messages/batches/b/results"),
        (b"http://[", b"http://["),
    ],
)
@pytest.mark.parametrize("path", ["", "/msgbatch_other", "/msgbatch_other/cancel"])
def test_a_results_url_of_the_api_leads_through_the_relay(
    upstream: Upstream, behind: Behind, path: str, url: bytes, passed_back: bytes
) -> None:
    def body(url: bytes) -> bytes:
        return (
            rb'{"data": [{"x": "\"results_url\": \"http://API\"", "results_url" : "%b"}, {"results_url":null}]}' % url
        )

    def script(connection: Connection) -> None:
        connection.message()
        connection.send(created(body=body(url).replace(b"API", b"127.0.0.1:%d" % upstream.port)))

    upstream.script = script
    client = behind.connect()
    client.send(behind.request(f"GET /gateway/v1/messages/batches{path} HTTP/1.1".encode()))
    expected = body(passed_back.replace(b"RELAY", f"http://{behind.host}/{TOKEN}".encode()))
    assert client.message().endswith(b"\r\n\r\n" + expected.replace(b"API", b"127.0.0.1:%d" % upstream.port))


def test_a_create_is_noted_before_its_last_byte_is_sent(upstream: Upstream, behind: Behind) -> None:
    before = []

    def script(connection: Connection) -> None:
        connection.until(b"\r\n\r\n")
        connection.exactly(len(REQUESTS))
        before.extend(behind.before)
        connection.send(created())

    upstream.script = script
    client = behind.connect()
    client.send(behind.request(CREATE, b"Content-Length: %d" % len(REQUESTS)) + REQUESTS[:50])
    time.sleep(0.2)
    client.send(REQUESTS[50:])
    client.message()
    assert before == [(2, hashlib.sha256(REQUESTS).hexdigest())]


def test_a_record_that_is_locked_holds_no_create_up_and_all_that_waits_is_noted_at_once(upstream: Upstream) -> None:
    ids = [b"msgbatch_01new", b"msgbatch_02new", b"msgbatch_03new"]

    def script(connection: Connection) -> None:
        connection.message()
        connection.send(created(body=BATCH.replace(ids[0], ids[upstream.connections - 1])))

    upstream.script = script
    noted: list[list[str]] = []
    free = threading.Event()

    def note(batches: Sequence[Created]) -> bool:
        names = [batch.message_batch_id for batch in batches]
        if not noted:
            free.wait(20)
        noted.append(names)
        return len(noted) != 2  # what cannot be noted once is noted with the rest

    with Relay(f"http://127.0.0.1:{upstream.port}/gateway", note, token=TOKEN) as relay, ExitStack() as opened:
        relay.start()
        behind = Behind(f"http://127.0.0.1:{upstream.port}/gateway", opened)
        behind.host = relay.url.split("/")[2]
        for one in ids:
            client = behind.connect()
            client.send(behind.request(CREATE, body=REQUESTS))
            assert one in client.message()
            client.close()
        relay.stop(0)
        assert not noted
        assert not relay.finish_notes(0)
        free.set()
        assert relay.finish_notes(20)
    assert noted == [[""], *[[one.decode() for one in ids]] * 2]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: rebound.example\r\n\r\n", b"403"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: HERE\r\n\r\n", b"403"),
        (b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: HERE\r\n\r\n", b"403"),
        (b"GET / HTTP/1.1\r\nHost: HERE\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: HERE\r\nTransfer-Encoding: gzip\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: HERE\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: HERE\r\nTransfer-Encoding : chunked\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: HERE\r\nContent-Length: +1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: HERE\r\nHost: HERE\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: HERE\r\nx: a\r\n b\x00\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: HERE\r\nNo header\r\n\r\n", b"400"),
        (b"\x16\x03\x01 not HTTP\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * 70_000, b"400"),
    ],
)
def test_what_does_not_ask_for_the_api_is_refused(
    upstream: Upstream, behind: Behind, request_: bytes, status: bytes
) -> None:
    client = behind.connect()
    client.send(request_.replace(b"HERE", behind.host.encode()))
    assert client.until(b"\r\n").split()[1] == status
    assert upstream.connections == 0


def test_a_request_with_two_lengths_is_one_request_for_the_api_too(upstream: Upstream, behind: Behind) -> None:
    seen = []

    def script(connection: Connection) -> None:
        seen.append(connection.until(b"0\r\n\r\n"))
        connection.send(OK)
        seen.append(connection.rest())

    upstream.script = script
    client = behind.connect()
    lengths = (b"Content-Length: 4", b"Transfer-Encoding: chunked", b"Connection: close, Content-Length")
    client.send(
        behind.request(b"POST / HTTP/1.1", *lengths)
        + b"5\r\nGET /\r\n0\r\n\r\nGET /token-of-a-test/smuggled HTTP/1.1\r\n\r\n"
    )
    assert client.message().endswith(b"ok")
    behind.relay.stop(0)
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert b"content-length" not in head.lower()
    assert unchunked(body) == b"GET /"
    eventually(lambda: len(seen) == 2)
    assert seen[1] == b""


def test_a_request_to_upgrade_is_passed_on_as_a_plain_one(upstream: Upstream, behind: Behind) -> None:
    seen = []

    def script(connection: Connection) -> None:
        seen.append(connection.message())
        connection.send(OK)

    upstream.script = script
    client = behind.connect()
    client.send(behind.request(b"GET / HTTP/1.1", b"Connection: Upgrade", b"Upgrade: websocket"))
    assert client.message() == OK
    assert b"pgrade" not in seen[0]


def test_an_api_that_cannot_be_reached_is_reported_in_the_form_of_the_api(upstream: Upstream, behind: Behind) -> None:
    upstream.close()
    client = behind.connect()
    client.send(behind.request(CREATE, body=REQUESTS))
    head, _, body = client.message().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 502")
    error = json.loads(body)["error"]
    assert error["type"] == "api_error"
    assert f"127.0.0.1:{upstream.port} cannot be reached" in error["message"]
    assert not behind.relay.lost


def test_a_batch_is_recorded_before_the_client_has_the_response(upstream: Upstream, behind: Behind) -> None:
    seen = []

    def script(connection: Connection) -> None:
        seen.append(connection.message())
        packed = gzip.compress(BATCH)
        connection.send(created(b"Content-Encoding: gzip", b"anthropic-workspace-id: wrkspc_1", body=packed))

    upstream.script = script
    client = behind.connect()
    credentials = (
        b"Authorization: Bearer token",
        b"anthropic-beta: oauth-2025-04-20",
        b"anthropic-version: 2023-06-01",
    )
    client.send(behind.request(CREATE, *credentials, b"Accept-Encoding: br;q=1, gzip;q=0.5, *", body=REQUESTS))
    assert gzip.decompress(client.message().partition(b"\r\n\r\n")[2]) == BATCH
    (batch,) = behind.noted
    assert batch.message_batch_id == "msgbatch_01new"
    assert batch.base_url == f"http://127.0.0.1:{upstream.port}/gateway/v1"
    assert (batch.requests, batch.workspace) == (2, "wrkspc_1")
    assert batch.headers == {
        "authorization": "Bearer token",
        "anthropic-beta": "oauth-2025-04-20",
        "anthropic-version": "2023-06-01",
    }
    assert b"accept-encoding: identity\r\n" in seen[0]
    assert "token" not in repr(batch)


def test_a_batch_is_recorded_even_if_its_client_was_killed_before_the_response(
    upstream: Upstream, behind: Behind
) -> None:
    sent, killed = threading.Event(), threading.Event()

    def script(connection: Connection) -> None:
        connection.until(b"\r\n0\r\n\r\n")
        sent.set()
        assert killed.wait(20)
        connection.send(created())

    upstream.script = script
    client = behind.connect()
    framed = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (REQUESTS[:50], REQUESTS[50:]))
    client.send(behind.request(CREATE, b"Transfer-Encoding: chunked") + framed + b"0\r\n\r\n")
    assert sent.wait(20)
    client.close(reset=True)
    threading.Timer(0.1, killed.set).start()
    assert behind.relay.stop(20) == 0
    assert [batch.message_batch_id for batch in behind.noted] == ["msgbatch_01new"]
    assert not behind.relay.lost


@pytest.mark.parametrize(
    ("answer", "lost"),
    [
        (b"", 1),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + BATCH, 1),
        (created(body=b"<html>"), 1),
        (created(body=b'{"id": "../other"}'), 1),
        (b"HTTP/1.1 500 Error\r\nContent-Length: 0\r\n\r\n", 1),
        (b"HTTP/1.1 529 Overloaded\r\nContent-Length: 0\r\n\r\n", 0),
        (b"HTTP/1.1 429 Limited\r\nContent-Length: 0\r\n\r\n", 0),
        (b"HTTP/1.1 400 Invalid\r\nContent-Length: 0\r\n\r\n", 0),
    ],
)
def test_a_create_without_a_response_that_says_what_came_of_it_may_have_made_a_batch(
    upstream: Upstream, behind: Behind, answer: bytes, lost: int
) -> None:
    def script(connection: Connection) -> None:
        connection.message()
        connection.send(answer)

    upstream.script = script
    client = behind.connect()
    client.send(behind.request(CREATE, b"Connection: close", body=REQUESTS))
    client.rest()
    behind.relay.stop(5)
    assert len(behind.relay.lost) == lost
    assert [batch.requests for batch in behind.relay.lost] == [2] * lost
    assert not behind.noted


def test_a_create_that_was_not_sent_whole_made_no_batch(upstream: Upstream, behind: Behind) -> None:
    upstream.script = lambda connection: connection.rest()
    client = behind.connect()
    client.send(behind.request(CREATE, b"Content-Length: 99") + b'{"requests":')
    eventually(lambda: upstream.connections)
    client.close()
    behind.relay.stop(5)
    assert not behind.relay.lost


def test_a_create_whose_body_is_encoded_is_seen_too(upstream: Upstream, behind: Behind) -> None:
    seen = []

    def script(connection: Connection) -> None:
        seen.append(connection.message())
        connection.send(created() if len(seen) == 1 else b"")

    upstream.script = script
    packed = gzip.compress(REQUESTS)
    for _ in range(2):
        client = behind.connect()
        client.send(behind.request(CREATE, b"Content-Encoding: gzip", body=packed))
        client.message()
    assert seen[0].endswith(packed)
    assert [batch.requests for batch in behind.noted] == [2]
    eventually(lambda: behind.relay.lost)
    assert [batch.requests for batch in behind.relay.lost] == [0]  # not known


@pytest.mark.parametrize(
    "path", ["messages/batches/", "messages//batches", "messages/x/../batches", "messages/%62atches"]
)
def test_no_way_of_writing_the_path_takes_a_create_around_the_watch(
    upstream: Upstream, behind: Behind, path: str
) -> None:
    seen = []

    def script(connection: Connection) -> None:
        seen.append(connection.message())
        connection.send(created())

    upstream.script = script
    client = behind.connect()
    client.send(behind.request(f"POST /gateway/v1/{path} HTTP/1.1".encode(), body=REQUESTS))
    client.message()
    assert seen[0].startswith(f"POST /gateway/v1/{path} ".encode())
    assert [batch.base_url for batch in behind.noted] == [f"http://127.0.0.1:{upstream.port}/gateway/v1"]


@pytest.mark.parametrize(
    ("location", "followed"),
    [
        ("/elsewhere?a=b", "http://RELAY/elsewhere?a=b"),
        ("http://API/gateway/v1/new?a=%20b", "http://RELAY/gateway/v1/new?a=%20b"),
        ("//API/new", "http://RELAY/new"),
        ("https://API/new", "https://API/new"),
        ("http://127.0.0.1:1/new", "http://127.0.0.1:1/new"),
    ],
)
def test_a_redirect_to_the_api_leads_through_the_relay(
    upstream: Upstream, behind: Behind, location: str, followed: str
) -> None:
    api = f"127.0.0.1:{upstream.port}"

    def script(connection: Connection) -> None:
        connection.message()
        target = location.replace("API", api).encode()
        connection.send(b"HTTP/1.1 308 Moved\r\nContent-Length: 0\r\nLocation: " + target + b"\r\n\r\n")

    upstream.script = script
    client = behind.connect()
    client.send(behind.request(b"GET /gateway/v1/models HTTP/1.1"))
    expected = followed.replace("API", api).replace("RELAY", f"{behind.host}/{TOKEN}")
    assert f"\r\nlocation: {expected}\r\n".encode() in client.message().replace(b"Location", b"location")


@pytest.mark.parametrize(("status", "passed"), [(302, 302), (307, 403), (308, 403)])
def test_a_redirect_to_another_server_takes_no_create_around_the_watch(
    upstream: Upstream, behind: Behind, status: int, passed: int
) -> None:
    def script(connection: Connection) -> None:
        connection.message()
        connection.send(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\nLocation: https://api.test/v1\r\n\r\n" % status)

    upstream.script = script
    client = behind.connect()
    client.send(behind.request(CREATE, body=REQUESTS))
    response = client.message()
    assert response.split()[1] == b"%d" % passed
    assert (b"set ANTHROPIC_BASE_URL to that server" in response) is (passed == 403)  # else it becomes a GET
    behind.relay.stop(5)
    assert not behind.relay.lost


def answering(answers: dict[bytes, bytes]) -> Callable[[Connection], None]:
    """Answer each request of a connection by its method."""

    def script(connection: Connection) -> None:
        while True:
            connection.send(answers[connection.message().split()[0]])

    return script


def test_what_the_program_learns_about_its_batch_is_recorded_too(upstream: Upstream, behind: Behind) -> None:
    ended = BATCH.replace(b"in_progress", b"ended")
    upstream.script = answering({b"POST": created(), b"GET": created(body=ended)})
    client = behind.connect()
    client.send(behind.request(CREATE, b"x-api-key: old", body=REQUESTS))
    client.message()
    (batch,) = behind.noted
    assert (batch.status, batch.headers["x-api-key"]) == ("in_progress", "old")
    for path in (b"/gateway/v1/messages/batches/msgbatch_other", b"/gateway/v1/messages/batches/msgbatch_01new"):
        client.send(behind.request(b"GET " + path + b" HTTP/1.1", b"x-api-key: new"))
        client.message()
    assert (batch.status, batch.headers["x-api-key"]) == ("ended", "old")  # anybody may look at it with a key
    assert behind.noted == [batch]


def test_an_answer_about_another_batch_does_not_make_that_one_the_programs(upstream: Upstream, behind: Behind) -> None:
    other = BATCH.replace(b"msgbatch_01new", b"msgbatch_other")
    upstream.script = answering({b"POST": created(), b"GET": created(body=other)})
    client = behind.connect()
    client.send(behind.request(CREATE, body=REQUESTS))
    client.message()
    for path in (b"/msgbatch_01new", b"/msgbatch_other"):
        client.send(behind.request(b"GET /gateway/v1/messages/batches" + path + b" HTTP/1.1"))
        assert client.message().endswith(other)
    assert [batch.message_batch_id for batch in behind.relay.created.values()] == ["msgbatch_01new"]
    assert list(behind.relay.created) == ["msgbatch_01new"]


def test_an_encrypted_api_is_reached_through_the_proxy_of_the_environment(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert shutil.which("openssl"), "the certificate of this test is made by openssl"
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=api.test -addext subjectAltName=DNS:api.test"
    subprocess.run([*command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    seen = []

    def tunnel(connection: Connection) -> None:
        seen.append(connection.message())
        connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        with context.wrap_socket(connection._socket, server_side=True) as encrypted:
            inner = Connection(encrypted)
            seen.append(inner.message())
            inner.send(OK)

    upstream.script = tunnel
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:p%40ss@127.0.0.1:{upstream.port}")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with ExitStack() as opened:
        behind = Behind("https://api.test", opened)
        client = behind.connect()
        client.send(behind.request(b"GET /v1/models HTTP/1.1", b"x-api-key: k"))
        assert client.message() == OK
    connect, request = seen
    assert connect.startswith(b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n")
    assert b"Proxy-Authorization: Basic dXNlcjpwQHNz\r\n" in connect
    assert b"k" not in connect.split(b"\r\n\r\n")[0].split(b"Basic dXNlcjpwQHNz")[1]
    assert request == b"GET /v1/models HTTP/1.1\r\nHost: api.test\r\nx-api-key: k\r\n\r\n"


def test_an_unencrypted_api_is_asked_for_by_its_whole_url(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def script(connection: Connection) -> None:
        seen.append(connection.message())
        connection.send(OK)

    upstream.script = script
    monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{upstream.port}")
    with ExitStack() as opened:
        behind = Behind("http://api.test:8080", opened)
        client = behind.connect()
        client.send(behind.request(b"GET /v1/models HTTP/1.1"))
        assert client.message() == OK
    assert seen == [b"GET http://api.test:8080/v1/models HTTP/1.1\r\nHost: api.test:8080\r\n\r\n"]


@pytest.mark.parametrize("excluded", ["127.0.0.1:{}", "127.0.0.1", "*", "127.0.0.0/8"])
def test_a_server_that_the_environment_excludes_is_not_reached_through_its_proxy(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch, excluded: str
) -> None:
    def script(connection: Connection) -> None:
        connection.message()
        connection.send(OK)

    upstream.script = script
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", f"internal.test,{excluded.format(upstream.port)}")
    with ExitStack() as opened:
        behind = Behind(f"http://127.0.0.1:{upstream.port}", opened)
        client = behind.connect()
        client.send(behind.request(b"GET /v1/models HTTP/1.1", b"x-api-key: k"))
        assert client.message() == OK


def test_an_api_at_an_ipv6_address_is_reached() -> None:
    upstream, seen = Upstream("::1"), []

    def script(connection: Connection) -> None:
        seen.append(connection.message())
        connection.send(created())

    upstream.script = script
    with ExitStack() as opened:
        opened.callback(upstream.close)
        behind = Behind(f"http://[::1]:{upstream.port}", opened)
        client = behind.connect()
        client.send(behind.request(b"POST /v1/messages/batches HTTP/1.1", body=REQUESTS))
        client.message()
    assert b"Host: [::1]:%d\r\n" % upstream.port in seen[0]
    assert [batch.base_url for batch in behind.noted] == [f"http://[::1]:{upstream.port}/v1"]


def test_what_does_not_end_is_cut_off_and_counted_when_the_relay_stops(upstream: Upstream, behind: Behind) -> None:
    waiting = threading.Semaphore(0)

    def script(connection: Connection) -> None:
        connection.message()
        waiting.release()
        connection.rest()

    upstream.script = script
    clients = [behind.connect() for _ in range(3)]
    clients[0].send(behind.request(CREATE, body=REQUESTS))
    clients[1].send(behind.request(b"POST /gateway/v1/messages HTTP/1.1", body=b"{}"))
    clients[2].send(behind.request(b"GET /gateway/v1/models HTTP/1.1"))
    assert [waiting.acquire(timeout=20) for _ in clients] == [True] * 3
    began = time.monotonic()
    assert behind.relay.stop(0.3) == 2  # the create is reported by itself
    assert time.monotonic() - began < 5
    assert [batch.requests for batch in behind.relay.lost] == [2]
    for client in clients:
        assert not client.rest().startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("name", ["ALL_PROXY", "SSL_CERT_FILE"])
def test_a_proxy_or_certificates_that_cannot_be_used_are_reported_in_words(
    monkeypatch: pytest.MonkeyPatch, name: str, tmp_path: Path
) -> None:
    monkeypatch.setenv(name, "socks5://127.0.0.1:1" if name == "ALL_PROXY" else str(tmp_path))
    with pytest.raises(ConfigurationError, match="ALL_PROXY and SSL_CERT_FILE"):
        Relay("https://api.test", bool)
