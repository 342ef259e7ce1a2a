"""The stand-in for Claude behind the Messages API: over HTTP, and with the official SDK."""

import asyncio
import json
from typing import Any

import anthropic
import pytest
from anthropic.types.beta import BetaMessage

from cancel_message_batch.sandbox import Sandbox
from cancel_message_batch.sandbox.simulated_batch import DOCUMENTED_ID
from cancel_message_batch.sandbox.stand_in import STAND_IN_LABEL

from .conftest import OWN, A, B, Call, Serve, Talk

READ = [{"name": "Read", "input_schema": {"type": "object"}}]
HI: Any = {"role": "user", "content": "hi"}
USE: Any = {
    "role": "assistant",
    "content": [{"type": "tool_use", "id": "toolu_1", "name": OWN[0]["name"], "input": {}}],
}
RESULT: Any = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "canceling"}]}


# Which tools it uses.


def test_it_finds_the_tools_under_the_names_of_a_server(server: Sandbox, call: Call) -> None:
    talk = Talk(server, call, [{"name": "Bash"}, {"name": "mcp__batches__cancel_message_batch"}])
    assert talk.calls(f"cancel {A}") == [("mcp__batches__cancel_message_batch", {"message_batch_id": A})]


@pytest.mark.parametrize("name", ["Bash", "bash", "run_shell"])
def test_it_uses_the_command_line_where_there_are_no_tools(name: str, server: Sandbox, call: Call) -> None:
    talk = Talk(server, call, [{"name": "Read"}, {"name": name}])
    assert talk.calls("cancel my newest batch") == [
        (name, {"command": "cancel-message-batch list --status in_progress"})
    ]
    assert talk.calls(talk.results(f"{A} in_progress")) == [(name, {"command": f"cancel-message-batch {A}"})]
    talk.text(talk.results("canceling"))
    assert talk.calls("is it stopped yet?") == [(name, {"command": f"cancel-message-batch status {A}"})]


@pytest.mark.parametrize("listed", [True, False])
def test_it_searches_for_a_deferred_tool_first(listed: bool, server: Sandbox, call: Call) -> None:
    deferred = [{"name": "mcp__b__cancel_message_batch", "defer_loading": True}] if listed else []
    talk = Talk(server, call, [{"name": "ToolSearch"}, {"name": "Bash"}, *deferred])
    assert talk.calls(f"cancel {A}") == [("ToolSearch", {"query": "cancel message batch"})]
    found = talk.results([{"type": "tool_reference", "tool_name": "mcp__b__cancel_message_batch"}])
    found.append({"type": "text", "text": "Tool loaded."})  # as Claude Code has it
    assert talk.calls(found) == [("mcp__b__cancel_message_batch", {"message_batch_id": A})]
    assert talk.text(talk.results("canceling")) == "canceling"


def test_it_searches_for_each_tool_it_needs(server: Sandbox, call: Call) -> None:
    talk = Talk(server, call, [{"name": "ToolSearch"}])
    assert talk.calls("cancel my newest batch") == [("ToolSearch", {"query": "list message batches"})]
    found = [{"type": "tool_reference", "tool_name": "mcp__b__list_message_batches"}]
    assert talk.calls(talk.results(found))[0][0] == "mcp__b__list_message_batches"
    assert talk.calls(talk.results(f"{A} in_progress")) == [("ToolSearch", {"query": "cancel message batch"})]
    found = [{"type": "tool_reference", "tool_name": "mcp__b__cancel_message_batch"}]
    assert talk.calls(talk.results(found)) == [("mcp__b__cancel_message_batch", {"message_batch_id": A})]


def test_a_search_that_finds_nothing_is_not_repeated(server: Sandbox, call: Call) -> None:
    talk = Talk(server, call, [{"name": "ToolSearch"}])
    talk.calls(f"cancel {A}")
    assert "no tool" in talk.text(talk.results("No matching tools."))
    talk = Talk(server, call, [{"name": "ToolSearch"}, {"name": "Bash"}])
    talk.calls(f"cancel {A}")
    assert talk.calls(talk.results("No matching tools.")) == [("Bash", {"command": f"cancel-message-batch {A}"})]


