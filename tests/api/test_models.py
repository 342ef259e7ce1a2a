"""Batches as the API describes them: new fields, and times of all kinds."""

import json

import pytest

from cancel_message_batch.api.models import EXAMPLE_ID, MessageBatch, with_context
from cancel_message_batch.sandbox import Fault, Sandbox
from cancel_message_batch.words import states
from tests.api.conftest import Call
from tests.conftest import live_in


def test_fields_and_statuses_that_are_newer_than_this_version_are_kept(sandbox: Sandbox, call: Call) -> None:
    body = {
        "id": EXAMPLE_ID, "type": "message_batch", "processing_status": "paused", "priority": "low",
        "request_counts": {"processing": 1, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0, "queued": 3},
        "created_at": "2026-01-01T00:00:00Z", "expires_at": "2026-01-02T00:00:00Z",
    }  # fmt: skip
    sandbox.fail(Fault(match="GET", status=200, body=body))
    batch = call(sandbox.url, "retrieve", EXAMPLE_ID)
    assert batch.processing_status == "paused"
    assert batch.model_dump(mode="json", exclude_unset=True) == body


@pytest.mark.parametrize("created", ["2026-01-01T00:00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_time_without_a_zone_or_beyond_all_bounds_is_accepted(
    sandbox: Sandbox, call: Call, monkeypatch: pytest.MonkeyPatch, created: str
) -> None:
    live_in(monkeypatch, "America/New_York")
    body = call(sandbox.url, "retrieve", EXAMPLE_ID).model_dump(mode="json") | {"created_at": created}
    sandbox.fail(Fault(match="GET", status=200, body=body))
    assert "Created " in states.status(call(sandbox.url, "retrieve", EXAMPLE_ID))


@pytest.mark.parametrize("date", ["Thu, 01 Jan 2026 05:00:00 -0000", "Thu, 01 Jan 2026 05:00:00 GMT"])
def test_the_apis_own_time_is_taken_for_what_it_is(
    sandbox: Sandbox, call: Call, monkeypatch: pytest.MonkeyPatch, date: str
) -> None:
    live_in(monkeypatch, "America/New_York")
    body = call(sandbox.url, "retrieve", EXAMPLE_ID).model_dump(mode="json")
    sandbox.fail(Fault(match="GET", status=200, body=body, headers={"date": date}))
    assert call(sandbox.url, "retrieve", EXAMPLE_ID).context.as_of.isoformat() == "2026-01-01T05:00:00+00:00"


def test_a_batch_knows_the_workspace_that_the_response_named_and_keeps_fields_of_the_api_apart(
    sandbox: Sandbox, call: Call
) -> None:
    body = call(sandbox.url, "retrieve", EXAMPLE_ID).model_dump(mode="json") | {"name": "n", "workspace": "w"}
    sandbox.fail(Fault(match="GET", status=200, body=body, headers={"anthropic-workspace-id": "wrkspc_a"}))
    batch = call(sandbox.url, "retrieve", EXAMPLE_ID)
    assert (batch.context.workspace, batch.context.name) == ("wrkspc_a", None)
    batch = with_context(batch, name="nightly eval")
    assert batch.context.name == "nightly eval"
    assert json.loads(batch.to_json()) == json.loads(MessageBatch.model_validate(body).to_json())
    listed = call(sandbox.url, "list")
    assert {batch.context.workspace for batch in listed} == {"wrkspc_default"}


def test_two_looks_at_an_unchanged_batch_are_equal(sandbox: Sandbox, call: Call) -> None:
    first = call(sandbox.url, "retrieve", EXAMPLE_ID)
    second = with_context(call(sandbox.url, "retrieve", EXAMPLE_ID), name="nightly eval", workspace="wrkspc_b")
    assert first == second
    assert len({first, second}) == 1
    assert first != MessageBatch.model_validate(first.model_dump() | {"priority": "low"})
    assert first != call(sandbox.url, "cancel", EXAMPLE_ID)
