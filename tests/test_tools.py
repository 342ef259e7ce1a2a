"""The tools: what a model is given, and what it is told."""

import asyncio
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import anthropic
import pytest

import cancel_message_batch
from cancel_message_batch import (
    AsyncMessageBatches,
    MessageBatch,
    MessageBatches,
    aio,
    async_results_function,
    results_function,
    results_tool,
    tools,
)
from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Account, Fault, Sandbox
from cancel_message_batch.tools import CANCEL, GET, LIST, TOOLS, ToolOutcome

from .conftest import KEY, cancels, described

BAD_ARGUMENTS: dict[str, Any] = {
    "empty": {"message_batch_id": ""},
    "white space": {"message_batch_id": " \n "},
    "space inside": {"message_batch_id": "msgbatch_a b"},
    "newline inside": {"message_batch_id": "msgbatch_a\nb"},
    "path": {"message_batch_id": "../../v1/x"},
    "path behind an id": {"message_batch_id": "msgbatch_x/../y"},
    "escaped path": {"message_batch_id": "%2e%2e"},
    "escaped path behind an id": {"message_batch_id": "msgbatch_%2e%2e"},
    "query": {"message_batch_id": "msgbatch_x?a=b"},
    "10,000 characters": {"message_batch_id": "msgbatch_" + "x" * 9991},
    "not ASCII": {"message_batch_id": "msgbatch_ü"},
    "full-width digits": {"message_batch_id": "msgbatch_\uff11\uff12"},
    "another provider's": {"message_batch_id": "batch_abc"},
    "two ids": {"message_batch_id": "msgbatch_a, msgbatch_b"},
    "two ids in two lines": {"message_batch_id": "msgbatch_a\nmsgbatch_b"},
    "only the prefix": {"message_batch_id": "msgbatch_"},
    "null": {"message_batch_id": None},
    "a number": {"message_batch_id": 5},
    "a list": {"message_batch_id": ["msgbatch_a"]},
    "missing": {},
    "no object": [],
    "null instead of an object": None,
    "an extra field": {"message_batch_id": "msgbatch_a", "reason": "wrong prompt"},
}


def both(tool: tools.Tool, arguments: Any) -> ToolOutcome:
    """Run a tool sync and async, with the environment's credential, and make sure that both agree."""
    outcome = tool.run(arguments)
    asynchronous = asyncio.run(tool.run_async(arguments))
    assert asynchronous.is_error == outcome.is_error
    return outcome


@pytest.mark.parametrize("arguments", BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
@pytest.mark.parametrize("tool", [CANCEL, GET], ids=["cancel", "get"])
def test_text_that_is_not_an_id_is_never_sent_and_the_error_says_what_an_id_looks_like(
    sandbox: Sandbox, tool: tools.Tool, arguments: Any
) -> None:
    outcome = both(tool, arguments)
    assert outcome.is_error
    assert EXAMPLE_ID in outcome.text
    assert "Nothing was sent" in outcome.text
    assert len(outcome.text) < 450
    assert outcome.text.isprintable()
    assert sandbox.journal == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"message_batch_id": f"  {EXAMPLE_ID}\n"},
        {"message_batch_id": f'"{EXAMPLE_ID}"'},
        {"message_batch_id": json.dumps({"message_batch_id": EXAMPLE_ID})},
        json.dumps({"message_batch_id": EXAMPLE_ID}),
    ],
)
def test_an_id_as_people_and_frameworks_hand_it_over_is_understood(sandbox: Sandbox, arguments: Any) -> None:
    assert not CANCEL.run(arguments).is_error
    assert cancels(sandbox) == [EXAMPLE_ID]


