"""The time for a call holds whatever the server does: bytes that trickle in, endless 1xx answers, empty content."""

import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cancel_message_batch import APITimeoutError
from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.api.transport import CONNECT_TIMEOUT
from tests.api.conftest import Call
from tests.conftest import make_certificate

Trickle = Callable[[], Iterator[bytes]]


def header_bytes() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nx: "
    while True:
        yield b"y"


def endless_informational() -> Iterator[bytes]:
    while True:
        yield b"HTTP/1.1 103 Early Hints\r\n\r\n"


def body_bytes() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n"
    while True:
        yield b" "


def gzip_of_nothing() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n"
    packed = zlib.compressobj(wbits=31)
    yield packed.compress(b"")
    while True:
        yield packed.flush(zlib.Z_FULL_FLUSH)


TRICKLES = [header_bytes, endless_informational, body_bytes, gzip_of_nothing]


@contextmanager
def serving(trickle: Trickle, certificate: Path | None = None) -> Iterator[str]:
    """Answer each connection with a piece every 20 ms, until the client hangs up."""

    def answer(client: socket.socket) -> None:
        if certificate:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(certificate)
            client = tls.wrap_socket(client, server_side=True)
        with client:
            client.recv(65536)
            for piece in trickle():
                try:
                    client.sendall(piece)
                except OSError:
                    return
                time.sleep(0.02)

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http{'s' if certificate else ''}://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("trickle", TRICKLES)
def test_a_server_that_never_comes_to_an_end_is_given_up_in_time(call: Call, trickle: Trickle) -> None:
    with serving(trickle) as url, pytest.raises(APITimeoutError, match="did not answer in time") as caught:
        call(url, "cancel", EXAMPLE_ID, options={"timeout": 0.4, "max_retries": 5})
    assert caught.value.may_have_arrived is True


def test_it_is_given_up_in_time_over_https_too(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serving(header_bytes, certificate) as url, pytest.raises(APITimeoutError, match="did not answer in time"):
        call(url, "cancel", EXAMPLE_ID, options={"timeout": 1})


def test_a_host_that_does_not_take_the_connection_is_given_up_in_time(call: Call) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]  # they fill its queue, so that it drops who comes next
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        began = time.monotonic()
        with pytest.raises(APITimeoutError):
            call(f"http://127.0.0.1:{listener.getsockname()[1]}", "cancel", EXAMPLE_ID, options={"timeout": 0.3})
        assert time.monotonic() - began < CONNECT_TIMEOUT
        for one in waiting:
            one.close()
