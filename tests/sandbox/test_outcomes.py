"""What the single requests of a batch become: succeeded with what was asked for, or errored."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cancel_message_batch.sandbox import Account

from .conftest import Clock

PARAMS = {"model": "claude-sonnet-5-5", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]}
SCHEMA = {"type": "object", "properties": {"city": {"enum": ["Paris"]}}, "required": ["city"]}
TOOLS = [{"name": "other", "input_schema": {"type": "object"}}, {"name": "extract", "input_schema": SCHEMA}]
FORMAT = {"type": "json_schema", "schema": SCHEMA}


def result(clock: Clock, **params: Any) -> dict[str, Any]:
    """Run a batch of one request; return its result."""
    account = Account(clock=clock)
    batch = account.create([{"custom_id": "q", "params": {**PARAMS, **params}}])
    clock.now = batch.work_end
    (line,) = batch.results(clock.now)
    assert batch.counts(clock.now)[line["result"]["type"]] == 1
    return dict(line["result"])


def test_a_forced_tool_is_used_with_input_that_its_schema_allows(clock: Clock) -> None:
    message = result(clock, tools=TOOLS, tool_choice={"type": "tool", "name": "extract"})["message"]
    (block,) = message["content"]
    assert (block["type"], block["name"], block["input"]) == ("tool_use", "extract", {"city": "Paris"})
    assert block["id"].startswith("toolu_")
    assert message["stop_reason"] == "tool_use"


def test_any_forced_tool_is_the_first_one_and_a_free_choice_is_answered_with_text(clock: Clock) -> None:
    (block,) = result(clock, tools=TOOLS, tool_choice={"type": "any"})["message"]["content"]
    assert block["name"] == "other"
    (block,) = result(clock, tools=TOOLS, tool_choice={"type": "auto"})["message"]["content"]
    assert block["type"] == "text"


@pytest.mark.parametrize(
    "tool",
    [{"type": "bash_20250124", "name": "bash"}, {"type": None, "name": "t", "input_schema": {}}],
    ids=lambda tool: tool["name"],
)
def test_the_input_of_a_forced_tool_is_an_object_also_if_no_schema_says_so(tool: dict[str, Any], clock: Clock) -> None:
    (block,) = result(clock, tools=[tool], tool_choice={"type": "any"})["message"]["content"]
    assert (block["name"], block["input"]) == (tool["name"], {})


def test_a_block_of_a_type_that_is_not_known_yet_is_accepted(clock: Clock) -> None:
    blocks = [{"type": "sandbox_new"}, {"type": "text", "text": "Hi"}]
    assert result(clock, messages=[{"role": "user", "content": blocks}])["type"] == "succeeded"


@pytest.mark.parametrize("wanted", [{"output_config": {"format": FORMAT}}, {"output_format": FORMAT}], ids=list)
def test_json_output_is_json_that_the_schema_allows_and_nothing_else(wanted: dict[str, Any], clock: Clock) -> None:
    message = result(clock, **wanted)["message"]
    assert message["content"] == [{"type": "text", "text": '{"city": "Paris"}'}]
    assert message["stop_reason"] == "end_turn"


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "tool", "name": "extrakt"}}, "extrakt"),
        ({"output_config": {"format": {"type": "json"}}}, "output_config.format.type"),
        ({"output_config": {"format": {"type": "json_schema", "schema": {"enum": []}}}}, "schema"),
        ({"tools": [{"name": "t", "input_schema": False}], "tool_choice": {"type": "any"}}, "schema"),
        ({"tools": [{"name": "t", "input_schema": {"type": "string"}}], "tool_choice": {"type": "any"}}, "an object"),
        ({"tools": [{"type": "function", "function": TOOLS[1]}]}, 'tools.0: there is no tool type "function"'),
        ({"tools": [TOOLS[0], {"name": "t"}]}, "tools.1: a tool needs a name and an input_schema"),
        ({"tools": [{"type": "custom", "input_schema": SCHEMA}]}, "tools.0: a tool needs a name"),
        ({"tool_choice": "auto", "tools": TOOLS}, "tool_choice: Input should be an object"),
        ({"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}, "messages.0.content: block 0 has no type"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages.0.content: Input should be a text or a list of blo"),
    ],
    ids=str,
)
def test_a_request_that_the_api_does_not_accept_ends_as_errored(
    params: dict[str, Any], named: str, clock: Clock
) -> None:
    envelope = result(clock, **params)["error"]
    assert envelope["error"]["type"] == "invalid_request_error"
    assert named in envelope["error"]["message"]


def test_a_model_answers_until_it_is_retired(clock: Clock) -> None:
    clock.now = datetime(2026, 11, 29, tzinfo=UTC).timestamp()
    assert result(clock, model="claude-sonnet-4-5")["type"] == "succeeded"
    clock.now = datetime(2026, 11, 30, tzinfo=UTC).timestamp()
    error = result(clock, model="claude-sonnet-4-5")["error"]["error"]
    assert error == {"type": "not_found_error", "message": "model: claude-sonnet-4-5"}