@pytest.mark.parametrize("options", [{"tools": []}, {"tools": READ}, {"tool_choice": {"type": "none"}}])
def test_it_uses_no_tool_that_is_not_offered(options: dict[str, Any], talk: Talk) -> None:
    assert "no tool" in talk.text(f"cancel {A}", **options)


def test_it_uses_only_the_tool_that_is_chosen_for_it(talk: Talk) -> None:
    chosen = {"type": "tool", "name": "cancel_message_batch"}
    assert talk.calls(f"cancel {A}", tool_choice=chosen) == [("cancel_message_batch", {"message_batch_id": A})]
    talk.text(talk.results("canceling"))
    assert talk.calls("what is running?", tool_choice={"type": "any"})[0][0] == "list_message_batches"


def test_a_forced_tool_that_it_does_not_need_is_an_error(server: Sandbox, call: Call) -> None:
    body = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "what is running?"}], "tools": OWN}
    choice = {"type": "tool", "name": "cancel_message_batch"}
    answer = call(server, "POST", "/v1/messages", json={**body, "tool_choice": choice})
    assert answer.status_code == 400
    assert "tool_choice" in answer.json()["error"]["message"]


def test_it_calls_one_tool_at_a_time_if_that_is_required_and_all_of_them_in_the_end(talk: Talk) -> None:
    one: Any = {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}
    assert talk.calls(f"cancel {A} and {B}", **one) == [("cancel_message_batch", {"message_batch_id": A})]
    assert talk.calls(talk.results("First."), **one) == [("cancel_message_batch", {"message_batch_id": B})]
    assert talk.text(talk.results("Second."), **one) == "First.\n\nSecond."


# Which requests it accepts.


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": None}, "model"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["hi"]}, "messages.0"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"tools": 1}, "tools"),
        ({"tools": [*OWN, OWN[0]]}, "unique"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tool_choice": {"type": "auto"}}, "with tools"),
        ({"tool_choice": {"type": "some"}, "tools": OWN}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}, "tools": OWN}, "tool_choice.name"),
        ({"tool_choice": {"type": "tool", "name": "other"}, "tools": OWN}, "tool_choice.name"),
        ({"tool_choice": {"type": "auto", "disable_parallel_tool_use": 1}, "tools": OWN}, "disable_parallel_tool_use"),
        ({"tool_choice": {"type": "any"}, "tools": OWN}, "no use for a tool"),
        ({"messages": [{"role": "user", "content": ""}]}, "must have content"),
        ({"messages": [{"role": "user", "content": []}]}, "must have content"),
        ({"messages": [{"role": "user", "content": ["hi"]}]}, "messages.0.content"),
        ({"messages": [HI, {"role": "assistant", "content": []}, HI]}, "messages.1"),
        ({"messages": [HI, USE]}, "tool_use ids without"),
        ({"messages": [HI, USE, HI]}, "tool_use ids without"),
        ({"messages": [HI, USE, HI, {"role": "assistant", "content": "Hm"}, RESULT]}, "tool_use ids without"),
        ({"messages": [RESULT]}, "unexpected"),
        ({"messages": [HI, USE, RESULT, {"role": "assistant", "content": "Done."}, RESULT]}, "unexpected"),
        ({"thread": {"type": "new"}}, "thread"),
    ],
)
def test_an_invalid_request_is_refused(change: dict[str, Any], words: str, server: Sandbox, call: Call) -> None:
    body = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}], "surprise": 1, **change}
    answer = call(server, "POST", "/v1/messages", json={key: value for key, value in body.items() if value is not None})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert words in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "messages",
    [
        [HI, {"role": "assistant", "content": ""}],
        [HI, USE, RESULT],
        [HI, USE, {"role": "system", "content": "Be brief."}, HI, RESULT],
        [HI, USE, RESULT, {"role": "assistant", "content": "Done."}, HI],
    ],
)
def test_a_complete_conversation_is_accepted(messages: Any, server: Sandbox, call: Call) -> None:
    body = {"model": "m", "max_tokens": 10, "messages": messages}
    assert call(server, "POST", "/v1/messages", json=body).status_code == 200


