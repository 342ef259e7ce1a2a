"""A sandbox for each test, and plain HTTP to talk to it: these tests check responses, not clients."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest

from cancel_message_batch.sandbox import Account, Sandbox
from cancel_message_batch.sandbox.stand_in import STAND_IN_LABEL, STAND_IN_MODEL

HEADERS = {"x-api-key": "test-key", "anthropic-version": "2023-06-01"}
A, B = "msgbatch_01AAA", "msgbatch_01BBB"
OWN: list[dict[str, Any]] = [
    {"name": name, "input_schema": {"type": "object"}}
    for name in ("cancel_message_batch", "list_message_batches", "get_message_batch")
]

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
    """Send one request with the usual headers; a header that is None is left out."""

    def send(
        sandbox: Sandbox, method: str, path: str, headers: dict[str, str | None] | None = None, **options: Any
    ) -> httpx2.Response:
        wanted = {**HEADERS, **(headers or {})}
        sent = {name: value for name, value in wanted.items() if value is not None}
        return client.request(method, sandbox.url + path, headers=sent, **options)

    return send


class Talk:
    """A conversation with the stand-in over plain HTTP."""

    def __init__(self, sandbox: Sandbox, call: Call, tools: list[dict[str, Any]]) -> None:
        self._sandbox = sandbox
        self._call = call
        self._tools = [{"input_schema": {"type": "object"}, **tool} for tool in tools]
        self._messages: list[dict[str, Any]] = []

    def say(self, content: Any, **options: Any) -> list[dict[str, Any]]:
        """Say something; return the content of the answer."""
        self._messages.append({"role": "user", "content": content})
        body = {"model": "m", "max_tokens": 1024, "messages": self._messages, "tools": self._tools, **options}
        answer = self._call(self._sandbox, "POST", "/v1/messages?beta=true", json=body)
        assert answer.status_code == 200, answer.text
        message = answer.json()
        assert message["model"] == STAND_IN_MODEL
        content = message["content"]
        assert message["stop_reason"] == ("tool_use" if content[0]["type"] == "tool_use" else "end_turn")
        self._messages.append({"role": "assistant", "content": content})
        assert all(block["text"].startswith(STAND_IN_LABEL) for block in content if block["type"] == "text")
        return list(content)

    def text(self, content: Any, **options: Any) -> str:
        """Say something; return what the stand-in says, which calls no tool."""
        (block,) = self.say(content, **options)
        assert block["type"] == "text"
        return str(block["text"]).removeprefix(STAND_IN_LABEL)

    def calls(self, content: Any, **options: Any) -> list[tuple[str, Any]]:
        """Say something; return the tool calls of the stand-in, which says nothing."""
        blocks = self.say(content, **options)
        assert {block["type"] for block in blocks} == {"tool_use"}
        return [(block["name"], block["input"]) for block in blocks]

    def results(self, *texts: Any, is_error: bool = False) -> list[dict[str, Any]]:
        """Make the results of the stand-in's last calls."""
        uses = [block["id"] for block in self._messages[-1]["content"]]
        return [
            {"type": "tool_result", "tool_use_id": use, "content": text, "is_error": is_error}
            for use, text in zip(uses, texts, strict=True)
        ]


@pytest.fixture
def talk(server: Sandbox, call: Call) -> Talk:
    return Talk(server, call, OWN)
