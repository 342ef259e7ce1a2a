"""Drives all six operations of a sandbox, and its error paths, with the official Python SDK.

    python drive_sdk.py BASE_URL

Works with ``anthropic`` 0.x and 2.x, with strict response validation, sync and async. BASE_URL is a sandbox's, with
or without one of its path prefixes; other batches may be there. Ends with an assertion where the SDK is surprised.
"""

import asyncio
import json
import re
import sys
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import anthropic
from anthropic.types.messages import MessageBatchIndividualResponse
from pydantic import TypeAdapter

LINE: TypeAdapter[Any] = TypeAdapter(MessageBatchIndividualResponse)
UNKNOWN = "msgbatch_unknown"
MANY, FEW = 40, 6


def requests(number: int) -> list[Any]:
    """Make the requests of a batch, the last with parameters that no model takes."""
    params = {"model": "claude-sonnet-5-5", "max_tokens": 16, "messages": [{"role": "user", "content": "Hi"}]}
    good = [{"custom_id": f"q-{index}", "params": params} for index in range(number - 1)]
    return [*good, {"custom_id": "bad", "params": {**params, "max_tokens": -1}}]


def control(base_url: str, path: str, body: dict[str, Any]) -> None:
    """Send a request to the sandbox's admin API."""
    origin = "/".join(base_url.split("/")[:3])
    request = urllib.request.Request(f"{origin}/_sandbox/{path}", json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=30):
        pass


def check_results(lines: list[Any], number: int, counts: Any) -> None:
    """Check the results, which the SDK's strict validation does not look into."""
    for line in lines:
        LINE.validate_python(line.to_dict())
    assert len({line.custom_id for line in lines}) == len(lines) == number
    outcomes = Counter(line.result.type for line in lines)
    assert outcomes == +Counter(counts.to_dict()), (outcomes, counts)
    for line in lines:
        if line.result.type == "succeeded":
            assert line.result.message.content[0].type == "text"
        if line.result.type == "errored":
            assert line.custom_id == "bad"
            assert line.result.error.error.type == "invalid_request_error"


def check_running(batch: Any, status: str, number: int) -> None:
    """Check a batch that has not ended: everything counts as processing."""
    assert batch.processing_status == status
    assert batch.request_counts.processing == sum(batch.request_counts.to_dict().values()) == number
    assert batch.ended_at is batch.results_url is batch.archived_at is None
    assert (batch.cancel_initiated_at is not None) == (status == "canceling")


def check_ended(batch: Any, number: int) -> None:
    """Check a batch that has ended."""
    assert batch.processing_status == "ended"
    assert batch.request_counts.processing == 0
    assert sum(batch.request_counts.to_dict().values()) == number
    assert batch.results_url.endswith(f"/messages/batches/{batch.id}/results")
    assert batch.created_at < batch.ended_at <= batch.expires_at


Failure = tuple[type[anthropic.APIStatusError], int, str, tuple[Any, ...], dict[str, Any]]


def failures(batch_id: str, ended_id: str) -> Iterator[Failure]:
    """Yield calls that fail: the SDK's exception, its status, the method, its arguments."""
    for method in ("retrieve", "cancel", "delete", "results"):
        yield anthropic.NotFoundError, 404, method, (UNKNOWN,), {}
        yield anthropic.PermissionDeniedError, 403, method, (batch_id,), {"key": "forbidden"}
        yield anthropic.NotFoundError, 404, method, (batch_id,), {"key": "other-workspace"}
    yield anthropic.AuthenticationError, 401, "cancel", (batch_id,), {"key": "invalid"}
    yield anthropic.BadRequestError, 400, "delete", (batch_id,), {}
    yield anthropic.BadRequestError, 400, "cancel", (ended_id,), {}
    yield anthropic.BadRequestError, 400, "list", (), {"limit": 0}
    yield anthropic.BadRequestError, 400, "list", (), {"limit": 1001}
    yield anthropic.BadRequestError, 400, "list", (), {"after_id": batch_id, "before_id": ended_id}
    yield anthropic.BadRequestError, 400, "list", (), {"after_id": UNKNOWN}
    yield anthropic.BadRequestError, 400, "create", (), {"requests": []}
    yield anthropic.BadRequestError, 400, "create", (), {"requests": requests(2)[:1] * 2}
    yield anthropic.APIStatusError, 402, "create", (), {"requests": requests(2), "key": "no-credit"}


@contextmanager
def failing(kind: type[anthropic.APIStatusError], status: int) -> Iterator[None]:
    """Check that a call fails, and what the SDK makes of it."""
    try:
        yield
    except kind as error:
        fault = error
    else:
        raise AssertionError(f"no error {status}")
    assert fault.status_code == status
    body: Any = fault.body
    assert body["error"]["message"]
    assert body["request_id"] == fault.request_id is not None


def drive(base_url: str) -> None:
    """Drive the sandbox with the sync client."""
    with anthropic.Anthropic(api_key="test-key", base_url=base_url, _strict_response_validation=True) as client:
        drive_lives(client, base_url)
        drive_lists(client)
        drive_errors(client, base_url)


