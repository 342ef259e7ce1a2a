"""What servers of the Messages API do differently from the API itself: a turn goes on, or says why not."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import pytest

from cancel_message_batch import APIResponseError, MessageBatchError, MessageBatches
from cancel_message_batch.agent.conversation import NOT_RUN, WRITTEN_CALL, Conversation, Event, Incomplete, Text
from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Sandbox
from tests.conftest import KEY, cancels
from tests.scripted import Block, Model, Raw, answer, serving, sse

CALL: list[Block] = [("text", "I will."), ("cancel_message_batch", {"message_batch_id": EXAMPLE_ID})]
Events = list[dict[str, Any]]


@pytest.fixture
def model() -> Iterator[Model]:
    with serving() as scripted:
        yield scripted


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def conversation(model: Model, batches: MessageBatches, events: list[Event]) -> Iterator[Conversation]:
    with anthropic.Anthropic(api_key=KEY, base_url=model.url, max_retries=0) as client:
        yield Conversation(client, batches, report=events.append)


def without_usage(events: Events) -> None:
    for event in events:
        event.pop("usage", None)
        event.get("message", {}).pop("usage", None)


def with_null_usage(events: Events) -> None:
    events[0]["message"] |= {"usage": None, "content": None}
    events[-2]["usage"] = {}


def with_a_bare_start(events: Events) -> None:
    events[0]["message"] = {}


def ended_by_end_turn(events: Events) -> None:  # LiteLLM before Ollama
    events[-2]["delta"] = {"stop_reason": "end_turn"}


def with_the_arguments_at_the_start(events: Events) -> None:
    (delta,) = (event for event in events if event.get("delta", {}).get("type") == "input_json_delta")
    events.remove(delta)
    events[4]["content_block"]["input"] = CALL[1][1]


def with_events_of_its_own(events: Events) -> None:
    events.insert(1, {"type": "timing", "ms": 5})
    events.insert(2, {"type": "content_block_delta", "index": 0, "delta": {"type": "new_delta", "x": 1}})
    events[2], events[3] = events[3], events[2]


def with_an_empty_text_first(events: Events) -> None:
    events[1]["content_block"]["text"] = None
    events[2]["delta"]["text"] = ""


def with_unsigned_thinking(events: Events) -> None:
    for event in events:
        event["index"] = event.get("index", 0) + 1
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}}
    events[1:1] = [block, delta, {"type": "content_block_stop", "index": 0}]


def with_id(given: Any) -> Callable[[Events], None]:
    def change(events: Events) -> None:
        events[4]["content_block"]["id"] = given

    return change


def without_id(events: Events) -> None:
    del events[4]["content_block"]["id"]


@pytest.mark.parametrize(
    "change",
    [
        without_usage,
        with_null_usage,
        with_a_bare_start,
        ended_by_end_turn,
        with_the_arguments_at_the_start,
        with_events_of_its_own,
        with_an_empty_text_first,
        with_unsigned_thinking,
        with_id("8a359e89-7c1d-4d7e-9a2b-0123456789ab"),
        with_id("chatcmpl-tool-1"),
        with_id(""),
        with_id(None),
        without_id,
    ],
)
def test_what_other_servers_send_differently_breaks_no_turn(
    sandbox: Sandbox, model: Model, conversation: Conversation, change: Callable[[Events], None]
) -> None:
    called = copy.deepcopy(answer(CALL))
    change(called)
    model.replies = [Raw(sse(called)), "It is canceling."]
    assert conversation.say(f"Cancel {EXAMPLE_ID}.") == "It is canceling."
    assert cancels(sandbox) == [EXAMPLE_ID]
    _, call, result = model.requests[1]["messages"]
    assert {block["type"] for block in call["content"]} <= {"text", "tool_use"}
    assert call["content"][-1]["id"] == result["content"][0]["tool_use_id"] != ""


def test_two_calls_with_one_id_get_a_result_each(sandbox: Sandbox, model: Model, conversation: Conversation) -> None:
    events = answer([("get_message_batch", {"message_batch_id": EXAMPLE_ID})] * 2)
    for event in events:
        event.get("content_block", {})["id"] = "call_0"
    model.replies = [Raw(sse(events)), "Both."]
    conversation.say("how are they?")
    _, calls, results = model.requests[1]["messages"]
    ids = [call["id"] for call in calls["content"]]
    assert len(set(ids)) == 2
    assert ids == [result["tool_use_id"] for result in results["content"]]


def whole(content: Any, stop_reason: str | None) -> Raw:
    message = {"type": "message", "role": "assistant", "content": content, "stop_reason": stop_reason}
    return Raw(json.dumps(message).encode(), headers={"content-type": "application/json; charset=utf-8"})


def test_a_server_that_does_not_stream_is_understood(
    sandbox: Sandbox, model: Model, conversation: Conversation, events: list[Event]
) -> None:
    called = {"type": "tool_use", "id": "toolu_1", "name": "cancel_message_batch", "input": CALL[1][1]}
    blocks = [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "I will."}, called]
    model.replies = [whole(blocks, "tool_use"), whole([{"type": "text", "text": "It is canceling."}], "end_turn")]
    assert conversation.say(f"Cancel {EXAMPLE_ID}.") == "It is canceling."
    assert cancels(sandbox) == [EXAMPLE_ID]
    assert [event.text for event in events if isinstance(event, Text)] == ["I will.", "It is canceling."]
    _, call, result = model.requests[1]["messages"]
    assert [block["type"] for block in call["content"]] == ["text", "tool_use"]
    assert result["content"][0]["tool_use_id"] == "toolu_1"


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (whole([{"type": "text", "text": "Two"}], None), "ended before it was complete"),
        (whole(None, "end_turn"), "garbled"),
        (Raw(b'{"object": "chat.completion"}', headers={"content-type": "application/json"}), "not from the Messages"),
        (Raw(b'{"type": "mess', headers={"content-type": "application/json"}), "not from the Messages"),
        (Raw(b'{"type": "mess', headers={"content-type": "application/json"}, cut=True), "the connection to .* broke"),
    ],
    ids=lambda value: "" if isinstance(value, Raw) else value,
)
def test_a_whole_answer_that_is_broken_or_foreign_is_reported(
    model: Model, conversation: Conversation, reply: Raw, error: str
) -> None:
    model.replies = [reply]
    with pytest.raises(MessageBatchError, match=error):
        conversation.say("what is running?")


@pytest.mark.parametrize("reason", ["tool_calls", "length", "stop_sequence", "pause_turn"])
def test_a_call_after_which_the_answer_ended_strangely_is_not_run_and_said_so(
    sandbox: Sandbox, model: Model, conversation: Conversation, events: list[Event], reason: str
) -> None:
    model.replies = [Raw(sse(answer(CALL, reason))), "Hello."]
    assert f'(The answer ended with the reason "{reason}", so' in conversation.say(f"Cancel {EXAMPLE_ID}.")
    assert isinstance(events[-1], Incomplete)
    assert cancels(sandbox) == []
    conversation.say("and now?")
    assert model.requests[1]["messages"][2]["content"][0]["content"] == NOT_RUN


@pytest.mark.parametrize("stop_reason", ["tool_use", "end_turn"])
def test_a_call_whose_id_was_cut_off_is_never_run(
    sandbox: Sandbox, model: Model, conversation: Conversation, stop_reason: str
) -> None:
    cut = [("cancel_message_batch", f'{{"message_batch_id": "{EXAMPLE_ID}')]
    model.replies = [Raw(sse(answer(cut, stop_reason)))]
    if stop_reason == "tool_use":
        with pytest.raises(APIResponseError, match="garbled"):
            conversation.say(f"Cancel {EXAMPLE_ID}.")
    else:
        assert "was not run" in conversation.say(f"Cancel {EXAMPLE_ID}.")
    assert sandbox.journal == []


def test_text_with_an_unknown_end_is_an_answer(model: Model, conversation: Conversation, events: list[Event]) -> None:
    model.replies = [Raw(sse(answer("Two are running.", "stop")))]
    assert conversation.say("what is running?") == "Two are running."
    assert not any(isinstance(event, Incomplete) for event in events)


@pytest.mark.parametrize(
    "text",
    [
        f'<tool_call>{{"name": "cancel_message_batch", "arguments": {{"id": "{EXAMPLE_ID}"}}}}</tool_call>',
        f'{{"name": "cancel_message_batch", "parameters": {{"message_batch_id": "{EXAMPLE_ID}"}}}}',
        "<function=list_message_batches></function>",
        f'[TOOL_CALLS] [{{"name": "get_message_batch", "arguments": {{"message_batch_id": "{EXAMPLE_ID}"}}}}]',
    ],
)
def test_a_call_that_is_written_as_text_is_not_run_and_said_so(
    sandbox: Sandbox, model: Model, conversation: Conversation, events: list[Event], text: str
) -> None:
    model.replies = [text]
    assert conversation.say(f"Cancel {EXAMPLE_ID}.").endswith(WRITTEN_CALL)
    assert isinstance(events[-1], Incomplete)
    assert sandbox.journal == []


def test_a_tool_that_is_only_spoken_of_is_no_written_call(model: Model, conversation: Conversation) -> None:
    model.replies = ["I would use cancel_message_batch with its id."]
    assert conversation.say("how would you cancel?") == "I would use cancel_message_batch with its id."
