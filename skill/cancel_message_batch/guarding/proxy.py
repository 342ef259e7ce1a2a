"""The proxy on loopback: it passes requests on to one API as they came, and notes the batches created through it.

Each connection of a client has a connection to the API of its own, so that whatever one side does, ends or cuts off
reaches the other. Bodies pass in the pieces and in the framing in which they come. No credential is added, so whoever
else finds the port gains nothing by it.
"""

import asyncio
import contextlib
import re
import threading
from collections.abc import Callable
from socket import IPPROTO_TCP, TCP_NODELAY, create_server
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from .created import Created, Watch
from .messages import Head
from .relay import PIECE, Origin, Relay, Side

_CLOSING_SECONDS = 0.2  # for the connections of a process that has just ended
_BATCHES = re.compile(rb"(.*)/messages/batches(?:/([\w-]+)(?:/cancel)?)?", re.DOTALL)


class Proxy:
    """Passes requests on to one API, from the address ``url``.

    Args:
        base_url: Where the API is, as ANTHROPIC_BASE_URL would say it.
        note: Called with each batch that was created, before the client has the whole answer.

    Raises:
        ConfigurationError: The environment names a proxy or certificates that cannot be used.
    """

    def __init__(self, base_url: str, note: Callable[[Created], object]) -> None:
        self._origin = Origin(base_url)
        self._note = note
        self.created: dict[str, Created] = {}
        self.lost: list[Watch] = []  # creates that may have made a batch whose id is not known
        self._listener = create_server(("127.0.0.1", 0), backlog=512)
        port = self._listener.getsockname()[1]
        self._names = frozenset(f"{host}:{port}".encode() for host in ("127.0.0.1", "localhost"))
        # The path and the user name of the base URL stay, so that clients send the same as they would without us.
        parts = urlsplit(base_url)
        userinfo, at, _ = parts.netloc.rpartition("@")
        self.url = urlunsplit(("http", f"{userinfo}{at}127.0.0.1:{port}", parts.path, "", ""))
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self._under_way: dict[asyncio.Task[None], Watch | None] = {}  # what each connection is about
        self._thread = threading.Thread(
            target=lambda: self._loop.run_until_complete(self._serving()), name="proxy", daemon=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(0)
        self._listener.close()
        self._loop.close()

    def start(self) -> None:
        """Serve the clients, also those that have connected before."""
        self._thread.start()

    def stop(self, seconds: float) -> int:
        """Stop, once the creates that are under way are answered or so many seconds have passed.

        Returns:
            The number of connections that clients still held.
        """
        if not self._thread.is_alive():
            return 0
        held = asyncio.run_coroutine_threadsafe(self._stopping(seconds), self._loop).result()
        self._thread.join()
        return held

    async def _serving(self) -> None:
        server = await asyncio.start_server(self._connected, sock=self._listener, limit=PIECE, backlog=512)
        await self._stopped.wait()
        server.close()
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._loop.shutdown_default_executor()

    async def _stopping(self, seconds: float) -> int:
        for limit, waiting in ((seconds, self._creating), (_CLOSING_SECONDS, self._under_way.keys)):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limit):
                    while waiting():  # noqa: ASYNC110 - once, at the end
                        await asyncio.sleep(0.01)
        self._stopped.set()
        return len(self._under_way.keys() - self._creating())

    def _creating(self) -> set[asyncio.Task[None]]:
        return {task for task, watch in self._under_way.items() if watch and not watch.message_batch_id}

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection of a client to its end."""
        task = asyncio.current_task()
        if task is None:
            return

        def watch(request: Head) -> Watch | None:
            self._under_way[task] = self._watch(request)
            return self._under_way[task]

        async def learn(watched: Watch, answer: Head | None) -> None:
            new = watched.learn(answer, self.created) if answer else None
            if new:
                await asyncio.to_thread(self._note, new)
            elif not watched.message_batch_id and watched.sent and not watched.settled:
                self.lost.append(watched)
            self._under_way[task] = None

        # asyncio does this for the sockets that it opens itself. Without it, each answer takes 40 ms longer.
        writer.get_extra_info("socket").setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        self._under_way[task] = None
        try:
            with contextlib.suppress(asyncio.CancelledError):  # Python 3.11 would print it
                await Relay(Side(reader, writer), self._origin, self._names, watch, learn).run()
        finally:
            del self._under_way[task]

    def _watch(self, request: Head) -> Watch | None:
        """Return how to watch a request: one that creates a batch, or is about one that was created."""
        method, target, _ = request.start
        match = _BATCHES.fullmatch(target.partition(b"?")[0])
        if not match:
            return None
        name = (match[2] or b"").decode()
        if name not in self.created and (name or method != b"POST"):
            return None
        return Watch(request, self._origin.url + match[1].decode("latin-1"), name)