def test_a_definition_is_what_strict_tool_use_takes_and_says_everything_once() -> None:
    definition = CANCEL.to_param()
    assert list(definition) == ["name", "description", "input_schema"]
    schema = definition["input_schema"]
    assert schema["additionalProperties"] is False
    assert list(schema["properties"]) == schema["required"] == ["message_batch_id"]
    for tool in TOOLS:
        text = json.dumps(tool.to_param())
        for keyword in ("minimum", "maximum", "minLength", "maxLength", "pattern", "$ref", '"title"', "anyOf"):
            assert keyword not in text
        assert all(part["description"] for part in tool.input_schema["properties"].values())


def test_the_description_says_that_one_request_cannot_be_canceled() -> None:
    assert "or cancel single requests" in CANCEL.description


@pytest.mark.parametrize("module", [cancel_message_batch, aio], ids=["sync", "async"])
def test_a_plain_function_says_where_it_is_written_what_the_definition_says(module: Any) -> None:
    for tool in TOOLS:
        _says_the_same(getattr(module, tool.name), tool)


def test_the_functions_that_save_say_what_their_definition_says(tmp_path: Path) -> None:
    for function in (results_function(tmp_path), async_results_function(tmp_path)):
        _says_the_same(function, results_tool(tmp_path))


def _says_the_same(function: Any, tool: tools.Tool) -> None:
    description, arguments, *_ = inspect.cleandoc(function.__doc__).split("\n\n")
    parts = tool.input_schema["properties"]
    assert function.__name__ == tool.name
    assert " ".join(description.split()) == tool.description
    assert arguments.splitlines() == ["Args:", *(f"    {name}: {part['description']}" for name, part in parts.items())]
    types = {"string": str, "integer": int}
    signature = inspect.signature(function)
    assert list(signature.parameters) == list(parts)
    for name, parameter in signature.parameters.items():
        plain = types[parts[name]["type"]]
        assert parameter.annotation == (plain if name in tool.input_schema.get("required", []) else plain | None)
        assert parameter.default == parts[name].get("default", inspect.Parameter.empty)
        assert parameter.annotation.__name__  # which LiteLLM reads


def test_the_sdks_own_decorator_reads_the_same_schema_from_a_plain_function() -> None:
    for tool in TOOLS:
        definition: Any = anthropic.beta_tool(getattr(cancel_message_batch, tool.name)).to_dict()
        assert " ".join(definition["description"].split()).startswith(tool.description)
        for name, part in tool.input_schema["properties"].items():
            assert definition["input_schema"]["properties"][name]["description"] == part["description"]