def test_a_request_that_is_not_json_is_refused(server: Sandbox, call: Call) -> None:
    assert call(server, "POST", "/v1/messages", content=b"{").status_code == 400


def test_the_tokens_of_messages_are_counted(server: Sandbox, call: Call) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": OWN}
    assert call(server, "POST", "/v1/messages/count_tokens", json=body).json()["input_tokens"] > 0
    for wrong in (b"{}", b"[]", json.dumps({**body, "messages": "hi"})):
        assert call(server, "POST", "/v1/messages/count_tokens", content=wrong).status_code == 400


def test_an_unknown_thread_is_not_found(server: Sandbox, call: Call) -> None:
    thread = {"type": "continue", "previous_message_id": "msg_unknown"}
    body = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}], "thread": thread}
    answer = call(server, "POST", "/v1/messages", json=body)
    assert answer.status_code == 404
    assert answer.json()["error"]["details"] == {"error_code": "thread_not_found"}


def test_a_thread_keeps_the_tools_it_was_created_with(server: Sandbox, call: Call) -> None:
    def say(text: str, **fields: Any) -> Any:
        body = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": text}], **fields}
        return call(server, "POST", "/v1/messages", json=body)

    first = say("hello", tools=OWN, thread={"type": "create"}).json()
    thread = {"type": "continue", "previous_message_id": first["id"]}
    assert say(f"cancel {A}", thread=thread, tools=OWN).status_code == 400
    assert say(f"cancel {A}", thread=thread).json()["content"][0]["name"] == "cancel_message_batch"


def test_a_thread_waits_for_tool_results_and_belongs_to_one_workspace(server: Sandbox, call: Call) -> None:
    def say(message: Any, headers: Any = None, **fields: Any) -> Any:
        body = {"model": "m", "max_tokens": 100, "messages": [message], **fields}
        return call(server, "POST", "/v1/messages", headers, json=body)

    order = {"role": "user", "content": f"cancel {A}"}
    first = say(order, tools=OWN, thread={"type": "create"}).json()
    thread = {"type": "continue", "previous_message_id": first["id"]}
    result = {"type": "tool_result", "tool_use_id": first["content"][0]["id"], "content": "canceling"}
    results = {"role": "user", "content": [result]}
    assert say(HI, thread=thread).status_code == 400
    elsewhere = say(results, {"x-api-key": "other-key"}, thread=thread)
    assert elsewhere.status_code == 404
    assert elsewhere.json()["error"]["details"] == {"error_code": "thread_not_found"}
    assert say(results, thread=thread).json()["content"][0]["text"] == f"{STAND_IN_LABEL}canceling"


def test_an_answer_that_is_too_long_is_cut(server: Sandbox, call: Call) -> None:
    def say(max_tokens: int) -> Any:
        body = {"model": "m", "max_tokens": max_tokens, "messages": [{"role": "user", "content": "hello"}]}
        return call(server, "POST", "/v1/messages", json=body).json()

    whole, cut = say(1000), say(10)
    assert (whole["stop_reason"], cut["stop_reason"]) == ("end_turn", "max_tokens")
    assert whole["content"][0]["text"].startswith(cut["content"][0]["text"])
    assert cut["usage"]["output_tokens"] == 10 < whole["usage"]["output_tokens"]


# With the official SDK.


def test_a_stream_says_what_the_plain_answer_says(serve: Serve) -> None:
    sandbox = serve()
    tools: Any = [{"name": "cancel_message_batch", "input_schema": {"type": "object"}}]
    for words in (f"cancel {A} and {B}", "hello"):
        arguments: Any = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": words}]}
        with anthropic.Anthropic(api_key="test-key", base_url=sandbox.url, _strict_response_validation=True) as client:
            plain = client.messages.create(**arguments, tools=tools)
            with client.messages.stream(**arguments, tools=tools) as stream:
                said = "".join(stream.text_stream)
                streamed = stream.get_final_message()
        assert streamed.stop_reason == plain.stop_reason
        assert streamed.usage.output_tokens == plain.usage.output_tokens
        for one, other in zip(plain.content, streamed.content, strict=True):
            assert one.type == other.type
            if one.type == "text" and other.type == "text":
                assert one.text == other.text == said
            if one.type == "tool_use" and other.type == "tool_use":
                assert one.input == other.input


