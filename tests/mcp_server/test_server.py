"""What the MCP server offers and answers, driven by the SDK's own client in both eras of the protocol."""

import asyncio
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp import Client

from cancel_message_batch import MessageBatches
from cancel_message_batch.sandbox import Fault, Sandbox
from cancel_message_batch.tools import CANCEL, GET, LIST, TOOLS
from tests.conftest import cancels

from .clients import COMMAND, ERAS, call, in_memory, over_http, over_stdio, serving, text


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_a_batch_is_found_canceled_and_looked_at(sandbox: Sandbox, running: str, era: str, transport: str) -> None:
    async def conversation(client: Client) -> list[types.CallToolResult]:
        assert len((await client.list_tools()).tools) == len(TOOLS)
        return [
            await client.call_tool(LIST.name, {"status": "in_progress"}),
            await client.call_tool(CANCEL.name, {"message_batch_id": running}),
            await client.call_tool(GET.name, {"message_batch_id": running}),
        ]

    async def over(transport: str) -> list[types.CallToolResult]:
        if transport == "stdio":
            async with over_stdio(era) as client:
                return await conversation(client)
        with serving() as (address, token, _):
            async with over_http(address, token, era) as client:
                return await conversation(client)

    listed, canceled, looked = asyncio.run(over(transport))
    assert running in text(listed)
    assert "accepted but not immediate" in text(canceled)
    assert "is canceling" in text(looked)
    assert cancels(sandbox) == [running]


def test_the_structured_content_carries_the_same_truth_as_the_text(sandbox: Sandbox, running: str) -> None:
    canceled = call(CANCEL.name, {"message_batch_id": running})
    told = canceled.structured_content
    assert told
    assert told["summary"] == text(canceled)
    assert (told["message_batch_id"], told["processing_status"], told["requests"]) == (running, "canceling", 5000)
    assert "final_counts" not in told  # nothing is known of them yet
    ended = sandbox.account.add(requests=40, age=90_000, status="ended")
    told = call(GET.name, {"message_batch_id": ended}).structured_content
    assert told
    assert sum(told["final_counts"].values()) == 40
    assert told["results_url"].endswith(f"{ended}/results")
    listed = call(LIST.name, {})
    assert listed.structured_content
    for batch in listed.structured_content["message_batches"]:
        assert batch["message_batch_id"] in text(listed)


def test_definitions_say_all_that_a_client_can_show() -> None:
    async def conversation() -> tuple[str, list[types.Tool]]:
        async with in_memory() as client:
            return client.instructions or "", (await client.list_tools()).tools

    instructions, tools = asyncio.run(conversation())
    assert [tool.name for tool in tools] == [tool.name for tool in TOOLS]
    for ours, shown in zip(TOOLS, tools, strict=True):
        assert (shown.title, shown.description) == (ours.title, ours.description)
        assert shown.input_schema == ours.input_schema
        assert shown.output_schema
        assert all(part["description"] for part in shown.output_schema["properties"].values())
        hints = shown.annotations
        assert hints
        changes = ours is CANCEL
        assert (hints.read_only_hint, hints.destructive_hint) == (not changes, changes)
        assert (hints.idempotent_hint, hints.open_world_hint) == (True, True)
        assert ours.name in instructions  # all that a client shows that defers the definitions
    assert "not immediate" in instructions


def test_without_a_key_it_starts_and_its_tools_say_what_to_set() -> None:
    result = call(CANCEL.name, {"message_batch_id": "msgbatch_1"})
    assert result.is_error
    assert "ANTHROPIC_API_KEY" in text(result)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (None, "message_batch_id"),
        ({}, "message_batch_id"),
        ({"message_batch_id": None}, "message_batch_id"),
        ({"message_batch_id": 13}, "message_batch_id"),
        ({"message_batch_id": ["msgbatch_1", "msgbatch_2"]}, "message_batch_id"),
        ({"message_batch_id": "msgbatch_1", "force": True}, "force"),
        ({"message_batch_id": "msgbatch_" + "1" * 10_000}, "msgbatch_"),
        ({"message_batch_id": "batch_abc"}, "msgbatch_"),
        ({"message_batch_id": "msgbatch_1/../../models"}, "msgbatch_"),
        ({"message_batch_id": "\x1b[2Jmsgbatch_1"}, "msgbatch_"),
    ],
    ids=str,
)
def test_wrong_arguments_are_reported_in_our_words_and_nothing_is_sent(
    sandbox: Sandbox, arguments: Any, said: str
) -> None:
    result = call(CANCEL.name, arguments)
    assert result.is_error
    assert said in text(result)
    assert len(text(result)) < 500
    assert "pydantic" not in text(result)
    assert "\x1b" not in text(result)
    assert sandbox.journal == []