def drive_lives(client: anthropic.Anthropic, base_url: str) -> None:
    """Cancel one batch, let another one end by itself, and delete them."""
    batches = client.messages.batches
    stopped, left = batches.create(requests=requests(MANY)), batches.create(requests=requests(FEW))
    check_running(stopped, "in_progress", MANY)
    check_running(batches.retrieve(stopped.id), "in_progress", MANY)
    canceling = batches.cancel(stopped.id)
    check_running(canceling, "canceling", MANY)
    assert batches.cancel(stopped.id).cancel_initiated_at == canceling.cancel_initiated_at
    try:
        batches.results(stopped.id)
    except anthropic.AnthropicError as error:
        refusal = str(error)
    else:
        raise AssertionError("results before the end")
    assert "results_url" in refusal

    control(base_url, "advance", {"seconds": 3600})
    ended = batches.retrieve(stopped.id)
    check_ended(ended, MANY)
    assert ended.request_counts.canceled > 0
    check_results(list(batches.results(stopped.id)), MANY, ended.request_counts)
    done = batches.retrieve(left.id)
    check_ended(done, FEW)
    assert (done.request_counts.succeeded, done.request_counts.errored) == (FEW - 1, 1)
    check_results(list(batches.results(left.id)), FEW, done.request_counts)

    for batch in (stopped, left):
        deleted = batches.delete(batch.id)
        assert (deleted.id, deleted.type) == (batch.id, "message_batch_deleted")
        with failing(anthropic.NotFoundError, 404):
            batches.retrieve(batch.id)


def drive_lists(client: anthropic.Anthropic) -> None:
    """List batches over pages, in both directions."""
    batches = client.messages.batches
    made = [batches.create(requests=requests(FEW)).id for _ in range(5)]
    everything = [batch.id for batch in batches.list(limit=1000)]
    assert everything[:5] == made[::-1]
    assert [batch.id for batch in batches.list(limit=2)] == everything
    assert [batch.id for batch in batches.list(limit=2, after_id=made[-1])] == everything[1:]
    # Backwards, each page is newest first, and the pages come oldest first.
    before: list[str] = []
    for page in batches.list(limit=2, before_id=everything[-1]).iter_pages():
        before = [batch.id for batch in page.data] + before
    assert before == everything[:-1]


def drive_errors(client: anthropic.Anthropic, base_url: str) -> None:
    """Make calls that fail, and calls that succeed after a retry."""
    batches = client.messages.batches
    ended = batches.create(requests=requests(FEW))
    control(base_url, "advance", {"seconds": 3600})
    running = batches.create(requests=requests(MANY))
    for kind, status, method, arguments, options in failures(running.id, ended.id):
        key = options.pop("key", None)
        caller = client.with_options(api_key=key, max_retries=0) if key else client
        with failing(kind, status):
            getattr(caller.messages.batches, method)(*arguments, **options)
    for status in (429, 500, 529):
        fault = {"match": "/cancel", "status": status, "headers": {"retry-after": "0.01"}}
        control(base_url, "faults", fault)
        with failing(anthropic.APIStatusError, status):
            client.with_options(max_retries=0).messages.batches.cancel(running.id)
        control(base_url, "faults", fault)
        check_running(batches.cancel(running.id), "canceling", MANY)


async def drive_async(base_url: str) -> None:
    """Drive the sandbox with the async client."""

    async def collected(items: AsyncIterator[Any]) -> list[Any]:
        return [item async for item in items]

    async with anthropic.AsyncAnthropic(
        api_key="test-key", base_url=base_url, _strict_response_validation=True
    ) as client:
        batches = client.messages.batches
        made = [await batches.create(requests=requests(FEW)) for _ in range(3)]
        everything = [batch.id for batch in await collected(batches.list(limit=1000).__aiter__())]
        assert everything[:3] == [batch.id for batch in reversed(made)]
        assert [batch.id for batch in await collected(batches.list(limit=2).__aiter__())] == everything
        pages = await collected((await batches.list(limit=2, before_id=everything[-1])).iter_pages())
        assert [batch.id for page in reversed(pages) for batch in page.data] == everything[:-1]
        stopped = made[0].id
        check_running(await batches.retrieve(stopped), "in_progress", FEW)
        check_running(await batches.cancel(stopped), "canceling", FEW)
        control(base_url, "advance", {"seconds": 3600})
        for batch in made:
            ended = await batches.retrieve(batch.id)
            check_ended(ended, FEW)
            lines = await collected((await batches.results(batch.id)).__aiter__())
            check_results(lines, FEW, ended.request_counts)
        with failing(anthropic.BadRequestError, 400):
            await batches.cancel(stopped)
        assert (await batches.delete(stopped)).id == stopped
        with failing(anthropic.NotFoundError, 404):
            await batches.retrieve(stopped)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not re.match("https?://", sys.argv[1]):
        sys.exit(__doc__)
    drive(sys.argv[1].rstrip("/"))
    asyncio.run(drive_async(sys.argv[1].rstrip("/")))
    print(f"anthropic {anthropic.__version__}: all six operations and their errors, sync and async")
