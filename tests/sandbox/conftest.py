"""A sandbox for each test, and plain HTTP to talk to it: what is tested here are answers, not clients."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest

from cancel_message_batch.sandbox import Account, Sandbox

HEADERS = {"x-api-key": "test-key", "anthropic-version": "2023-06-01"}

Serve = Callable[..., Sandbox]
Call = Callable[..., httpx2.Response]


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start sandboxes with any options; by default with an account without batches."""
    with ExitStack() as running:

        def start(**options: Any) -> Sandbox:
            return running.enter_context(Sandbox(**{"account": Account(), **options}))

        yield start


@pytest.fixture
def server(serve: Serve) -> Sandbox:
    """A sandbox with an account without batches."""
    return serve()


@pytest.fixture(scope="session")
def client() -> Iterator[httpx2.Client]:
    with httpx2.Client(timeout=30, trust_env=False) as running:
        yield running


@pytest.fixture
def call(client: httpx2.Client) -> Call:
    """Send one request with the usual headers; one that is given as None is left out."""

    def send(
        sandbox: Sandbox, method: str, path: str, headers: dict[str, str | None] | None = None, **options: Any
    ) -> httpx2.Response:
        wanted = {**HEADERS, **(headers or {})}
        sent = {name: value for name, value in wanted.items() if value is not None}
        return client.request(method, sandbox.url + path, headers=sent, **options)

    return send