def test_white_space_around_an_id_does_no_harm(sandbox: Sandbox, running: str) -> None:
    assert not call(CANCEL.name, {"message_batch_id": f"\n {running} "}).is_error
    assert cancels(sandbox) == [running]


@pytest.mark.parametrize("era", ERAS)
def test_an_unknown_tool_is_answered_with_the_names_of_the_tools(sandbox: Sandbox, era: str) -> None:
    result = call("delete_message_batch", {}, era)
    assert result.is_error
    assert "There is no tool delete_message_batch" in text(result)
    assert CANCEL.name in text(result)


@pytest.mark.parametrize("era", ERAS)
def test_a_failure_of_the_api_is_a_result_that_the_model_can_act_on(sandbox: Sandbox, era: str) -> None:
    result = call(CANCEL.name, {"message_batch_id": "msgbatch_unknown"}, era)
    assert result.is_error
    assert "There is no message batch msgbatch_unknown" in text(result)


def test_two_calls_at_once_are_both_answered(sandbox: Sandbox) -> None:
    batches = [sandbox.account.add(requests=500, age=60, status="in_progress") for _ in range(2)]

    async def conversation() -> list[types.CallToolResult]:
        async with in_memory() as client:
            calls = [client.call_tool(CANCEL.name, {"message_batch_id": batch}) for batch in batches]
            return await asyncio.gather(*calls)

    sandbox.fail(Fault("/cancel", delay=1))
    for batch, result in zip(batches, asyncio.run(conversation()), strict=True):
        assert result.structured_content
        assert result.structured_content["message_batch_id"] == batch
    assert sorted(cancels(sandbox)) == sorted(batches)


@pytest.mark.parametrize("era", ERAS)
def test_a_client_that_asks_for_progress_gets_it(sandbox: Sandbox, running: str, era: str) -> None:
    heard: list[tuple[float, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, message))

    async def conversation() -> None:
        async with in_memory(era) as client:
            await client.call_tool(CANCEL.name, {"message_batch_id": running}, progress_callback=hear)

    asyncio.run(conversation())
    assert [done for done, _ in heard] == [0, 1]
    assert all(message for _, message in heard)


def test_counts_of_a_newer_api_do_not_break_the_answer(sandbox: Sandbox) -> None:
    ended = sandbox.account.add(requests=20, age=7200, status="ended")
    with MessageBatches() as batches:
        body = batches.retrieve(ended).model_dump(mode="json")
    body["request_counts"] |= {"by_model": {"m": 10}, "queued": None}
    sandbox.fail(Fault("GET", times=0, status=200, body=body))
    result = call(GET.name, {"message_batch_id": ended})
    assert result.structured_content
    assert set(result.structured_content["final_counts"]) == {"succeeded", "errored", "canceled", "expired"}


@pytest.mark.parametrize("era", ERAS)
def test_a_call_that_is_given_up_leaves_the_server_at_work(sandbox: Sandbox, running: str, era: str) -> None:
    async def conversation() -> types.CallToolResult:
        async with in_memory(era) as client:
            with anyio.move_on_after(1.5) as scope:
                await client.call_tool(CANCEL.name, {"message_batch_id": running})
            assert scope.cancelled_caught
            return await client.call_tool(LIST.name, {})

    sandbox.fail(Fault("/cancel", hang=True))
    assert running in text(asyncio.run(conversation()))


def test_a_client_that_leaves_in_the_middle_of_a_call_ends_the_server(sandbox: Sandbox, running: str) -> None:
    sandbox.fail(Fault("/cancel", delay=60))
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin
        for message in spoken((CANCEL.name, {"message_batch_id": running})):
            process.stdin.write(message)
        process.stdin.flush()
        wait_until(lambda: cancels(sandbox) == [running])
        said = process.communicate(timeout=20)[1]
    assert process.returncode == 0
    assert b"Traceback" not in said


