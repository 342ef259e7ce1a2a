"""Calling ``messages.batches``, ours or the official SDK's, sync or async, in one way.

What takes several calls is written once, as a coroutine. Async callers await it. Sync callers ``finish`` it: a sync
client blocks instead of waiting, so such a coroutine ends at its first step.
"""

import contextlib
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError

from .credentials import origin
from .errors import APIResponseError, from_sdk
from .models import Context, MessageBatch, shown_id

Result = TypeVar("Result")


class Batches(Protocol):
    """What the tools need: ``MessageBatches()`` or ``anthropic.Anthropic().messages.batches``."""

    def cancel(self, message_batch_id: str, /) -> Any: ...  # noqa: D102
    def retrieve(self, message_batch_id: str, /) -> Any: ...  # noqa: D102
    def list(self, *, limit: int = ..., after_id: str = ...) -> Any: ...  # noqa: D102


class AsyncBatches(Protocol):
    """What the async tools need: ``AsyncMessageBatches()`` or ``anthropic.AsyncAnthropic().messages.batches``."""

    def cancel(self, message_batch_id: str, /) -> Awaitable[Any]: ...  # noqa: D102
    def retrieve(self, message_batch_id: str, /) -> Awaitable[Any]: ...  # noqa: D102
    def list(self, *, limit: int = ..., after_id: str = ...) -> Awaitable[Any]: ...  # noqa: D102


def finish(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: Result = stop.value
        return result
    coroutine.close()
    raise RuntimeError("a sync call was given an async client; use the async call")


def finish_each(values: AsyncGenerator[Result, None]) -> Iterator[Result]:
    """Yield the values of an async generator that never waits."""
    while True:
        try:
            value = finish(anext(values))
        except StopAsyncIteration:
            return
        yield value


async def awaited(value: Any) -> Any:
    """Return a value, awaited when it has to be."""
    return await value if inspect.isawaitable(value) else value


async def call(operation: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call an operation; an error of the SDK becomes one of ours."""
    try:
        return await awaited(operation(*arguments, **options))
    except Exception as error:
        known = from_sdk(error)
        if known is None or known is error:
            raise
        raise known from error


def as_message_batch(answer: Any, operation: Callable[..., Any] | None = None) -> MessageBatch:
    """Return a batch of ours as it is, and one of the SDK's as ours, from the origin that its ``operation`` asked."""
    if isinstance(answer, MessageBatch):
        return answer
    batch = None
    with contextlib.suppress(AttributeError, ValidationError):
        batch = MessageBatch.model_validate(answer.model_dump(), context=Context(origin=_origin(operation)))
    # Raised outside of the handler: the parser's own error repeats the answer, which may hold anything.
    if batch is None:
        raise APIResponseError("the answer is not a message batch", may_have_arrived=True)
    return batch


def _origin(operation: Callable[..., Any] | None) -> str | None:
    """Return where an operation of the SDK's resource sends its request."""
    client = getattr(getattr(operation, "__self__", None), "_client", None)
    base_url = getattr(client, "base_url", None)
    return origin(str(base_url)) if base_url else None


async def call_for_batch(
    operation: Callable[..., Any], message_batch_id: str, *, canceling: bool = False
) -> MessageBatch:
    """Call an operation on one batch, and return the batch."""
    batch = as_message_batch(await call(operation, message_batch_id), operation)
    return check_same_batch(batch, message_batch_id, canceling=canceling)


def check_same_batch(batch: MessageBatch, message_batch_id: str, *, canceling: bool = False) -> MessageBatch:
    """Return the batch if it is the one that was asked about."""
    if batch.id != message_batch_id:
        what = f"the API was asked about {message_batch_id} and returned {shown_id(batch.id)}"
        raise APIResponseError(what, may_have_arrived=canceling, from_api=True)
    return batch