def test_the_events_of_a_stream_come_in_the_documented_order(server: Sandbox, call: Call) -> None:
    body = {"model": "m", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": f"cancel {A}"}]}
    answer = call(server, "POST", "/v1/messages", json={**body, "tools": OWN})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line.startswith("data: ")]
    kinds = [event["type"] for event in events]
    assert [line.removeprefix("event: ") for line in answer.text.splitlines() if line.startswith("event: ")] == kinds
    assert kinds[:3] == ["message_start", "content_block_start", "ping"]
    assert set(kinds[3:-3]) == {"content_block_delta"}
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert events[0]["message"]["stop_reason"] is None
    assert events[1]["content_block"]["input"] == {}
    assert json.loads("".join(event["delta"]["partial_json"] for event in events[3:-3])) == {"message_batch_id": A}
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


ASKED = f"Cancel the message batch with ID {DOCUMENTED_ID}."


@pytest.mark.parametrize("thread", [True, False])
@pytest.mark.parametrize("stream", [True, False])
def test_the_tool_runner_cancels_a_batch(stream: bool, thread: bool, serve: Serve) -> None:
    sandbox = serve(account=None)
    options: Any = {"stream": stream} if thread else {"stream": stream, "thread": False}
    with anthropic.Anthropic(api_key="test-key", base_url=sandbox.url, _strict_response_validation=True) as client:

        @anthropic.beta_tool
        def cancel_message_batch(message_batch_id: str) -> str:
            """Cancel a message batch."""
            return client.messages.batches.cancel(message_batch_id).processing_status

        runner: Any = client.beta.messages.tool_runner(
            model="m",
            max_tokens=100,
            tools=[cancel_message_batch],
            messages=[{"role": "user", "content": ASKED}],
            **options,
        )
        replies = [each.get_final_message() if stream else each for each in runner]
    canceled(replies, sandbox, thread=thread)


@pytest.mark.parametrize("thread", [True, False])
@pytest.mark.parametrize("stream", [True, False])
def test_the_async_tool_runner_cancels_a_batch(stream: bool, thread: bool, serve: Serve) -> None:
    sandbox = serve(account=None)
    options: Any = {"stream": stream} if thread else {"stream": stream, "thread": False}

    async def run() -> list[BetaMessage]:
        async with anthropic.AsyncAnthropic(
            api_key="test-key", base_url=sandbox.url, _strict_response_validation=True
        ) as client:

            @anthropic.beta_async_tool
            async def cancel_message_batch(message_batch_id: str) -> str:
                """Cancel a message batch."""
                return (await client.messages.batches.cancel(message_batch_id)).processing_status

            runner: Any = client.beta.messages.tool_runner(
                model="m",
                max_tokens=100,
                tools=[cancel_message_batch],
                messages=[{"role": "user", "content": ASKED}],
                **options,
            )
            return [await each.get_final_message() if stream else each async for each in runner]

    canceled(asyncio.run(run()), sandbox, thread=thread)


def canceled(replies: list[BetaMessage], sandbox: Sandbox, *, thread: bool) -> None:
    """Check that the conversation was: a tool call, one cancel, and a message that repeats the result."""
    assert [reply.stop_reason for reply in replies] == ["tool_use", "end_turn"]
    (said,) = replies[-1].content
    assert said.type == "text"
    assert said.text == f"{STAND_IN_LABEL}canceling"
    cancels = [exchange.path for exchange in sandbox.journal if exchange.path.endswith("/cancel")]
    assert cancels == [f"/v1/messages/batches/{DOCUMENTED_ID}/cancel"]
    asked = [exchange.body for exchange in sandbox.journal if exchange.path == "/v1/messages"]
    assert [body.get("thread", {}).get("type") for body in asked] == (
        ["create", "continue"] if thread else [None, None]
    )
    assert ("tools" in asked[1]) is not thread