@pytest.mark.parametrize("way", ["interrupted", "output closed"])
def test_it_ends_at_once_and_quietly_while_its_input_stays_open(sandbox: Sandbox, way: str) -> None:
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        hello, *calls = spoken((LIST.name, {}))
        process.stdin.write(hello)
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"] == 0
        if way == "interrupted":
            process.send_signal(signal.SIGINT)
        else:
            process.stdout.close()
            process.stdin.write(b"".join(calls))
            process.stdin.flush()
        try:
            assert process.wait(10) == (130 if way == "interrupted" else 0)
            assert process.stderr.read() == b""
        finally:
            process.kill()


def test_standard_output_holds_nothing_but_the_protocol(sandbox: Sandbox, running: str) -> None:
    calls = [(CANCEL.name, {"message_batch_id": running}), (CANCEL.name, {}), ("nothing", {})]
    messages = [*spoken(*calls), b"this is no JSON\n"]
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"".join(messages))
        process.stdin.flush()
        answers: list[dict[str, Any]] = []
        while sum("result" in answer for answer in answers) < 1 + len(calls):
            answers.append(json.loads(process.stdout.readline()))
        answers += [json.loads(line) for line in process.communicate(timeout=20)[0].splitlines()]
    assert all(answer["jsonrpc"] == "2.0" for answer in answers)


def test_half_a_surrogate_pair_is_answered_and_everything_else_is_read_as_it_was_written(sandbox: Sandbox) -> None:
    texts = ["\ud800", "a\udfffb", "\U0001f600", r"\ud800", "\\\ud83d", "\ude00\ud83d", "é\tà"]
    calls: list[tuple[str, dict[str, Any]]] = [(GET.name, {"message_batch_id": one}) for one in texts]
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        unanswered = threading.Timer(30, process.kill)
        unanswered.start()
        process.stdin.write(b"".join(spoken(*calls)))
        process.stdin.flush()
        answers = {said["id"]: said for said in (json.loads(process.stdout.readline()) for _ in range(1 + len(calls)))}
        unanswered.cancel()
        process.stdin.close()
    for number, one in enumerate(texts, 1):
        result = answers[number]["result"]
        read = repr(re.sub("[\ud800-\udfff]", "\ufffd", one))[1:-1]
        assert result["isError"]
        assert result["content"][0]["text"].startswith(f'"{read}" is not a message batch id')


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(("tool", "path"), [(CANCEL, "/cancel"), (GET, "GET"), (LIST, "GET")])
def test_a_call_ends_at_its_deadline_whatever_the_api_does(
    sandbox: Sandbox, running: str, era: str, tool: Any, path: str
) -> None:
    sandbox.fail(Fault(path, times=0, hang=True))
    arguments = {} if tool is LIST else {"message_batch_id": running}
    began = time.monotonic()
    result = call(tool.name, arguments, era, timeout=0.5)
    assert time.monotonic() - began < 2
    assert result.is_error
    assert "did not answer within" in text(result)
    if tool is CANCEL:
        assert f"It is not known whether the cancellation of {running} was accepted" in text(result)


def test_in_a_terminal_it_says_what_it_is_for_and_how_to_end_it() -> None:
    ours, theirs = pytest.importorskip("pty").openpty()
    os.write(ours, b"\x04")  # the person ends the input
    with subprocess.Popen(COMMAND, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        output, said = process.communicate(timeout=20)
    os.close(theirs)
    os.close(ours)
    assert output == b""
    assert b"MCP client" in said
    assert b"Ctrl-C" in said


def spoken(*calls: tuple[str, dict[str, Any]]) -> list[bytes]:
    """Write a client's messages of the earlier era, as lines."""
    hello = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    messages: list[dict[str, Any]] = [
        {"id": 0, "method": "initialize", "params": hello},
        {"method": "notifications/initialized"},
        *(
            {"id": number, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
            for number, (name, arguments) in enumerate(calls, 1)
        ),
    ]
    return [json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n" for message in messages]


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
