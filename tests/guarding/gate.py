"""A network that a test cuts and mends."""

import socket
import threading
from contextlib import suppress


class Gate:
    """A way to the sandbox that can be closed: then connections to its port are refused."""

    def __init__(self, url: str) -> None:
        self._host, port = url.removeprefix("http://").split(":")
        self._to = (self._host, int(port))
        self._sockets: list[socket.socket] = []
        self.port = 0
        self.open()
        self.url = f"http://{self._host}:{self.port}"

    def open(self) -> None:
        listener = socket.create_server((self._host, self.port))
        self.port = listener.getsockname()[1]
        self._sockets.append(listener)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def close(self) -> None:
        while self._sockets:
            opened = self._sockets.pop()
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
            opened.close()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                ends = listener.accept()[0], socket.create_connection(self._to)
                self._sockets += ends
                for source, sink in (ends, ends[::-1]):
                    threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pass(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
