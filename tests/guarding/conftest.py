"""A server that does to a connection whatever a test says, a relay in front of it, and an account for `guard`."""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from cancel_message_batch.guarding.created import Created
from cancel_message_batch.guarding.relay import Relay
from cancel_message_batch.sandbox import Sandbox

TOKEN = "token-of-a-test"
BATCH = b'{"id":"msgbatch_01new","processing_status":"in_progress","request_counts":{"processing":2}}'


class Connection:
    """A connection, with what a test needs of it."""

    def __init__(self, opened: socket.socket) -> None:
        opened.settimeout(20)
        self._socket = opened
        self._rest = b""

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def until(self, end: bytes) -> bytes:
        """Read up to and with these bytes."""
        while end not in self._rest:
            piece = self._socket.recv(65536)
            if not piece:
                raise EOFError(self._rest)
            self._rest += piece
        head, _, self._rest = self._rest.partition(end)
        return head + end

    def message(self) -> bytes:
        """Read a message whose body has a content-length or none."""
        head = self.until(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        return head + self.exactly(length)

    def exactly(self, number: int) -> bytes:
        while len(self._rest) < number:
            piece = self._socket.recv(65536)
            if not piece:
                raise EOFError(self._rest)
            self._rest += piece
        data, self._rest = self._rest[:number], self._rest[number:]
        return data

    def rest(self) -> bytes:
        """Read to the end of the connection."""
        data, self._rest = self._rest, b""
        while piece := self._socket.recv(65536):
            data += piece
        return data

    def close(self, *, reset: bool = False) -> None:
        if reset:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._socket.close()


Script = Callable[[Connection], object]


class Upstream:
    """Listens like the API, and hands each connection to the script of a test, in a thread."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self.port = self._listener.getsockname()[1]
        self.connections = 0
        self.script: Script = lambda connection: connection.close()
        self.failures: list[BaseException] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                opened, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._run, args=(opened,), daemon=True).start()

    def _run(self, opened: socket.socket) -> None:
        with opened:
            try:
                self.script(Connection(opened))
            except (EOFError, OSError):
                pass
            except BaseException as error:  # noqa: BLE001 - the test raises it
                self.failures.append(error)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # a thread that accepts would hold it open
        self._listener.close()
        for failure in self.failures:
            raise failure


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    running = Upstream()
    yield running
    running.close()


class Behind:
    """A relay in front of the upstream server."""

    def __init__(self, base_url: str, opened: ExitStack, **options: Any) -> None:
        self.noted: list[Created] = []
        self._opened = opened
        self.before: list[tuple[int, str]] = []  # what was noted before a create was sent
        self.relay = opened.enter_context(Relay(base_url, self._note, token=TOKEN, **options))
        self.relay.start()
        self.host = self.relay.url.split("/")[2]

    def _note(self, batches: Sequence[Created]) -> bool:
        for batch in batches:
            if batch.message_batch_id:
                self.noted.append(batch)
            elif not batch.sent:
                self.before.append((batch.requests, batch.sha256))
        return True

    def connect(self) -> Connection:
        host, port = self.host.split(":")
        return Connection(self._opened.enter_context(socket.create_connection((host, int(port)))))

    def request(self, start: bytes, *headers: bytes, body: bytes = b"") -> bytes:
        """Build a request with the token, the host and the length that it needs."""
        method, _, rest = start.partition(b" ")
        lines = [method + b" /" + TOKEN.encode() + rest, b"Host: " + self.host.encode(), *headers]
        if body:
            lines.append(b"Content-Length: %d" % len(body))
        return b"\r\n".join([*lines, b"", body])


@pytest.fixture
def behind(upstream: Upstream) -> Iterator[Behind]:
    with ExitStack() as opened:
        yield Behind(f"http://127.0.0.1:{upstream.port}/gateway", opened)


@pytest.fixture
def slow(sandbox: Sandbox) -> Sandbox:
    """The API of an account where no batch ends by itself while a test runs."""
    sandbox.account.speed = 0.001
    return sandbox
