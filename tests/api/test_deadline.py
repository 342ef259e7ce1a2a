"""The time for a call holds whatever the server does: bytes that trickle in, endless 1xx answers, empty content."""

import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from cancel_message_batch import APITimeoutError
from cancel_message_batch.api.models import EXAMPLE_ID
from tests.api.conftest import Call

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
def serving(trickle: Trickle, connections: int = 1) -> Iterator[str]:
    """Answer each connection with a piece every 20 ms, until the client hangs up."""

    def answer(client: socket.socket) -> None:
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
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("trickle", TRICKLES)
def test_a_server_that_never_comes_to_an_end_is_given_up_in_time(call: Call, trickle: Trickle) -> None:
    with serving(trickle) as url, pytest.raises(APITimeoutError, match="did not answer in time") as caught:
        call(url, "cancel", EXAMPLE_ID, options={"timeout": 0.4, "max_retries": 5})
    assert caught.value.may_have_arrived is True
