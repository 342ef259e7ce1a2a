"""Listings, page by page."""

import asyncio
import gc
import weakref
from typing import Any

import pytest

from cancel_message_batch import AsyncMessageBatches, InvalidInputError, MessageBatches
from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Fault, Sandbox
from tests.api.conftest import Call
from tests.conftest import KEY, described


def test_listing_goes_through_all_pages_in_both_directions(sandbox: Sandbox, call: Call) -> None:
    everything = [batch.id for batch in call(sandbox.url, "list", limit=1000)]
    assert len(everything) > 5
    assert [batch.id for batch in call(sandbox.url, "list", limit=2)] == everything
    assert [b.id for b in call(sandbox.url, "list", limit=2, after_id=everything[1])] == everything[2:]
    newer = [batch.id for batch in call(sandbox.url, "list", limit=2, before_id=everything[-1])]
    assert sorted(newer) == sorted(everything[:-1])


def test_a_page_takes_no_memory_once_it_has_been_read(batches: MessageBatches) -> None:
    gc.disable()
    try:
        page = batches.list(limit=2)
        alive = weakref.ref(page)
        assert len(list(page)) > 2
        del page
        assert alive() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("keywords", [{"limit": 0}, {"limit": 1001}, {"after_id": EXAMPLE_ID, "before_id": EXAMPLE_ID}])
def test_what_the_api_does_not_allow_is_not_sent(sandbox: Sandbox, call: Call, keywords: Any) -> None:
    with pytest.raises(InvalidInputError):
        call(sandbox.url, "list", **keywords)
    assert sandbox.journal == []


def test_an_async_listing_can_be_gone_through_twice(sandbox: Sandbox) -> None:
    async def twice() -> tuple[list[str], list[str]]:
        async with AsyncMessageBatches(api_key=KEY, base_url=sandbox.url) as client:
            listing = client.list(limit=3)
            return [batch.id async for batch in listing], [batch.id async for batch in listing]

    first, second = asyncio.run(twice())
    assert first == second


def test_a_listing_whose_cursor_does_not_move_ends(sandbox: Sandbox, call: Call) -> None:
    batch = call(sandbox.url, "retrieve", EXAMPLE_ID).model_dump(mode="json")
    page = {"data": [batch], "has_more": True, "first_id": EXAMPLE_ID, "last_id": EXAMPLE_ID}
    sandbox.fail(Fault(match="GET */batches", times=0, status=200, body=page))
    assert len(call(sandbox.url, "list")) == 1


@pytest.mark.parametrize(
    ("after_id", "ends", "listed"),
    [(None, ["msgbatch_a", "msgbatch_b", "msgbatch_a"], 2), ("msgbatch_a", ["msgbatch_a"], 1)],
    ids=["to an earlier page", "to where it began"],
)
def test_a_listing_whose_cursor_leads_back_ends(
    sandbox: Sandbox, call: Call, after_id: str | None, ends: list[str], listed: int
) -> None:
    for end in ends:
        sandbox.fail(Fault(match="GET", body={"data": [described(end)], "has_more": True, "last_id": end}))
    assert [batch.id for batch in call(sandbox.url, "list", after_id=after_id)] == ends[:listed]
    assert len(sandbox.journal) == len(ends)


def test_a_last_page_that_does_not_name_its_end_is_listed_too(sandbox: Sandbox, call: Call) -> None:
    for name, end in [("msgbatch_a", "msgbatch_a"), ("msgbatch_b", None)]:
        sandbox.fail(Fault(match="GET", body={"data": [described(name)], "has_more": end is not None, "last_id": end}))
    assert [batch.id for batch in call(sandbox.url, "list")] == ["msgbatch_a", "msgbatch_b"]