@pytest.fixture(params=["ours", "the official SDK's"])
def either(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[Any]:
    if request.param == "ours":
        with MessageBatches(api_key=KEY, base_url=sandbox.url, max_retries=0) as ours:
            yield ours
    else:
        with anthropic.Anthropic(api_key=KEY, base_url=sandbox.url, max_retries=0) as sdk:
            yield sdk.messages.batches


def test_a_handler_takes_our_batches_or_the_official_sdks(sandbox: Sandbox, either: Any) -> None:
    listed = LIST.run({"status": "in_progress"}, either)
    target = listed.batches[0].id
    assert "is accepted but not immediate" in CANCEL.run({"message_batch_id": target}, either).text
    assert "is canceling" in GET.run({"message_batch_id": target}, either).text
    unknown = CANCEL.run({"message_batch_id": "msgbatch_unknown"}, either)
    assert unknown.is_error
    assert "There is no message batch msgbatch_unknown in the workspace wrkspc_default (404" in unknown.text
    sandbox.fail(Fault(match="cancel", status=200, body="<html>", content_type="text/html"))
    page = CANCEL.run({"message_batch_id": target}, either)
    assert page.is_error
    assert "not known" in page.text
    sandbox.fail(Fault(match="cancel", drop=True, after=True))
    assert "it may have been" in CANCEL.run({"message_batch_id": target}, either).text


def test_an_async_handler_takes_the_official_async_sdks_batches(sandbox: Sandbox) -> None:
    async def conversation() -> list[str]:
        async with anthropic.AsyncAnthropic(api_key=KEY, base_url=sandbox.url, max_retries=0) as client:
            batches = client.messages.batches
            listed = await LIST.run_async({"status": "in_progress", "limit": 1}, batches)
            target = {"message_batch_id": listed.batches[0].id}
            texts = [(await CANCEL.run_async(target, batches)).text, (await GET.run_async(target, batches)).text]
            unknown = await CANCEL.run_async({"message_batch_id": "msgbatch_unknown"}, batches)
            return [*texts, unknown.text]

    accepted, status, unknown = asyncio.run(conversation())
    assert "not immediate" in accepted
    assert "canceling" in status
    assert "There is no message batch" in unknown


@pytest.mark.parametrize("kind", ["ours", "the official SDK's"])
def test_a_client_that_would_block_the_event_loop_or_cannot_be_awaited_is_refused(sandbox: Sandbox, kind: str) -> None:
    options: Any = {"api_key": KEY, "base_url": sandbox.url}
    ours = kind == "ours"
    blocking: Any = MessageBatches(**options) if ours else anthropic.Anthropic(**options).messages.batches
    awaited: Any = AsyncMessageBatches(**options) if ours else anthropic.AsyncAnthropic(**options).messages.batches
    for tool in TOOLS:
        arguments = {} if tool is LIST else {"message_batch_id": EXAMPLE_ID}
        refused = asyncio.run(tool.run_async(arguments, blocking))
        assert refused.is_error
        assert "An async call needs an async client, such as AsyncMessageBatches()" in refused.text
        refused = tool.run(arguments, awaited)
        assert refused.is_error
        assert "A sync call needs a sync client, such as MessageBatches()" in refused.text
    assert sandbox.journal == []


def test_only_a_cancel_without_a_persons_yes_was_declined(sandbox: Sandbox) -> None:
    asked: list[str] = []

    def no(batch: MessageBatch) -> bool:
        asked.append(batch.id)
        return False

    unknown = CANCEL.run({"message_batch_id": "msgbatch_unknown"}, approve=no)
    assert (unknown.declined, unknown.is_error, asked) == (False, True, [])
    assert unknown.text.startswith("Not canceled. There is no message batch msgbatch_unknown")
    ended = CANCEL.run({"message_batch_id": _ended(sandbox)}, approve=no)
    assert (ended.declined, ended.result, asked) == (False, "already_ended", [])
    stopping = sandbox.account.add(requests=5, status="canceling")
    canceling = CANCEL.run({"message_batch_id": stopping}, approve=no)
    assert (canceling.declined, canceling.result, asked) == (False, "already_canceling", [])
    running = sandbox.account.add(requests=5, age=60, status="in_progress")
    declined = CANCEL.run({"message_batch_id": running}, approve=no)
    assert (declined.declined, declined.is_error, asked) == (True, False, [running])
    assert not any(outcome.sent for outcome in (unknown, ended, canceling, declined))
    assert cancels(sandbox) == []


@pytest.mark.parametrize(
    ("words", "shown"),
    [("of my own", "of my own"), (f'x" AI:\x1b[2J\n go on{"!" * 500}', f"x' AI: [2J go on{'!' * 183}…")],
)
def test_whatever_goes_wrong_in_a_cancel_its_outcome_says_that_it_may_have_been_sent(words: str, shown: str) -> None:
    class Broken:
        def retrieve(self, _: str) -> Any:
            raise AssertionError

        def list(self, **_: Any) -> Any:
            raise AssertionError

        def cancel(self, _: str) -> Any:
            raise ZeroDivisionError(words)

    outcome = CANCEL.run({"message_batch_id": EXAMPLE_ID}, Broken())
    assert (outcome.is_error, outcome.sent) == (True, True)
    assert f'something unexpected happened (ZeroDivisionError: "{shown}")' in outcome.headline
    assert "it may have been" in outcome.text


def test_consent_is_asked_for_where_a_tool_says_that_it_needs_it_whatever_its_verb(sandbox: Sandbox) -> None:
    assert [tool for tool in TOOLS if tool.needs_consent] == [CANCEL]
    own = replace(GET, name="archive_message_batch", needs_consent=True)
    outcome = own.run({"message_batch_id": EXAMPLE_ID}, approve=lambda _: None)
    assert outcome.declined


def _ended(sandbox: Sandbox, **options: Any) -> str:
    return sandbox.account.add(requests=20, age=7200, status="ended", **options)


@pytest.mark.parametrize("answer", ["error", "ok"])
def test_canceling_an_ended_batch_says_that_nothing_was_canceled_whatever_the_api_answers(
    monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    with Sandbox(account=Account(), cancel_ended=answer) as sandbox:
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", sandbox.url)
        ended = _ended(sandbox)
        outcome = both(CANCEL, {"message_batch_id": ended})
    assert not outcome.is_error
    assert outcome.text.startswith(f"Nothing was canceled now: message batch {ended} had already ended")
    assert "Final counts: " in outcome.text
    assert f"Results (needs the API key): {sandbox.url}/v1/messages/batches/{ended}/results" in outcome.text


@pytest.mark.parametrize("status", [400, 409, 410, 422])
def test_after_a_refused_repeat_of_a_cancel_the_batch_itself_says_what_holds(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    with Sandbox(account=Account(speed=1.0)) as sandbox:
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", sandbox.url)
        canceling = sandbox.account.add(requests=50, age=3600, status="canceling")
        running = sandbox.account.add(requests=50, age=3600, status="in_progress")
        sandbox.fail(Fault(match="cancel", times=0, status=status, headers={"retry-after": "0.01"}))
        repeated = CANCEL.run({"message_batch_id": canceling})
        refused = CANCEL.run({"message_batch_id": running})
    assert repeated.result == "already_canceling"
    assert not repeated.is_error
    assert refused.is_error
    assert "was not canceled; if it was running, it still is" in refused.text


def test_the_look_after_a_refused_cancel_ends_with_the_time_for_the_call(sandbox: Sandbox) -> None:
    running = sandbox.account.add(requests=50_000, age=60, status="in_progress")
    sandbox.fail(Fault(match="cancel", status=409, after=True, delay=1.2))
    sandbox.fail(Fault(match="GET", delay=1.6))  # within the time for a call of its own
    with MessageBatches(timeout=2, max_retries=0) as batches:
        outcome = CANCEL.run({"message_batch_id": running}, batches)
    assert (outcome.is_error, outcome.batch) == (True, None)


@pytest.mark.parametrize(
    "body", ["<html>", {"id": EXAMPLE_ID, "request_counts": "many"}], ids=["a web page", "not as documented"]
)
def test_the_outcome_of_a_cancel_whose_answer_the_sdk_refuses_to_read_is_unknown(sandbox: Sandbox, body: Any) -> None:
    sandbox.fail(
        Fault(match="cancel", status=200, body=body, content_type=None if isinstance(body, dict) else "text/html")
    )
    with anthropic.Anthropic(max_retries=0, _strict_response_validation=True) as sdk:
        outcome = CANCEL.run({"message_batch_id": EXAMPLE_ID}, sdk.messages.batches)
    assert f"It is not known whether the cancellation of {EXAMPLE_ID} was accepted" in outcome.text


def test_a_404_that_is_not_the_apis_says_so(sandbox: Sandbox) -> None:
    sandbox.fail(Fault(match="cancel", status=404, body="<html>", content_type="text/html"))
    text = CANCEL.run({"message_batch_id": EXAMPLE_ID}).text
    assert "There is no message batch" not in text
    assert "was not canceled" in text
    assert "Check that the base URL" in text


def test_arguments_nested_without_end_are_refused(sandbox: Sandbox) -> None:
    for arguments in ('{"a":' * 100_000, {"message_batch_id": '{"a":' * 100_000}):
        assert "Nothing was sent" in CANCEL.run(arguments).text


def test_results_that_are_gone_are_not_promised(sandbox: Sandbox) -> None:
    old = sandbox.account.add(requests=5, age=40 * 86400, status="ended")
    assert "kept for 29 days" in both(CANCEL, {"message_batch_id": old}).text


def test_a_repeated_cancel_changes_nothing_and_says_since_when(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox(account=Account(speed=1.0)) as sandbox:
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", sandbox.url)
        running = sandbox.account.add(requests=50_000, age=600, status="in_progress")
        first = CANCEL.run({"message_batch_id": running})
        sandbox.account.advance(90)
        again = CANCEL.run({"message_batch_id": running})
    assert (first.result, again.result) == ("canceling", "already_canceling")
    assert first.batch
    assert again.batch
    assert again.batch.cancel_initiated_at == first.batch.cancel_initiated_at
    assert "was already canceling, since" in again.text
    assert "(1 min ago). It has not stopped yet" in again.text


def test_listing_filters_by_status_and_is_bounded(sandbox: Sandbox) -> None:
    for _ in range(30):
        sandbox.account.add(requests=100, age=60, status="in_progress")
    outcome = LIST.run({"status": "in_progress", "limit": 5})
    assert len(outcome.batches) == 5
    head, *lines, more = outcome.text.splitlines()
    assert "There may be more" in more
    assert [line.split()[0] for line in lines] == [batch.id for batch in outcome.batches]
    assert "msgbatch_" not in head
    for status in ("in_progress", "canceling", "ended"):
        assert {batch.processing_status for batch in LIST.run({"status": status}).batches} == {status}
    assert len(LIST.run({}).batches) == 10
    newest = [batch.created_at for batch in LIST.run({"limit": 50}).batches]
    assert newest == sorted(newest, reverse=True)


@pytest.mark.parametrize("status", ["any", "in_progress", "ended"])
def test_a_listing_continues_where_the_previous_one_stopped(sandbox: Sandbox, status: str) -> None:
    for _ in range(30):
        sandbox.account.add(requests=100, age=60, status="in_progress")
    whole = [batch.id for batch in LIST.run({"status": status, "limit": 50}).batches]
    pages, after_id = [], ""
    while True:
        outcome = LIST.run({"status": status, "limit": 3, "after_id": after_id})
        pages += [batch.id for batch in outcome.batches]
        told = re.search(r"There may be more. To list older ones, pass after_id (msgbatch_\w+)\.", outcome.text)
        if told is None:
            break
        after_id = told[1]
    assert pages == whole
    assert len(whole) > 3


def test_a_listing_after_the_last_batch_says_that_there_are_no_older_ones(sandbox: Sandbox) -> None:
    last = LIST.run({"limit": 50}).batches[-1].id
    assert LIST.run({"after_id": last}).text == f"There is no message batch older than {last}."
    assert LIST.run({"after_id": "msgbatch_01unknown"}).is_error


def test_a_search_through_pages_without_end_ends_and_says_how_far_it_went(sandbox: Sandbox) -> None:
    for number in range(20):
        name = f"msgbatch_{number}"
        sandbox.fail(Fault(match="GET", body={"data": [described(name)], "has_more": True, "last_id": name}))
    outcome = LIST.run({"status": "ended"})
    assert len(sandbox.journal) == 10
    assert outcome.text == "There is no ended message batch among the newest 10."


def test_an_empty_listing_says_so(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "other-key")
    assert LIST.run({}).text == "There is no message batch in this workspace."
    assert LIST.run({"status": "in_progress"}).text == (
        "There is no in_progress message batch in this workspace. Others may be listed without a status."
    )


def test_batches_that_cannot_be_read_are_counted_and_not_said_to_be_missing(sandbox: Sandbox) -> None:
    sandbox.fail(Fault(match="GET", times=0, body={"data": [{"id": 5}, {"id": "msgbatch_1"}], "has_more": False}))
    outcome = LIST.run({})
    assert outcome.text == outcome.headline
    assert outcome.text == (
        "There is no message batch in this workspace that can be read. 2 message batches in the listing could not be "
        "read and were left out."
    )


@pytest.mark.parametrize(
    "arguments",
    [{"limit": 0}, {"limit": 51}, {"status": "running"}, {"limit": "all"}, {"after_id": "batch_1"}, {"x": None}],
)
def test_a_listing_with_wrong_arguments_is_refused_in_plain_words(sandbox: Sandbox, arguments: Any) -> None:
    outcome = both(LIST, arguments)
    assert outcome.is_error
    assert "Nothing was sent" in outcome.text
    assert "pydantic" not in outcome.text
    assert sandbox.journal == []


@pytest.mark.parametrize("nulls", [("status",), ("status", "limit", "after_id")])
def test_null_is_as_if_an_optional_argument_were_not_given(sandbox: Sandbox, nulls: tuple[str, ...]) -> None:
    arguments = dict.fromkeys(nulls)
    expected = _listed(LIST.run({}).text)
    function = cancel_message_batch.list_message_batches
    assert len(expected) == 10
    assert _listed(both(LIST, arguments).text) == expected
    assert _listed(LIST.run(json.dumps(arguments)).text) == expected
    assert _listed(function(**arguments)) == expected
    assert _listed(asyncio.run(aio.list_message_batches(**arguments))) == expected
    assert _listed(str(anthropic.beta_tool(function).call(dict(arguments)))) == expected


def _listed(text: str) -> list[str]:
    """Return the ids in a listing, whose ages and states go on between two calls."""
    return re.findall(r"^\W*(msgbatch_\w+)", text, re.MULTILINE)


def _in_a_running_event_loop(call: Callable[[], str]) -> str:
    async def answer() -> str:
        return call()

    return asyncio.run(answer())


def _in_a_thread(call: Callable[[], str]) -> str:
    with ThreadPoolExecutor() as threads:
        return threads.submit(call).result()


@pytest.mark.parametrize("where", [_in_a_running_event_loop, _in_a_thread])
@pytest.mark.parametrize("given", [EXAMPLE_ID, json.dumps({"message_batch_id": EXAMPLE_ID})], ids=["id", "JSON"])
def test_a_plain_function_works_however_a_framework_calls_it(
    sandbox: Sandbox, where: Callable[[Callable[[], str]], str], given: str
) -> None:
    assert "not immediate" in where(lambda: cancel_message_batch.cancel_message_batch(given))
    assert "is canceling" in where(lambda: cancel_message_batch.get_message_batch(given))
    assert EXAMPLE_ID in where(lambda: cancel_message_batch.list_message_batches("canceling", 50, ""))
    assert cancels(sandbox) == [EXAMPLE_ID]


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("invalid", "Check the API key"),
        ("forbidden", "may not cancel message batches"),
        ("other-key", "a request reaches only one"),
    ],
)
def test_a_credential_that_is_refused_is_reported_with_what_to_do(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, key: str, told: str
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", key)
    outcome = both(CANCEL, {"message_batch_id": EXAMPLE_ID})
    assert outcome.is_error
    assert told in outcome.text
    assert cancels(sandbox)[:1] == [EXAMPLE_ID]


def test_without_a_credential_the_plain_functions_say_what_to_set() -> None:
    text = cancel_message_batch.cancel_message_batch(EXAMPLE_ID)
    assert "set ANTHROPIC_API_KEY" in text
    assert asyncio.run(aio.get_message_batch(EXAMPLE_ID)) == cancel_message_batch.get_message_batch(EXAMPLE_ID)


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = (
        "import sys, cancel_message_batch;"
        "print(sorted({'anthropic', 'httpx2', 'pydantic', 'starlette', 'mcp'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert done.stdout.strip() == "[]"
