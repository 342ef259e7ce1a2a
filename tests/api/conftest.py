"""The client in both forms, and servers that are not the API."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from cancel_message_batch import AsyncMessageBatches, MessageBatches
from tests.conftest import KEY

Call = Callable[..., Any]


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Call:
    """Call an operation of the sync client, or the same of the async one."""

    def sync(base_url: str, operation: str, *arguments: Any, options: Any = None, **keywords: Any) -> Any:
        with MessageBatches(api_key=KEY, base_url=base_url, **options or {}) as client:
            result = getattr(client, operation)(*arguments, **keywords)
            return list(result) if operation == "list" else result

    async def asynchronous(base_url: str, operation: str, *arguments: Any, options: Any = None, **keywords: Any) -> Any:
        async with AsyncMessageBatches(api_key=KEY, base_url=base_url, **options or {}) as client:
            if operation == "list":
                return [batch async for batch in client.list(**keywords)]
            return await getattr(client, operation)(*arguments, **keywords)

    if request.param == "sync":
        return sync
    return lambda *arguments, **keywords: asyncio.run(asynchronous(*arguments, **keywords))


class Handler(BaseHTTPRequestHandler):
    answers: Callable[["Handler"], None]
    seen: list[Any]

    def do_GET(self) -> None:
        self.seen.append((self.command, self.path, dict(self.headers)))
        type(self).answers(self)

    do_POST = do_GET  # noqa: N815 - the name that the standard library calls

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def odd_server() -> Iterator[Callable[..., tuple[str, list[Any]]]]:
    """Start servers that are not the API, each with its own way to answer."""
    servers = []

    def start(answers: Callable[[Handler], None]) -> tuple[str, list[Any]]:
        seen: list[Any] = []
        server = HTTPServer(
            ("127.0.0.1", 0), type("Handler", (Handler,), {"answers": staticmethod(answers), "seen": seen})
        )
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}", seen

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
