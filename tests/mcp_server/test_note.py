"""What a server, as a client starts it, notes in the record."""

import asyncio
from typing import Any

import mcp_types as types
import pytest

from cancel_message_batch.mcp_server.confirmation import ANSWER
from cancel_message_batch.record.cancels import INTERRUPTED
from cancel_message_batch.record.store import open_record
from cancel_message_batch.sandbox import Fault, Sandbox
from cancel_message_batch.tools import CANCEL, GET
from tests.conftest import cancels

from .clients import ERAS, LEGACY, over_stdio


async def yes(_context: Any, _question: Any) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content={ANSWER: "yes"})


def call_over_stdio(era: str, message_batch_ids: list[str], *flags: str, **options: Any) -> None:
    async def conversation() -> None:
        async with over_stdio(era, *flags, **options) as client:
            for message_batch_id in message_batch_ids:
                await client.call_tool(GET.name, {"message_batch_id": message_batch_id})
                await client.call_tool(CANCEL.name, {"message_batch_id": message_batch_id})

    asyncio.run(conversation())


def noted() -> list[tuple[str, str, str | None, str]]:
    history = open_record(print).history()
    return [(entry.through, entry.message_batch_id, entry.consent, str(entry.answer)) for entry in history]


def test_a_cancel_is_recorded_and_nothing_else(sandbox: Sandbox, running: str) -> None:
    call_over_stdio(LEGACY, [running, "msgbatch_unknown", "nonsense"])
    (unknown, canceled) = noted()
    assert canceled == ("MCP server", running, None, "canceling")
    assert unknown[:3] == ("MCP server", "msgbatch_unknown", None)
    assert "404" in unknown[3]


@pytest.mark.parametrize("era", ERAS)
def test_a_yes_is_recorded_and_a_no_cancels_nothing(sandbox: Sandbox, running: str, era: str) -> None:
    call_over_stdio(era, [running], "--confirm")
    assert noted() == []
    call_over_stdio(era, [running], "--confirm", elicitation_callback=yes)
    assert noted() == [("MCP server", running, "yes", "canceling")]
    assert cancels(sandbox) == [running]


def test_a_record_that_cannot_be_used_never_keeps_an_agent_from_canceling(
    sandbox: Sandbox, running: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANCEL_MESSAGE_BATCH_RECORD", "/dev/null")
    call_over_stdio(LEGACY, [running])
    assert cancels(sandbox) == [running]


def test_a_cancel_that_got_no_response_in_time_is_recorded(sandbox: Sandbox, running: str) -> None:
    sandbox.fail(Fault(match="POST */cancel", times=0, hang=True))
    call_over_stdio(LEGACY, [running], "--timeout", "1s")
    assert noted() == [("MCP server", running, None, INTERRUPTED)]
